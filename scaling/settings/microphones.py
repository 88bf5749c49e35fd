"""Microphones: the devices through which clips are heard, in training and in the test."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from scaling.part import Part, repeated

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
            raise ValueError(
                f"{both[0]} is named in train and in test: an unseen microphone must not be "
                "trained on"
            )
        for name in ("train", "test"):
            if twice := repeated(getattr(self, name)):
                raise ValueError(f"{name} names {twice[0]} twice: name each microphone once")
        if (self.share > 0) != bool(self.train):
            raise ValueError(
                f"share={self.share:g} with {len(self.train)} training microphones: "
                "set both or neither"
            )
        return self
