"""Consistency: cross-entropy of a clip and its changed copies + weight x their divergence.

The weight of the Jensen-Shannon divergence grows linearly from 0 in epoch 0 to its whole in epoch
`ramp`; at weight 0 this is batched data augmentation. Source: Iqbal et al. 2021 (two
copies, weight 5, ramp 10).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from scaling.objectives.objective import Objective

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.networks.modules.output import Output
    from scaling.objectives.modules.losses import Loss


class Consistency(Objective):
    """Views of each clip, which are to be answered alike: three, unless `copies` says otherwise."""

    kind: Literal["consistency"] = "consistency"
    weight: Annotated[
        float, Field(ge=0, le=1000, description="weight of the divergence after the ramp")
    ] = 0.0
    ramp: Annotated[int, Field(ge=0, description="epochs over which the weight grows from 0")] = 0

    copies: Annotated[
        int,
        Field(
            ge=1, le=9, description="augmented copies of each clip, in addition to the clip itself"
        ),
    ] = 2

    apart: ClassVar[tuple[str, ...]] = ("weight", "ramp")

    @property
    def views(self) -> int:
        """See Objective.views."""
        return 1 + self.copies

    def idle(self) -> Iterator[tuple[str, str]]:
        """A ramp of nothing."""
        if not self.weight:
            yield "ramp", "weight=0 stays 0"

    def stage(self, epoch: int) -> int:
        """See Objective.stage: the weight grows until `ramp`."""
        return min(epoch, self.ramp)

    def loss(self, outputs: "Sequence[Output]", targets_BY: "Tensor", epoch: int) -> "Loss":
        """See Objective.loss."""
        from scaling.objectives.modules import losses

        disagreement = losses.jensen_shannon([out.logits_BY for out in outputs])
        parts = {"cross_entropy": losses.cross_entropy(outputs, targets_BY)}
        if self.weight > 0:
            grown = min(1.0, epoch / self.ramp) if self.ramp else 1.0
            parts["weighted_disagreement"] = self.weight * grown * disagreement
        return losses.Loss(parts, {"disagreement": disagreement})
