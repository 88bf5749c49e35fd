"""RigL: masks that change while a network trains, at a constant number of weights in each layer.

Source: Evci et al. 2020 (arXiv 1911.11134).
"""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from scaling.networks.network import Network
from scaling.pruning.pruning import Cutting, Density, Length

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.pruning.masks import Streams


class RigL(Cutting):
    """The smallest weights of a layer go, those of the largest gradient come back."""

    kind: Literal["rigl"] = "rigl"
    density: Density = "largest"
    period: Annotated[
        int, Field(ge=1, le=10**9, description="steps between updates of the masks")
    ] = 100
    fraction: Annotated[
        float,
        Field(gt=0, le=1, description="initial share of a layer's weights that an update replaces"),
    ] = 0.3
    until: Annotated[
        float, Field(gt=0, le=1, description="share of training after which the masks stay fixed")
    ] = 0.75

    open_ended: ClassVar[bool] = False
    brief: ClassVar[Mapping[str, int]] = {"period": 2}

    @property
    def stackable(self) -> bool:
        """See Pruning.stackable."""
        return False

    def check(self, network: Network, length: Length) -> None:
        """See Pruning.check."""
        super().check(network, length)
        if self.density == "magnitude":
            self.needs_weights(network, "pruning.density=magnitude")

    def begin(
        self,
        weights: "Mapping[str, Tensor]",
        groups: "Mapping[str, int]",
        target: int,
        streams: "Callable[[str], Streams]",
    ) -> "tuple[Mapping[str, Tensor], Mapping[str, Tensor]]":
        """Masks drawn at random, as those of static pruning; weights as they were drawn."""
        from scaling.pruning import densities

        return densities.masks(self.density, weights, groups, target, streams("mask")), weights

    def last(self, steps: int) -> int:
        """The last of so many steps, counted from 0, at which masks change; 0: none does."""
        return (math.ceil(self.until * steps) - 1) // self.period * self.period

    def share(self, step: int, steps: int) -> float:
        """The share of a layer's weights that moves at this one of so many steps: 0 where none
        does, else fraction / 2 x (1 + cos(pi step / (until steps))).
        """
        if step == 0 or step % self.period or step >= self.until * steps:
            return 0.0
        return self.fraction / 2 * (1 + math.cos(math.pi * step / (self.until * steps)))
