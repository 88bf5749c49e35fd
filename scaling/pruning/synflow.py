"""SynFlow: weights stay through which most flows from input to answer, whatever the clips.

Source: Tanaka et al. 2020 (arXiv 2006.05467).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from scaling.pruning.at_initialization import AtInitialization

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.pruning.saliency import LossOf


class SynFlow(AtInitialization):
    """By the products of magnitudes along all paths, again and again."""

    kind: Literal["synflow"] = "synflow"
    iterations: Annotated[
        int,
        Field(
            ge=1,
            le=10_000,
            description="number of cuts; each removes the same share of what remains",
        ),
    ] = 100

    def masks(
        self,
        network: "nn.Module",
        losses: "Sequence[LossOf]",  # noqa: ARG002
        size: tuple[int, int],
        target: int,
    ) -> "dict[str, Tensor]":
        """See AtInitialization.masks."""
        from scaling.pruning import saliency

        return saliency.synflow(network, size, target, self.guard, self.iterations)
