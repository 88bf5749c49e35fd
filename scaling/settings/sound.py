"""What is heard: recordings and their features, splits, augmentations, microphones.

Contents: Features, Sound, Split, Augment, Microphones.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.own.names import Options, Source, Words, check_source, described, is_own
from scaling.part import Part, repeated
from scaling.settings.transforms import Transforms

SHORTEST, LONGEST = 16, 65536  # samples of an STFT window; of a bin's filter at most, too


def power_of_two(samples: int) -> int:
    """The next power of two: the size of an FFT, or of a bank of filters, of so many samples."""
    return 1 << (samples - 1).bit_length()


class Features(Part):
    """What the front end computes from a wave; scaling.sound.frontends says how."""

    kind: Annotated[
        str,
        Words(("perceptual", "log_mel", "vggish", "passt", "gammatone", "cqt", "vqt")),
        Field(description="front end that computes the features"),
    ]
    source: Source = ""
    options: Options = ()
    window: Annotated[
        int,
        Field(
            ge=0,
            le=LONGEST,
            description="STFT window, samples; the FFT has this size (vggish: the next power of "
            "two); cqt and vqt: 0",
        ),
    ] = 0
    fft: Annotated[
        int,
        Field(
            ge=0,
            le=LONGEST,
            description="FFT size; the window is padded with zeros; 0: as `window` says",
        ),
    ] = 0
    hop: Annotated[int, Field(ge=1, description="samples between frames")]
    mels: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            description="number of bands: mel bands (Slaney's scale and norm; vggish, passt: HTK's "
            "scale, no norm), gammatone bands, or bins of cqt and vqt",
        ),
    ]
    low: Annotated[
        float,
        Field(
            ge=0,
            description="lower edge of the lowest band, Hz; gammatone, cqt and vqt: its centre",
        ),
    ] = 0.0
    high: Annotated[
        float,
        Field(
            ge=0,
            description="upper edge of the highest band, Hz; 0: half the sample rate; cqt and vqt: "
            "0",
        ),
    ] = 0.0
    range_db: Annotated[
        float,
        Field(ge=0, description="floor relative to the clip's loudest value, dB; 0: no floor"),
    ] = 0.0
    floor: Annotated[
        float,
        Field(ge=0, le=1, description="absolute floor of the power; 0: 1e-10, that is -100 dB"),
    ] = 0.0
    bins_per_octave: Annotated[
        int, Field(ge=1, le=192, description="bins per octave of cqt and vqt")
    ] = 12
    gamma: Annotated[
        float,
        Field(ge=0, le=1000, description="vqt: added to each bin's bandwidth, Hz"),
    ] = 0.0
    preemphasis: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="pre-emphasis: share of each sample that is subtracted from the next; 0: "
            "none",
        ),
    ] = 0.0
    trainable: Annotated[
        Literal["none", "mel", "stft"],
        Field(
            description="filters trained with the network: none, the bands' (mel) or the STFT's "
            "(stft; in cqt and vqt the bins')"
        ),
    ] = "none"

    @property
    def shortest(self) -> int:
        """Samples that a wave has at least: a window that is whole, or half reflected."""
        if self.kind == "vggish":
            return self.window
        return self.window - self.window // 2 + 1 + (self.kind == "passt")

    @property
    def constant_q(self) -> bool:
        """Whether each bin has a filter of its own length, rather than a band of one STFT."""
        return self.kind in ("cqt", "vqt")

    @property
    def centres(self) -> list[float]:
        """Centre frequencies of the bins of `cqt` and `vqt`, Hz."""
        return [self.low * 2 ** (number / self.bins_per_octave) for number in range(self.mels)]

    @property
    def bandwidth(self) -> float:
        """Bandwidth of a bin of `cqt`, relative to its centre: 1 / Q, as in librosa."""
        squared = 2 ** (2 / self.bins_per_octave)
        return (squared - 1) / (squared + 1)

    @property
    def erb_gamma(self) -> float:
        """The `gamma` at which bandwidths are proportional to the ear's (ERB), Hz."""
        return self.bandwidth * 24.7 / 0.108

    def taps(self, rate: int) -> int:
        """Samples of the longest filter of `cqt` or `vqt` at `rate` Hz: that of the lowest bin."""
        return math.ceil(rate / (self.bandwidth * self.low + self.gamma))

    def learnt(self, rate: int) -> int:
        """How many numbers of the front end learn with the network."""
        if self.trainable == "none":
            return 0
        if self.constant_q:
            return 2 * self.mels * power_of_two(self.taps(rate))
        size = power_of_two(self.window) if self.kind == "vggish" else self.fft or self.window
        return (self.mels if self.trainable == "mel" else 2 * size) * (size // 2 + 1)

    def idle(self) -> Iterator[tuple[str, str]]:
        """What belongs to other kinds."""
        if self.kind == "vggish" or self.constant_q or is_own(self.kind):
            yield "fft", f"kind={self.kind} has no FFT of a size to be set"
        if added := {"vggish": "0.01", "passt": "0.00001"}.get(self.kind):
            for name in ("range_db", "floor"):
                yield name, f"kind={self.kind} has no {name}, it adds {added} before the logarithm"
        if self.constant_q:
            yield "window", f"the filters of kind={self.kind} have lengths of their own"
            yield "high", f"mels and bins_per_octave say where kind={self.kind} ends"
        else:
            yield "bins_per_octave", "only kind=cqt and kind=vqt count by octaves"
        if self.kind != "vqt":
            yield "gamma", "only kind=vqt has it"
        if is_own(self.kind):
            yield "preemphasis", f"kind={self.kind} is your own, which hears waves as they are"

    @model_validator(mode="after")
    def _floors_fit(self) -> Self:
        if 0 < self.floor < 1e-30:
            raise ValueError(f"floor={self.floor:g}: float32 needs 1e-30 or more, or 0 for 1e-10")
        return self

    @model_validator(mode="after")
    def _belongs_to_kind(self) -> Self:
        check_source("kind", self.kind, self.source)
        if is_own(self.kind):
            if self.trainable != "none":
                raise ValueError(
                    f"trainable={self.trainable}: kind={self.kind} is your own, which learns "
                    "nothing: none"
                )
            return self
        if not self.constant_q and self.window < SHORTEST:
            raise ValueError(
                f"window={self.window}: kind={self.kind} needs an STFT window of {SHORTEST} "
                "samples or more"
            )
        if 0 < self.fft <= self.window:
            raise ValueError(
                f"fft={self.fft}: it adds zeros to a window of {self.window} samples: above that, "
                "or 0 for none"
            )
        if self.fft and self.trainable == "stft":
            raise ValueError(f"fft={self.fft}: trainable=stft learns a window's filters alone: 0")
        if self.constant_q and not self.low:
            raise ValueError(
                f"low=0: kind={self.kind} counts octaves from it: take one above 0, as 32.7 Hz (C1)"
            )
        if self.kind == "vqt" and not self.gamma:
            raise ValueError(
                f"gamma=0: kind=vqt is then kind=cqt: take that, or a gamma above 0, as "
                f"{self.erb_gamma:.3g} Hz (bandwidths of the ear)"
            )
        if self.trainable == "mel" and self.constant_q:
            raise ValueError(
                f"trainable=mel: kind={self.kind} has no bands of an STFT, take trainable=stft for "
                "the filters of its bins"
            )
        if self.trainable == "stft" and self.kind in ("vggish", "passt"):
            raise ValueError(f"trainable=stft: kind={self.kind} cannot, take trainable=mel")
        return self


class Sound(Part):
    """Which recordings, and what of them reaches the network."""

    dataset: Annotated[
        str, Field(min_length=1, description="dataset, by its name in `overhear data list`")
    ]
    rate: Annotated[int, Field(ge=1000, le=192_000, description="sample rate, Hz")]
    seconds: Annotated[
        float,
        Field(
            gt=0,
            le=600,
            description="length of a clip; longer ones are cut, shorter ones filled as `fill` says",
        ),
    ]
    source: Source = ""
    options: Options = ()
    features: Features
    classes: Annotated[
        tuple[str, ...], Field(description="use only clips of these classes; empty: all")
    ] = ()
    fill: Annotated[
        Literal["zeros", "tile"],
        Field(description="how a short clip is filled up: with zeros, or by repeating it"),
    ] = "zeros"
    patch: Annotated[
        int,
        Field(
            ge=0,
            description="length of the patch that the network receives, frames; 0: the whole clip",
        ),
    ] = 0

    @property
    def recordings(self) -> str:
        """The dataset with its options, as scaling.sound.datasets finds it."""
        return described(self.dataset, self.options)

    @property
    def samples(self) -> int:
        """Length of one clip in samples at `rate`."""
        return round(self.seconds * self.rate)

    @property
    def frames(self) -> int:
        """Frames of one clip: centred, the first at sample 0 (of passt at sample 1); those of
        vggish begin there, and are whole.
        """
        features = self.features
        lost = {"vggish": features.window, "passt": 1}.get(features.kind, 0)
        return 1 + (self.samples - lost) // features.hop

    @property
    def shape(self) -> tuple[int, int]:
        """Size of what the network is given: bands x frames of a clip, or of a patch of it."""
        return self.features.mels, self.patch or self.frames

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        check_source("dataset", self.dataset, self.source)
        return self

    @model_validator(mode="after")
    def _patch_fits(self) -> Self:
        if self.patch > self.frames:
            raise ValueError(
                f"patch={self.patch} frames: a clip of seconds={self.seconds:g} has {self.frames}: "
                "longer clips (fill=tile repeats short ones) or a shorter patch"
            )
        return self

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        if twice := repeated(self.classes):
            raise ValueError(f"classes names {twice[0]} twice: name each class once")
        if len(self.classes) == 1:
            raise ValueError(f"classes={self.classes[0]}: two at least are needed to tell apart")
        return self

    @model_validator(mode="after")
    def _bands_fit(self) -> Self:
        if self.features.constant_q:
            self._check_bins()
            return self
        nyquist = self.rate / 2
        low, high = self.features.low, self.features.high or nyquist
        if not low < high <= nyquist:
            raise ValueError(
                f"features.low={low:g} and features.high={high:g} must satisfy low < high <= "
                f"{nyquist:g} Hz, "
                f"half of rate={self.rate}"
            )
        window, whole = self.features.window, self.features.kind == "vggish"
        if self.samples < (needed := self.features.shortest):
            why = "frames are whole" if whole else "edges are reflected"
            raise ValueError(
                f"seconds={self.seconds:g} is {self.samples} samples, but a window of {window} "
                f"needs more than {needed - 1} ({why}): longer clips or a shorter window"
            )
        return self

    def _check_bins(self) -> None:
        """Raises ValueError where a bin of `cqt` or `vqt` is above half the rate, or its filter
        longer than a clip.
        """
        features, nyquist = self.features, self.rate / 2
        # the main lobe of a Hann window is this wide
        edges = [f + 0.75 * (features.bandwidth * f + features.gamma) for f in features.centres]
        if edges[-1] > nyquist:
            most = sum(edge <= nyquist for edge in edges)
            raise ValueError(
                f"features.mels={features.mels}: from low={features.low:g} Hz with "
                f"{features.bins_per_octave} bins per octave the last one reaches {edges[-1]:g} "
                f"Hz, above {nyquist:g} Hz, half of rate={self.rate}: "
                + (f"at most {most}" if most else "a lower one")
            )
        taps, longest = features.taps(self.rate), min(self.samples, LONGEST)
        if taps > longest:
            least = (self.rate / longest - features.gamma) / features.bandwidth
            raise ValueError(
                f"features.low={features.low:g}: the filter of that bin is {taps} samples long, "
                f"at most {longest} are possible in a clip of {self.seconds:g} s: low={least:.4g} "
                "or more, longer clips, or fewer bins per octave"
            )


class Split(Part):
    """Which clips train, which are held out; scaling.sound.splits says how."""

    protocol: Annotated[
        Literal["folds", "made_folds", "leaking_folds", "pairs"],
        Field(
            description="how clips are held out: the dataset's own folds, folds made here that "
            "keep each recording together, folds that ignore recordings (leaking), "
            "or pairs of city and class"
        ),
    ]
    fold: Annotated[
        int,
        Field(ge=0, description="test fold; pairs: number of the rotation"),
    ]
    validation_fold: Annotated[
        int | None,
        Field(ge=0, description="validation fold, for choosing among models; null: none"),
    ] = None
    folds: Annotated[
        int,
        Field(ge=0, le=1000, description="made folds: number of folds; they are numbered from 1"),
    ] = 0
    train_devices: Annotated[
        tuple[str, ...],
        Field(description="training devices; all others are unseen; empty: train on all"),
    ] = ()
    pairs_share: Annotated[
        float, Field(gt=0, lt=1, description="pairs: share of the (city, class) pairs held out")
    ] = 0.3
    fraction: Annotated[
        float, Field(gt=0, le=1, description="share of the training clips used")
    ] = 1.0
    clips_per_class: Annotated[
        int, Field(ge=0, description="training clips used per class; 0: all")
    ] = 0
    by_chance: Annotated[
        bool, Field(description="draw `fraction` from all clips together, not class by class")
    ] = False
    pairs_seed: Annotated[
        int,
        Field(ge=0, description="pairs: seed of the order of cities and classes; 0: alphabetical"),
    ] = 0
    labels: Annotated[
        Literal["true", "uniform", "permuted"],
        Field(
            description="labels of the training clips: true ones, uniform random ones or a "
            "permutation, drawn once from the seed"
        ),
    ] = "true"

    unseen: Annotated[
        Literal["fold", "all"],
        Field(description="clips of unseen devices to test on: those of the test fold, or all"),
    ] = "fold"

    def idle(self) -> Iterator[tuple[str, str]]:
        """Devices that are not trained on exist where some are; shares are drawn of something."""
        if not self.train_devices:
            yield "unseen", "no device is left out of training without train_devices"
        if self.fraction == 1:
            yield "by_chance", "fraction=1 takes all clips"
        if self.protocol != "pairs":
            for name in ("pairs_share", "pairs_seed"):
                yield name, "only protocol=pairs holds pairs out"

    @model_validator(mode="after")
    def _folds_differ(self) -> Self:
        if self.validation_fold == self.fold:
            raise ValueError(f"validation_fold={self.fold} is the test fold: name another one")
        made = self.protocol in ("made_folds", "leaking_folds")
        if made != (self.folds >= 2):
            raise ValueError(
                f"protocol={self.protocol} with folds={self.folds}: made_folds and leaking_folds "
                "need folds >= 2, the others take none"
            )
        if self.clips_per_class and (self.fraction < 1 or self.by_chance):
            raise ValueError(
                f"clips_per_class={self.clips_per_class} and fraction={self.fraction:g}: name one"
            )
        if self.protocol == "pairs" and self.unseen == "all":
            raise ValueError(
                "unseen=all: protocol=pairs holds every device's clips of a pair out, as devices "
                "recorded the same scenes; leave it at fold"
            )
        return self


class Augment(Part):
    """What happens to training clips before the network sees them; scaling.sound.augment and
    scaling.sound.transforms say how.
    """

    roll: Annotated[
        float,
        Field(
            ge=0, description="largest circular shift of the waveform in either direction, seconds"
        ),
    ] = 0.0
    mixup: Annotated[
        float, Field(ge=0, description="mixup: alpha of the Beta distribution; 0: no mixup")
    ] = 0.0
    transform: Annotated[
        Transforms,
        Field(description="transform of training clips; combination: pitch or reverb at random"),
    ] = "none"
    source: Source = ""
    options: Options = ()
    transform_share: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="share of training clips transformed, for objectives with a single view",
        ),
    ] = 0.0
    freq_mixstyle: Annotated[
        float,
        Field(ge=0, le=1, description="Freq-MixStyle: probability per batch; 0: none"),
    ] = 0.0
    freq_mixstyle_alpha: Annotated[
        float,
        Field(
            gt=0,
            le=100,
            description="Freq-MixStyle: alpha of the Beta distribution of the mixing weights",
        ),
    ] = 0.3
    freq_mixstyle_weights: Annotated[
        Literal["clip", "batch"],
        Field(description="Freq-MixStyle: one mixing weight per clip, or per batch"),
    ] = "clip"
    band_mask: Annotated[
        int,
        Field(
            ge=0,
            le=1024,
            description="frequency mask: largest number of bands masked in a clip; 0: no mask",
        ),
    ] = 0
    low_jitter: Annotated[
        float,
        Field(
            ge=0,
            description="largest random shift of the lowest edge above features.low, per batch, Hz",
        ),
    ] = 0.0
    high_jitter: Annotated[
        float,
        Field(
            ge=0,
            description="largest random shift, per batch, of the highest edge below features.high, "
            "Hz",
        ),
    ] = 0.0

    def idle(self) -> Iterator[tuple[str, str]]:
        """How styles are mixed, where they are."""
        if not self.freq_mixstyle:
            for name in ("freq_mixstyle_alpha", "freq_mixstyle_weights"):
                yield name, "freq_mixstyle=0 mixes none"

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        check_source("transform", self.transform, self.source)
        return self


RECORDED_AS = "recorded"  # what clips through no microphone are called


class Microphones(Part):
    """Clips as other devices would record them; scaling.sound.microphones says how.

    Names are those of impulse responses (files without ending) in the folder `responses` beside the
    datasets. Held-out clips as recorded, and through `train`, are seen; through `test`, unseen.
    """

    responses: Annotated[
        str, Field(min_length=1, description="folder of the impulse responses, in the data folder")
    ] = "MicIRP"
    train: Annotated[tuple[str, ...], Field(description="microphones for training clips")] = ()
    share: Annotated[
        float,
        Field(
            ge=0, le=1, description="share of training clips played through a microphone of `train`"
        ),
    ] = 0.0
    test: Annotated[
        tuple[str, ...],
        Field(description="microphones for test clips, never used in training: the unseen devices"),
    ] = ()
    ratio: Annotated[
        float,
        Field(
            ge=1,
            le=100,
            description="ratio of the dynamic-range compression after the microphone; 1: none",
        ),
    ] = 1.0
    threshold_db: Annotated[
        float,
        Field(
            ge=-100,
            le=0,
            description="threshold of the compression, dB relative to the clip's peak",
        ),
    ] = 0.0

    compress_recorded: Annotated[
        bool,
        Field(
            description="also compress clips that pass no microphone, in training too, so that "
            "seen and unseen differ only in the microphone"
        ),
    ] = False

    def idle(self) -> Iterator[tuple[str, str]]:
        """What microphones need to matter, and compression."""
        if not self.heard:
            for name in ("responses", "ratio"):
                yield name, "no microphone is named in train or test"
        if self.ratio == 1:
            for name in ("threshold_db", "compress_recorded"):
                yield name, "ratio=1 compresses nothing"
        if self.threshold_db == 0:
            yield "ratio", "threshold_db=0 is the clip's peak, above which nothing is"

    @property
    def heard(self) -> tuple[str, ...]:
        """Every microphone that is needed."""
        return (*self.train, *self.test)

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if both := sorted(set(self.train) & set(self.test)):
            raise ValueError(f"{both[0]} is named in train and in test: unseen means never trained")
        for name in ("train", "test"):
            if twice := repeated(getattr(self, name)):
                raise ValueError(f"{name} names {twice[0]} twice: name each microphone once")
        if (self.share > 0) != bool(self.train):
            raise ValueError(
                f"share={self.share:g} with {len(self.train)} training microphones: "
                "name both or neither"
            )
        return self
