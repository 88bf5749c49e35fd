"""Epoch: what one pass of training leaves behind, for whoever records it."""

from typing import Any, NamedTuple


class Epoch(NamedTuple):
    """What one epoch left behind."""

    number: int  # epochs trained so far, from 1
    metrics: list[dict[str, Any]]  # rows of the metrics table
    predictions: list[dict[str, Any]]  # rows of the predictions table; filled in the last epoch
    state: dict[str, Any]  # what `run(resume=...)` needs; save it before the next epoch changes it
    last: bool  # whether the trial ends here


class Diverged(ArithmeticError):
    """The loss stopped being a finite number."""
