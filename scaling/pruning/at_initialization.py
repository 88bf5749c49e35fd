"""Pruning at initialization: weights cut once, before training, by what the untrained network says.

What these ways share, as settings; scaling.pruning.saliency holds what they compute. Source of the
comparison: Frankle et al. 2021 (Pruning neural networks at initialization: why are we missing the
mark?).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from scaling.networks.network import Network
from scaling.pruning.pruning import Cutting, Guard, Length

if TYPE_CHECKING:
    from torch import Tensor, nn

    from scaling.pruning.saliency import LossOf


class AtInitialization(Cutting):
    """A way of pruning that scores the weights of an untrained network."""

    guard: Guard = 0.99

    @property
    def largest_sparsity(self) -> float:
        """The guard."""
        return self.guard

    @property
    def judged_on(self) -> int:
        """How many batches of training clips it asks for."""
        return 0

    def check(self, network: Network, length: Length) -> None:
        """See Pruning.check."""
        super().check(network, length)
        self.needs_weights(network, f"pruning.kind={self.kind}")

    def masks(
        self, network: "nn.Module", losses: "Sequence[LossOf]", size: tuple[int, int], target: int
    ) -> "dict[str, Tensor]":
        """The masks of an untrained network, which is a copy to be changed at will; `losses` are
        those of its batches, `size` is that of its inputs (mel bands, frames).

        Raises ValueError of one line for a network that cannot be judged like this.
        """
        raise NotImplementedError


class OnBatches(AtInitialization):
    """One that judges weights by the loss of training clips."""

    batches: Annotated[
        int, Field(ge=1, le=1000, description="training batches used to score the weights")
    ] = 1

    brief: ClassVar[Mapping[str, int]] = {"batches": 1}

    @property
    def judged_on(self) -> int:
        """See AtInitialization."""
        return self.batches
