"""Split: which clips train, which choose and which test, and what training clips are taught."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.part import Part


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
            raise ValueError(f"validation_fold={self.fold} is the test fold: choose another one")
        made = self.protocol in ("made_folds", "leaking_folds")
        if made != (self.folds >= 2):
            raise ValueError(
                f"protocol={self.protocol} with folds={self.folds}: made_folds and leaking_folds "
                "need folds >= 2, the others take none"
            )
        if self.clips_per_class and (self.fraction < 1 or self.by_chance):
            raise ValueError(
                f"clips_per_class={self.clips_per_class} and fraction={self.fraction:g} "
                "exclude each other: set one of them"
            )
        if self.protocol == "pairs" and self.unseen == "all":
            raise ValueError(
                "unseen=all: protocol=pairs holds every device's clips of a pair out, as devices "
                "recorded the same scenes; leave it at fold"
            )
        return self
