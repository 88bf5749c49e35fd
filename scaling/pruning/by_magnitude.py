"""By magnitude: what ways of pruning share that cut the smallest weights of all layers."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from scaling.pruning.pruning import Cutting, Guard, Score

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.pruning.masks import Streams


class ByMagnitude(Cutting):
    """Global magnitude pruning, with a guard against layer collapse."""

    score: Score = "weight"
    guard: Guard = 0.99

    @property
    def largest_sparsity(self) -> float:
        """The guard."""
        return self.guard

    def begin(
        self,
        weights: "Mapping[str, Tensor]",
        groups: "Mapping[str, int]",  # noqa: ARG002
        target: int,  # noqa: ARG002
        streams: "Callable[[str], Streams]",  # noqa: ARG002
    ) -> "tuple[Mapping[str, Tensor], Mapping[str, Tensor]]":
        """All weights stay, as they were drawn."""
        return {name: weight.bool().fill_(True) for name, weight in weights.items()}, weights

    def cut(
        self,
        weights: "Mapping[str, Tensor]",
        kernels: "Mapping[str, Tensor]",
        masks: "Mapping[str, Tensor]",
        keep: int,
    ) -> "Mapping[str, Tensor]":
        """See Cutting.cut."""
        from scaling.pruning.masks import magnitude

        scored = kernels if self.score == "kernel" else weights
        return magnitude(
            {name: value.abs() for name, value in scored.items()}, masks, keep, self.guard
        )
