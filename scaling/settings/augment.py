"""Augment: what happens to training clips, wave and features, before the network sees them."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.own.names import Options, Source, check_source
from scaling.part import Part
from scaling.settings.transforms import Transforms


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
