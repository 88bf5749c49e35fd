"""SNIP: weights stay whose removal would change the loss of an untrained network most.

Source: Lee et al. 2019 (arXiv 1810.02340).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from scaling.pruning.at_initialization import OnBatches

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.pruning.saliency import LossOf


class Snip(OnBatches):
    """By |weight x gradient|."""

    kind: Literal["snip"] = "snip"

    def masks(
        self,
        network: "nn.Module",
        losses: "Sequence[LossOf]",
        size: tuple[int, int],  # noqa: ARG002
        target: int,
    ) -> "dict[str, Tensor]":
        """See AtInitialization.masks."""
        from scaling.pruning import saliency

        return saliency.kept(self.kind, saliency.snip(network, losses), target, self.guard)
