"""Epoch: what one pass of training leaves behind, for whoever records it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

OVERALL = "all"  # in the place of a device: over all clips of the split


class Metric(NamedTuple):
    """One value that an epoch measured: a row of `metrics`, but for its trial and epoch."""

    split: str
    metric: str
    value: float
    device: str = OVERALL


class Prediction(NamedTuple):
    """What the network answered to one clip: a row of `predictions`, but for its trial and epoch.
    `logits` are (Y,), float32.
    """

    split: str
    clip: str
    device: str
    label: str
    predicted: str
    logits: np.ndarray


class Epoch(NamedTuple):
    """What one epoch left behind."""

    number: int  # epochs trained so far, from 1
    metrics: list[Metric]
    predictions: list[Prediction]  # of the last epoch only
    state: dict[str, Any]  # what `run(resume=...)` needs; save it before the next epoch changes it
    last: bool  # whether the trial ends here

    def overall(self, split: str) -> Mapping[str, float]:
        """What it measured over all clips of a split, by metric."""
        rows = [row for row in self.metrics if (row.split, row.device) == (split, OVERALL)]
        return {row.metric: row.value for row in rows}


class Diverged(ArithmeticError):
    """The loss stopped being a finite number."""
