"""Sound: which recordings, at which rate and length, and what of them reaches the network."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.own.names import Options, Source, check_source, described
from scaling.part import Part, repeated
from scaling.settings.features import LONGEST, Features


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
            raise ValueError(f"classes={self.classes[0]}: a classifier needs at least two classes")
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
