"""Outcomes: how a trial ended, and the words for where any trial stands. No torch.

Contents: Status, RECORDED, Outcome.
"""

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """Where a trial stands. Outcomes record the first three; the others follow from there being no
    outcome: it has metrics, or none.
    """

    COMPLETE = "complete"
    STOPPED = "stopped"  # early, on purpose
    FAILED = "failed"
    RUNNING = "running"  # or cut off
    MISSING = "missing"

    @property
    def ended(self) -> bool:
        """Whether a trial of this status runs no more."""
        return self in RECORDED


RECORDED = (Status.COMPLETE, Status.STOPPED, Status.FAILED)


class Outcome(NamedTuple):
    """How a trial ended: its row of `outcomes`, whose columns scaling.results.schemas explains."""

    trial: str
    status: Status
    error: str | None
    epochs: int
    wall_s: float
    node: str
    device: str
    precision: str
    peak_memory_bytes: int
    versions: str
    labels: list[str] | None = None
