"""Iterative magnitude pruning: the smallest weights of all layers go while the network trains.

Source: Koutini et al. 2021 (facts: cp_resnet, section 5), with a guard against layer collapse.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from scaling.pruning.by_magnitude import ByMagnitude


class Magnitude(ByMagnitude):
    """Global magnitude pruning by a schedule over epochs."""

    kind: Literal["magnitude"] = "magnitude"
    schedule: Annotated[
        Literal["geometric", "saturating", "ramp", "cubic"],
        Field(description="schedule by which the number of kept weights falls to the target"),
    ] = "geometric"
    start: Annotated[
        int,
        Field(ge=0, description="epochs of training before pruning starts; channels: at least 1"),
    ] = 0
    length: Annotated[int, Field(ge=1, description="epochs over which weights are cut")] = 50
    rate: Annotated[
        float,
        Field(
            gt=0, le=100, description="saturating: steepness a of the schedule; larger cuts sooner"
        ),
    ] = 5.0

    brief: ClassVar[Mapping[str, int]] = {"start": 0, "length": 1}

    def idle(self) -> Iterator[tuple[str, str]]:
        """What only one schedule has."""
        if self.schedule != "saturating":
            yield "rate", f"schedule={self.schedule} has none, only saturating has"

    @property
    def counts_collapse(self) -> bool:
        """See Cutting.counts_collapse."""
        return self.schedule == "cubic"

    def remaining(self, dense: int, target: int, epoch: int) -> int:
        """How many of `dense` weights are left while epoch `epoch`, counted from 0, is trained.

        Cuts are made before an epoch's first step. With t = (epoch - start) / length, held at 1
        from epoch start + length on, where exactly `target` are left: geometric: dense x (target /
        dense) ** t, equal shares of what is left; saturating: of dense - target, the share (1 -
        exp(-rate t)) / (1 - exp(-rate)) is gone; ramp: of dense - target, the share exp(-(1 - t)^3)
        is gone (the authors' earlier code); cubic: of dense - target, the share 1 - (1 - t)^3 is
        gone (Zhu and Gupta 2017). Before epoch `start` nothing is cut. In epoch `start` (t = 0) the
        ramp begins with 36.8 %; the others cut first before epoch start + 1.
        """
        assert 0 < target <= dense
        if epoch < self.start:
            return dense
        time = min(1.0, (epoch - self.start) / self.length)
        if self.schedule == "geometric":
            return round(dense * math.pow(target / dense, time))
        if self.schedule == "saturating":
            gone = math.expm1(-self.rate * time) / math.expm1(-self.rate)
        elif self.schedule == "cubic":
            gone = 1 - (1 - time) ** 3
        else:
            gone = math.exp(-((1 - time) ** 3))
        return dense - round((dense - target) * gone)
