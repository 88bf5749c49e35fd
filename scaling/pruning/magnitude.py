"""Iterative magnitude pruning: the smallest weights of all layers go while the network trains.

Source: Koutini et al. 2021 (facts: cp_resnet, section 5), with a guard against layer collapse.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from scaling.pruning.pruning import Cutting

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.pruning.masks import Streams


class Magnitude(Cutting):
    """Global magnitude pruning by a schedule over epochs."""

    kind: Literal["magnitude"] = "magnitude"
    schedule: Annotated[
        Literal["geometric", "saturating", "ramp"],
        Field(description="how the kept weights fall to the target over the epochs of pruning"),
    ] = "geometric"
    start: Annotated[int, Field(ge=0, description="epochs trained before; channels: 1 or more")] = 0
    length: Annotated[int, Field(ge=1, description="epochs of pruning")] = 50
    rate: Annotated[float, Field(gt=0, le=100, description="saturating: a; larger: sooner")] = 5.0
    score: Annotated[
        Literal["weight", "kernel"],
        Field(description="magnitude of the weight, or of weight x damping"),
    ] = "weight"
    guard: Annotated[
        float, Field(gt=0, le=1, description="sparsity that no layer exceeds; 1: none")
    ] = 0.99

    def idle(self) -> Iterator[tuple[str, str]]:
        """What only one schedule has."""
        if self.schedule != "saturating":
            yield "rate", f"schedule={self.schedule} has none, only saturating has"

    @property
    def largest_sparsity(self) -> float:
        """The guard."""
        return self.guard

    def begin(
        self,
        weights: "Mapping[str, Tensor]",
        target: int,  # noqa: ARG002
        streams: "Callable[[str], Streams]",  # noqa: ARG002
    ) -> "tuple[Mapping[str, Tensor], Mapping[str, Tensor]]":
        """All weights stay, as they were drawn."""
        return {name: weight.bool().fill_(True) for name, weight in weights.items()}, weights

    def remaining(self, dense: int, target: int, epoch: int) -> int:
        """How many of `dense` weights are left while epoch `epoch`, counted from 0, is trained.

        Cuts are made before an epoch's first step. With t = (epoch - start) / length, held at 1
        from epoch start + length on, where exactly `target` are left: geometric: dense x (target /
        dense) ** t, equal shares of what is left; saturating: of dense - target, the share (1 -
        exp(-rate t)) / (1 - exp(-rate)) is gone; ramp: of dense - target, the share exp(-(1 - t)^3)
        is gone (the authors' earlier code). Before epoch `start` nothing is cut. In epoch `start`
        (t = 0) the ramp begins with 36.8 %; the others cut first before epoch start + 1.
        """
        assert 0 < target <= dense
        if epoch < self.start:
            return dense
        time = min(1.0, (epoch - self.start) / self.length)
        if self.schedule == "geometric":
            return round(dense * math.pow(target / dense, time))
        if self.schedule == "saturating":
            gone = math.expm1(-self.rate * time) / math.expm1(-self.rate)
        else:
            gone = math.exp(-((1 - time) ** 3))
        return dense - round((dense - target) * gone)

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
