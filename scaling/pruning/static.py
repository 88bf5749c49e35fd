"""Static pruning: weights cut at random before training, the largest layers first.

Source: Golubeva et al. 2021 (facts: cp_resnet, section 5).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from scaling.pruning.pruning import Cutting

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.pruning.masks import Streams


class Static(Cutting):
    """Random masks, drawn once from the seed."""

    kind: Literal["static"] = "static"
    initialization: Annotated[
        Literal["keep", "rescale", "uniform"],
        Field(description="what is left keeps its draw, is rescaled, or is redrawn"),
    ] = "keep"

    def begin(
        self,
        weights: "Mapping[str, Tensor]",
        target: int,
        streams: "Callable[[str], Streams]",
    ) -> "tuple[Mapping[str, Tensor], Mapping[str, Tensor]]":
        """See Cutting.begin."""
        from scaling.pruning import masks

        shapes = {name: weight.shape for name, weight in weights.items()}
        drawn = masks.static(shapes, target, streams("mask"))
        fresh = streams("pruned initialization")
        return drawn, masks.initialize(self.initialization, weights, drawn, fresh)

    def remaining(self, dense: int, target: int, epoch: int) -> int:  # noqa: ARG002
        """The target, from the first epoch on."""
        return target
