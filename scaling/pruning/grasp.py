"""GraSP: weights go whose removal leaves most of an untrained network's gradient flow.

Source: Wang et al. 2020 (arXiv 2002.07376), with the temperature of its public code.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from scaling.pruning.at_initialization import OnBatches

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.pruning.saliency import LossOf


class Grasp(OnBatches):
    """By weight x (Hessian x gradient)."""

    kind: Literal["grasp"] = "grasp"
    temperature: Annotated[
        float,
        Field(
            gt=0, le=1e6, description="temperature that divides the logits when weights are scored"
        ),
    ] = 200.0

    def masks(
        self,
        network: "nn.Module",
        losses: "Sequence[LossOf]",
        size: tuple[int, int],  # noqa: ARG002
        target: int,
    ) -> "dict[str, Tensor]":
        """See AtInitialization.masks."""
        from scaling.pruning import saliency

        scores = saliency.grasp(network, losses, self.temperature)
        return saliency.kept(self.kind, scores, target, self.guard)
