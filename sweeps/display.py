"""One calm display for a sweep: trials done, running, failed; time left; best so far.

A live line on a terminal, else a plain line when a trial ends and every minute.
Times left come from the measured seconds per epoch of trials of the same cost; a cost not yet
measured is scaled from the nearest measured one.
"""

import statistics
from collections.abc import Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from scaling.config import Trial, flat
from scaling.perform import Progress

PLAIN_SOONEST, PLAIN_LATEST = 2.0, 60.0  # seconds from a plain line to the next


class Best(NamedTuple):
    """The highest accuracy any trial has ended with."""

    trial: str
    accuracy: float


class Display:
    """Told of every Progress; shows the state of the whole."""

    def __init__(
        self, trials: Sequence[Trial], macs: Mapping[str, int], console: Console, plain: bool
    ) -> None:
        self.trials = {trial.id: trial for trial in trials}
        self.macs = macs
        self.slots = 1  # trials that can run at once; set when Ray is up
        self.epochs = {trial.id: 0 for trial in trials}
        self.status: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.speeds: dict[int, list[float]] = {}  # seconds per epoch by multiply-adds
        self.last: dict[str, tuple[int, float]] = {}
        self.best: Best | None = None
        self.labels = differences(trials)
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

    def heard(self, progress: Progress) -> None:
        """Take in one report and show it."""
        name = progress.trial
        self.status[name] = progress.status
        before, seconds = self.last.get(name, (0, 0.0))
        if progress.epoch > before and progress.seconds > seconds and before > 0:
            speed = (progress.seconds - seconds) / (progress.epoch - before)
            self.speeds.setdefault(self.macs[name], []).append(speed)
        self.last[name] = progress.epoch, progress.seconds
        self.epochs[name] = progress.epoch
        if progress.status == "complete" and progress.accuracy is not None:
            best = Best(name, progress.accuracy)
            self.best = max(self.best or best, best, key=lambda b: b.accuracy)
        if progress.error:
            self.errors[name] = progress.error
            self._print(f"failed: {self.labels[name]} ({name}): {progress.error}")
        ended = progress.status != "running"
        if self.live:
            self.live.update(Text(self.line(), overflow="ellipsis", no_wrap=True))
        else:
            silence = monotonic() - self.said
            if silence > (PLAIN_SOONEST if ended else PLAIN_LATEST) or self.left() == 0:
                self.said = monotonic()
                self._print(self.line())

    def retried(self, trial: str) -> None:
        """Say that a trial's worker died and another takes it up from its last epoch."""
        self._print(f"worker lost: {self.labels[trial]} ({trial}) goes on from its last epoch")

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def left(self) -> int:
        """Trials that have not ended."""
        return len(self.trials) - sum(status != "running" for status in self.status.values())

    def line(self) -> str:
        """The state of the sweep in one line."""
        counts = list(self.status.values())
        done, running = counts.count("complete"), counts.count("running")
        parts = [f"{done}/{len(self.trials)} done", f"{running} running"]
        parts.append(f"{counts.count('failed')} failed")
        seconds = self.seconds_left()
        if self.left() and seconds is not None:
            parts.append(f"about {duration(seconds)} left")
        if self.best:
            parts.append(f"best {self.best.accuracy:.3f} ({self.labels[self.best.trial]})")
        return ", ".join(parts)

    def seconds_left(self) -> float | None:
        """What remains, from measured speeds; None before the first is known."""
        if not self.speeds:
            return None
        medians = {macs: statistics.median(found) for macs, found in self.speeds.items()}
        total, longest = 0.0, 0.0
        for name, trial in self.trials.items():
            if self.status.get(name, "running") == "running":
                nearest = min(medians, key=lambda macs: abs(macs - self.macs[name]))
                speed = medians[nearest] * self.macs[name] / nearest
                remaining = speed * (trial.training.epochs - self.epochs[name])
                total, longest = total + remaining, max(longest, remaining)
        return max(total / self.slots, longest)


def differences(trials: Sequence[Trial]) -> dict[str, str]:
    """What tells each trial from the others, as `width=8 seed=1`, by id."""
    columns = {trial.id: flat(trial) for trial in trials}
    names = list(next(iter(columns.values()), {}))
    varied = [n for n in names if len({str(fields[n]) for fields in columns.values()}) > 1]
    return {
        trial: " ".join(f"{n.split('.')[-1]}={fields[n]}" for n in varied) or trial
        for trial, fields in columns.items()
    }


def duration(seconds: float) -> str:
    """Seconds as a person would say them: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
