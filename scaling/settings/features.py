"""Features: what the front end computes from a wave, and the sizes of its filters."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.own.names import Options, Source, Words, check_source, is_own
from scaling.part import Part

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
