"""Cross-entropy against class probabilities, which is what training minimizes unless told."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from scaling.objectives.objective import Objective

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.networks.modules.output import Output
    from scaling.objectives.modules.losses import Loss


class CrossEntropy(Objective):
    """Cross-entropy, mean over views and clips."""

    kind: Literal["cross_entropy"] = "cross_entropy"

    def loss(self, outputs: "Sequence[Output]", targets_BY: "Tensor", epoch: int) -> "Loss":  # noqa: ARG002
        """See Objective.loss."""
        from scaling.objectives.modules import losses

        return losses.Loss({"cross_entropy": losses.cross_entropy(outputs, targets_BY)}, {})
