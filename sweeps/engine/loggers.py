"""Loggers: the metrics that trials record, also sent elsewhere while a sweep runs.

The records stay the only truth: a logger is told of what they hold, epoch by epoch, by a thread of
the driver, so that a slow server delays no trial; one that fails is left out, with a warning. Ray's
own callbacks for MLflow and W&B see Ray's reports instead of the records, begin another run
whenever a trial is resumed, and take trials side by side for one: they do not serve here.
Contents: Row, `tag`, `secretless`, Logger, Loggers.
"""

import os
import queue
import threading
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.run_trial import Progress
from scaling.storage import brief

Row = dict[str, Any]  # of metrics
SECRET = 5  # letters at least
PATIENCE = 60.0  # seconds that the end of a sweep waits for a server


def tag(row: Row) -> str:
    """The name of what a row measured: metric, split, and the device where it is one."""
    device = "" if row["device"] == "all" else f"/{row['device']}"
    return f"{row['metric']}/{row['split']}{device}"


def secretless(text: str, prefix: str) -> str:
    """A text without what environment variables of this prefix hold, keys and passwords among
    them.
    """
    for name, value in os.environ.items():
        if name.startswith(prefix) and len(value) >= SECRET:
            text = text.replace(value, "...")
    return text


class Logger(Protocol):
    """Where metrics go. Whatever its methods raise ends this logger, not the sweep."""

    name: str

    def write(self, trial: str, rows: Sequence[Row]) -> None:
        """Take in what a trial has recorded, in the order of epochs: the first time in a launch
        all, then what is new. What an earlier launch wrote is there once afterwards.
        """

    def end(self, trial: str, status: Status) -> None:
        """The trial ended."""

    def close(self) -> None:
        """The sweep ended, perhaps before some trials."""

    def told(self, error: BaseException) -> str:
        """The error without secrets."""


class Loggers:
    """All loggers of a sweep, told by one thread in the order of reports."""

    def __init__(self, results: Results, loggers: Iterable[Logger]) -> None:
        self.results = results
        self.loggers = list(loggers)
        self.written: dict[str, int] = {}  # the last epoch, by trial
        self.trouble: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.reports: queue.SimpleQueue[Progress | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name="loggers", daemon=True)
        self.thread.start()

    def heard(self, progress: Progress) -> None:
        """Have what a trial recorded since it was last heard of written."""
        self.reports.put(progress)
        self._warn()

    def close(self) -> None:
        """Wait until all is written, PATIENCE at most."""
        self.reports.put(None)
        self.thread.join(PATIENCE)
        self._warn()
        if self.thread.is_alive():
            names = " and ".join(logger.name for logger in self.loggers)
            warnings.warn(
                f"{names} did not take all metrics within {PATIENCE:g} s: the records have them",
                stacklevel=2,
            )

    def _warn(self) -> None:
        """In the sweep's own thread, whose warnings are shown."""
        with suppress(queue.Empty):
            while True:
                warnings.warn(self.trouble.get_nowait(), stacklevel=3)

    def _work(self) -> None:
        while progress := self.reports.get():
            if self.loggers:
                self._tell(progress)
        for logger in self.loggers:
            self._try(logger, logger.close)

    def _tell(self, progress: Progress) -> None:
        trial, fresh = progress.trial, []
        try:
            if self.results.holds("metrics", trial):
                before = self.written.get(trial, 0)
                rows = self.results.read("metrics", [trial]).to_pylist()
                fresh = [row for row in rows if row["epoch"] > before]
        except (OSError, ValueError) as error:
            self.trouble.put(f"a trial's metrics cannot be read for loggers: {brief(str(error))}")
            return
        for logger in list(self.loggers):
            if fresh:
                self._try(logger, lambda each=logger: each.write(trial, fresh))
            if progress.status.ended and logger in self.loggers:
                self._try(logger, lambda each=logger: each.end(trial, progress.status))
        if fresh:
            self.written[trial] = max(row["epoch"] for row in fresh)

    def _try(self, logger: Logger, act: Any) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001
            # whatever a library or a server comes up with
            self.loggers.remove(logger)
            self.trouble.put(
                f"no more of this sweep is written for {logger.name}: {logger.told(error)}"
            )
