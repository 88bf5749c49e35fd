"""Distillation: lambda x cross-entropy + (1 - lambda) x T^2 x divergence from trained teachers.

Teachers are trials of the same results folder; their probabilities at temperature T are averaged.
Sources: Hinton et al. 2015; Schmid et al. 2023 (CP-Mobile: lambda .02, T 2, the divergence a mean
over clips and classes, so that its lambda does not serve a mean over clips alone).
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from scaling.objectives.objective import Objective
from scaling.part import repeated
from scaling.spelling import shortened

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.networks.modules.output import Output
    from scaling.objectives.modules.losses import Loss


class Distillation(Objective):
    """A network that is to answer as trained ones do."""

    kind: Literal["distillation"] = "distillation"
    teachers: Annotated[
        tuple[str, ...],
        Field(
            description="teachers: ids of trials in the same results folder, used as an ensemble"
        ),
    ] = ()
    ensemble: Annotated[
        int, Field(ge=1, le=32, description="number of teachers, as claims and tables name it")
    ] = 1
    label_weight: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="lambda: weight of the cross-entropy with the labels; the teachers' term "
            "has the rest",
        ),
    ] = 0.02
    temperature: Annotated[
        float, Field(ge=0.01, le=100, description="temperature T that divides all logits")
    ] = 2.0
    mean: Annotated[
        Literal["clips_and_classes", "clips"],
        Field(description="average the divergence over clips and classes, or over clips alone"),
    ] = "clips_and_classes"

    @field_validator("teachers")
    @classmethod
    def _in_order(cls, teachers: tuple[str, ...]) -> tuple[str, ...]:
        """Sorted: their order means nothing."""
        return tuple(sorted(teachers))

    @model_validator(mode="after")
    def _has_teachers(self) -> Self:
        if not self.teachers:
            raise ValueError("kind=distillation needs teachers: name one or more trials")
        for name in self.teachers:
            if not re.fullmatch("[0-9a-f]{12}", name):
                raise ValueError(
                    f"teachers={shortened(name)}: a trial's id has 12 digits, 0 to 9 and a to f"
                )
        if twice := repeated(self.teachers):
            raise ValueError(f"teachers names {twice[0]} twice: name each teacher once")
        if len(self.teachers) != self.ensemble:
            raise ValueError(
                f"teachers names {len(self.teachers)}, ensemble={self.ensemble}: state how many "
                "there are, 1 to 32: by that, not by their ids, claims and tables tell trials apart"
            )
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """See Objective.sources."""
        return self.teachers

    def distilled(
        self, outputs: "Sequence[Output]", targets_BY: "Tensor", teachers: "Sequence[Tensor]"
    ) -> "Loss":
        """See Objective.distilled."""
        from scaling.objectives.modules import losses

        hard = losses.cross_entropy(outputs, targets_BY)
        soft = losses.distillation(
            outputs[0].logits_BY, teachers, self.temperature, self.mean == "clips_and_classes"
        )
        parts = {
            "weighted_cross_entropy": self.label_weight * hard,
            "weighted_distillation": (1 - self.label_weight) * soft,
        }
        return losses.Loss(parts, {"cross_entropy": hard, "distillation": soft})
