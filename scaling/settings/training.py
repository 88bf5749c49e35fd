"""How long, how fast, and when it is scored.

Contents: Training, Evaluation.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.part import Part
from scaling.settings.transforms import Transforms


class Training(Part):
    """How long, how fast."""

    epochs: Annotated[int, Field(ge=1, le=100_000, description="number of epochs")]
    batch: Annotated[int, Field(ge=2, description="clips per step")]
    passes: Annotated[
        int, Field(ge=1, le=1000, description="passes over the training clips per epoch")
    ] = 1
    rate: Annotated[float, Field(gt=0, le=10, description="peak learning rate")]
    partial: Annotated[
        bool,
        Field(
            description="train on the last, partial batch too, unless it is a single clip; false: "
            "drop it"
        ),
    ] = False
    optimizer: Annotated[Literal["adam", "adamw", "sgd"], Field(description="optimizer")] = "adam"
    epsilon: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="epsilon of adam and adamw, added to the denominator; Keras has 1e-7",
        ),
    ] = 1e-8
    weight_decay: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="the optimizer's weight decay: decoupled for adamw, L2 for the others",
        ),
    ] = 0.0
    penalty: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="L2 penalty in the loss: weight of half the kernels' squared norm",
        ),
    ] = 0.0
    clip: Annotated[
        float, Field(ge=0, le=1e6, description="clip the gradient's norm to this; 0: no clipping")
    ] = 0.0
    sam: Annotated[
        float,
        Field(ge=0, le=10, description="rho of sharpness-aware minimization (SAM); 0: no SAM"),
    ] = 0.0
    sam_adaptive: Annotated[
        bool, Field(description="adaptive SAM: rho is relative to each weight")
    ] = False
    adversarial: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="adversarial head that predicts devices, with reversed gradient: largest "
            "lambda; 0: no head",
        ),
    ] = 0.0
    warmup: Annotated[float, Field(ge=0, description="epochs of exponential warm-up; 0: none")] = (
        0.0
    )
    final: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="final learning rate as a share of the peak, reached linearly; 1: no decay",
        ),
    ] = 1.0
    stepping: Annotated[
        Literal["epoch", "step"],
        Field(
            description="change the rate of `warmup` and `final` once per epoch or at every step"
        ),
    ] = "epoch"
    decay: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="factor applied to the rate every `decay_every` epochs; 1: no decay",
        ),
    ] = 1.0
    decay_every: Annotated[int, Field(ge=1, description="epochs between two decays")] = 1
    patience: Annotated[
        int,
        Field(
            ge=0,
            description="stop once more than this many epochs have not improved the fit to the "
            "training clips; 0: never",
        ),
    ] = 0
    patience_counts: Annotated[
        Literal["consecutive", "all"],
        Field(
            description="epochs that `patience` counts: those since the best fit, or all without "
            "improvement"
        ),
    ] = "consecutive"

    def idle(self) -> Iterator[tuple[str, str]]:
        """What schedules and patience need to matter."""
        if self.decay == 1:
            yield "decay_every", "decay=1 never lowers the rate"
        if not self.warmup and self.final == 1:
            yield "stepping", "without warmup and final the rate does not change within an epoch"
        if self.optimizer == "sgd":
            yield "epsilon", "optimizer=sgd divides by nothing"
        if not self.sam:
            yield "sam_adaptive", "sam=0 minimizes no sharpness"
        if not self.patience:
            yield "patience_counts", "patience=0 never ends training"

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup >= self.epochs and self.warmup > 0:
            raise ValueError(f"warmup={self.warmup:g} must be shorter than epochs={self.epochs}")
        return self


class Evaluation(Part):
    """When held-out clips are scored."""

    every: Annotated[int, Field(ge=1, description="epochs between evaluations")] = 1
    last: Annotated[int, Field(ge=1, description="score each of the last epochs, this many")] = 1
    training_clips: Annotated[
        bool, Field(description="also score the training clips, without augmentation")
    ] = False
    patch_hop: Annotated[
        int,
        Field(ge=0, description="frames between the patches of a clip; 0: patches do not overlap"),
    ] = 0
    patch_votes: Annotated[
        Literal["probabilities", "logarithms", "votes"],
        Field(
            description="how a clip's patches are combined: mean probability, mean log "
            "probability, or majority vote"
        ),
    ] = "probabilities"
    disagreement: Annotated[
        Transforms,
        Field(
            description="measure the divergence between a clip and two copies with this transform"
        ),
    ] = "none"
