"""Static pruning: weights cut at random before training, as many in each layer as a density says.

Source: Golubeva et al. 2021 (facts: cp_resnet, section 5), who cut the largest layers first; other
densities: scaling.pruning.densities.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from scaling.networks.network import Network
from scaling.pruning.pruning import Cutting, Density, Length

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.pruning.masks import Streams


class Static(Cutting):
    """Random masks, drawn once from the seed."""

    kind: Literal["static"] = "static"
    initialization: Annotated[
        Literal["keep", "rescale", "uniform"],
        Field(
            description="initial values of the remaining weights: as drawn, rescaled, or drawn "
            "from a uniform distribution"
        ),
    ] = "keep"
    density: Density = "largest"

    @property
    def counts_collapse(self) -> bool:
        """See Cutting.counts_collapse."""
        return self.density != "largest"

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
        """See Cutting.begin."""
        from scaling.pruning import densities, masks

        drawn = densities.masks(self.density, weights, groups, target, streams("mask"))
        fresh = streams("pruned initialization")
        return drawn, masks.initialize(self.initialization, weights, drawn, fresh)
