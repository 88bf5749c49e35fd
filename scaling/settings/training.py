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

    epochs: Annotated[int, Field(ge=1, le=100_000, description="how often it sees its clips")]
    batch: Annotated[
        int, Field(ge=2, description="clips per step; a last, partial batch is dropped")
    ]
    passes: Annotated[
        int, Field(ge=1, le=1000, description="passes over the training clips in an epoch")
    ] = 1
    rate: Annotated[float, Field(gt=0, le=10, description="peak learning rate")]
    partial: Annotated[
        bool, Field(description="keep the last, partial batch, unless it is of one clip")
    ] = False
    optimizer: Annotated[
        Literal["adam", "adamw", "sgd"], Field(description="what takes the steps")
    ] = "adam"
    epsilon: Annotated[
        float,
        Field(
            gt=0, le=1, description="adam, adamw: added to what a step is divided by; Keras: 1e-7"
        ),
    ] = 1e-8
    weight_decay: Annotated[
        float, Field(ge=0, le=1, description="of the optimizer: decoupled for adamw, else L2")
    ] = 0.0
    penalty: Annotated[
        float,
        Field(ge=0, le=1, description="L2: of half the squared weights of kernels, in the loss"),
    ] = 0.0
    clip: Annotated[
        float, Field(ge=0, le=1e6, description="largest norm of the gradient; 0: any")
    ] = 0.0
    sam: Annotated[
        float,
        Field(ge=0, le=10, description="rho: distance at which sharpness is minimized; 0: not"),
    ] = 0.0
    sam_adaptive: Annotated[
        bool, Field(description="measure that distance relative to each weight")
    ] = False
    adversarial: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="largest lambda of a head that learns devices, gradient reversed; 0: none",
        ),
    ] = 0.0
    warmup: Annotated[float, Field(ge=0, description="epochs of exponential warm-up; 0: none")] = (
        0.0
    )
    final: Annotated[
        float, Field(gt=0, le=1, description="last rate over peak, reached linearly; 1: no decay")
    ] = 1.0
    stepping: Annotated[
        Literal["epoch", "step"], Field(description="how often warm-up and final change the rate")
    ] = "epoch"
    decay: Annotated[
        float, Field(gt=0, le=1, description="factor of the rate every `decay_every` epochs")
    ] = 1.0
    decay_every: Annotated[int, Field(ge=1, description="epochs from one decay to the next")] = 1
    patience: Annotated[
        int,
        Field(ge=0, description="stop after more epochs that fit training clips no better; 0: no"),
    ] = 0
    patience_counts: Annotated[
        Literal["consecutive", "all"],
        Field(description="those since the best fit, or all that ever were no better"),
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
            raise ValueError(f"warmup={self.warmup:g} must end before epochs={self.epochs}")
        return self


class Evaluation(Part):
    """When held-out clips are scored."""

    every: Annotated[int, Field(ge=1, description="epochs from one evaluation to the next")] = 1
    last: Annotated[int, Field(ge=1, description="each of this many last epochs is scored")] = 1
    training_clips: Annotated[
        bool, Field(description="score the training clips too, without augmentation")
    ] = False
    patch_hop: Annotated[
        int, Field(ge=0, description="frames from one patch of a clip to the next; 0: a patch's")
    ] = 0
    patch_votes: Annotated[
        Literal["probabilities", "logarithms", "votes"],
        Field(description="what is averaged over a clip's patches"),
    ] = "probabilities"
    disagreement: Annotated[
        Transforms,
        Field(description="measure the divergence between a clip and two copies changed like this"),
    ] = "none"
