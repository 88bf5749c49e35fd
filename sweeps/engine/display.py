"""The display of a sweep: trials done, running and failed, time left, the best score so far.

A live line on a terminal, else a plain line when a trial ends and every minute. The time left comes
from the seconds that epochs took so far, and from a forecast before any has ended: see
scaling.results.eta. Only scores of validation clips can be the best; without them the line names
the latest score and whose clips it is on. Contents: Score, Display.
"""

import math
from collections.abc import Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from scaling.results.eta import Left, Standing, left
from scaling.results.outcome import Status
from scaling.results.run_trial import HEADLINE, Progress, headline
from scaling.settings import Trial
from scaling.settings.label import trial_labels
from scaling.text import one_line, printable
from sweeps.engine.loggers import Loggers

PLAIN_SOONEST, PLAIN_LATEST = 2.0, 60.0  # seconds from a plain line to the next


class Score(NamedTuple):
    """The accuracy that a trial has ended with."""

    trial: str
    accuracy: float
    split: str  # whose clips it is on


class Display:
    """Told of every Progress; shows the state of the whole."""

    def __init__(
        self,
        trials: Sequence[Trial],
        costs: Mapping[str, int],
        console: Console,
        plain: bool,
        predicted: Mapping[str, float] | None = None,
    ) -> None:
        """`costs` are multiply-adds of training an epoch, `predicted` seconds of whole trials."""
        self.trials = {trial.id: trial for trial in trials}
        self.costs = dict(costs)
        self.predicted = dict(predicted or {})
        self.slots = 1  # trials that can run at once; set when Ray is up
        self.expected = len(trials)  # trials in all: a search proposes more as it goes
        self.epochs = {trial.id: 0 for trial in trials}
        self.status: dict[str, Status] = {}
        self.errors: dict[str, str] = {}
        self.timed: dict[str, tuple[float, int]] = {}  # seconds, and of how many epochs
        self.last: dict[str, tuple[int, float]] = {}
        self.best: Score | None = None  # on validation clips, which alone may choose
        self.latest: Score | None = None
        self.labels = trial_labels(trials)
        self.told: set[str] = set()  # what workers waited for
        self.loggers: Loggers | None = None  # are told of the same
        self.console = console
        live = console.is_terminal and not plain
        self.live = Live(console=console, refresh_per_second=4, transient=True) if live else None
        self.said = monotonic() - PLAIN_SOONEST

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live:
            self.live.stop()
        if self.loggers:
            self.loggers.close()

    def waiting(self, what: str) -> None:
        """Show what is waited for, before a trial reports."""
        if self.live:
            self.live.update(Text(printable(what), overflow="ellipsis", no_wrap=True))
        else:
            self._print(what)

    def awaited(self, what: str) -> None:
        """Show what a worker waits for, once, until a trial reports: then others are trained."""
        if not self.last and what not in self.told:
            self.told.add(what)
            self.waiting(what)

    def heard(self, progress: Progress) -> None:
        """Take in one report and show it."""
        if self.loggers:
            self.loggers.heard(progress)
        name = progress.trial
        self.status[name] = progress.status
        before, seconds = self.last.get(name, (0, 0.0))
        if progress.epoch > before and progress.seconds > seconds and before > 0:
            total, epochs = self.timed.get(name, (0.0, 0))
            total += progress.seconds - seconds
            self.timed[name] = total, epochs + progress.epoch - before
        self.last[name] = progress.epoch, progress.seconds
        self.epochs[name] = progress.epoch
        if progress.status == Status.COMPLETE and progress.accuracy is not None:
            self._ended_with(Score(name, progress.accuracy, headline(self.trials[name])))
        if progress.error:
            self.errors[name] = progress.error
            how = "stopped early" if progress.status == Status.STOPPED else progress.status
            self._print(f"{how}: {self.named(name)}: {progress.error}")
        ended = progress.status.ended
        if self.live:
            self.live.update(Text(printable(self.line()), overflow="ellipsis", no_wrap=True))
        else:
            silence = monotonic() - self.said
            if silence > (PLAIN_SOONEST if ended else PLAIN_LATEST) or self.left() == 0:
                self.said = monotonic()
                self._print(self.line())

    def _ended_with(self, score: Score) -> None:
        self.latest = score
        if score.split == "validation":
            self.best = max(self.best or score, score, key=lambda each: each.accuracy)

    def named(self, trial: str) -> str:
        """The label of a trial and its id."""
        return f"{self.labels[trial]} ({trial})"

    def add(self, trial: Trial, cost: int) -> None:
        """Take in a trial that a search has just proposed."""
        self.trials[trial.id], self.costs[trial.id], self.epochs[trial.id] = trial, cost, 0
        self.expected = max(self.expected, len(self.trials))
        self.labels = trial_labels(self.trials.values())

    def retried(self, trial: str, reason: str = "") -> None:
        """Say that a trial's worker died, why if that is known, and that another one resumes it."""
        once = "resumes once more" if reason else "resumes"
        told = f"{self.named(trial)} {once} from its last epoch"
        self.last.pop(trial, None)  # its clock restarts
        self._print(f"{reason or 'worker lost'}: {told}")

    def _print(self, line: str) -> None:
        self.console.print(one_line(line), markup=False, highlight=False, soft_wrap=True)

    def left(self) -> int:
        """Trials that have not ended."""
        return self.expected - sum(status.ended for status in self.status.values())

    def line(self) -> str:
        """The state of the sweep in one line."""
        counts = list(self.status.values())
        done, running = counts.count(Status.COMPLETE), counts.count(Status.RUNNING)
        parts = [f"{done}/{self.expected} done", f"{running} running"]
        if stopped := counts.count(Status.STOPPED):
            parts.append(f"{stopped} stopped early")
        parts.append(f"{counts.count(Status.FAILED)} failed")
        remaining = self.time_left()
        if self.left() and remaining is not None and self.expected == len(self.trials):
            parts.append(f"{remaining} left")
        if self.best:
            label = self.labels[self.best.trial]
            parts.append(f"best {self.best.accuracy:.3f} on validation clips ({label})")
        elif self.latest:
            label, whose = self.labels[self.latest.trial], HEADLINE[self.latest.split]
            parts.append(f"latest {self.latest.accuracy:.3f} on {whose} ({label})")
        return ", ".join(parts)

    def time_left(self) -> Left | None:
        """What remains, from measured speeds; None before the first is known."""
        stopped = Status.STOPPED in self.status.values()
        return left((self._standing(trial, stopped) for trial in self.trials.values()), self.slots)

    def _standing(self, trial: Trial, stopped: bool) -> Standing:
        """Where a trial stands; once one was stopped, any other may be."""
        epochs = trial.epochs
        seconds, timed = self.timed.get(trial.id, (0.0, 0))
        status = self.status.get(trial.id, Status.RUNNING)
        return Standing(
            self.costs[trial.id],
            epochs,
            self.epochs[trial.id],
            ended=status.ended,
            early=status != Status.FAILED and (stopped or trial.training.patience > 0),
            seconds=seconds,
            timed=timed,
            predicted=self.predicted.get(trial.id, math.nan) / epochs,
        )
