"""Pruning: what all ways of pruning share, as settings: how many weights stay, and when they go.

A way of pruning is described here without torch; scaling.pruning.masks holds what it computes.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from scaling.part import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.pruning.masks import Streams

Target = Annotated[
    int, Field(ge=0, description="weights kept in the end; 0: those at target_width")
]
TargetWidth = Annotated[
    int, Field(ge=0, le=4096, description="keep as many as this network has at this width")
]


class Pruning(Kind):
    """Which weights are cut, and when."""

    kind: str

    @property
    def largest_sparsity(self) -> float:
        """Sparsity that no layer exceeds; 1: a layer keeps one weight at least."""
        return 1.0


class Cutting(Pruning):
    """A way of pruning that cuts: down to a number of weights, or to those of another width."""

    target: Target = 0
    target_width: TargetWidth = 0

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.target > 0) == (self.target_width > 0):
            raise ValueError(
                f"target={self.target} and target_width={self.target_width}: exactly one of the "
                "two must be above 0"
            )
        return self

    def begin(
        self,
        weights: "Mapping[str, Tensor]",
        target: int,
        streams: "Callable[[str], Streams]",
    ) -> "tuple[Mapping[str, Tensor], Mapping[str, Tensor]]":
        """Masks and weights of all layers as training begins; `streams` of a purpose give each
        layer a generator of its own.
        """
        raise NotImplementedError

    def remaining(self, dense: int, target: int, epoch: int) -> int:
        """How many of `dense` weights are left while epoch `epoch`, counted from 0, is trained."""
        raise NotImplementedError

    def cut(
        self,
        weights: "Mapping[str, Tensor]",
        kernels: "Mapping[str, Tensor]",
        masks: "Mapping[str, Tensor]",
        keep: int,
    ) -> "Mapping[str, Tensor]":
        """The masks of which `keep` weights stay; `kernels` are the weights as inputs meet them,
        damped. Raises ValueError where no so few can stay.
        """
        raise NotImplementedError
