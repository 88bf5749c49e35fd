"""Ray callbacks: what Tune reports while it runs, passed on to the display and the records.

Contents: Account, `listener`; `cause` and `summary` of an error.
"""

import warnings
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from scaling.interruption import interrupt
from scaling.machine import LostGpu
from scaling.results import memory
from scaling.results.outcome import Status
from scaling.results.records import Refused, Results
from scaling.results.run_trial import Progress, last_report, outcome_here
from scaling.settings import Trial
from sweeps.engine import group, preflight
from sweeps.engine.display import Display

ATTEMPTS = 3  # a trial whose worker dies this often has failed
TRIES_FOR_MEMORY = 2
AWAITED = "awaited"  # in a report of what takes long in a worker, and of nothing else


class Account:
    """What is known of trials while they run, and what is said and recorded of those that end
    without having said so themselves.
    """

    def __init__(self, display: Display, results: Results, hours: float | None) -> None:
        self.display, self.results = display, results
        self.hours = hours  # that an attempt may take
        self.begun: dict[str, float] = {}  # monotonic clock's seconds, of the attempts that run
        self.beside: dict[str, int] = {}
        self.epochs: dict[str, int] = {}
        self.excesses: dict[str, int] = {}  # how often each trial is known to have held too much
        self.ended: set[str] = set()  # those whose end has been told

    def heard(self, progress: Progress) -> None:
        """Hand on what a trial reports, unless its end has been told."""
        if progress.trial not in self.ended:
            self.epochs[progress.trial] = progress.epoch
            self.display.heard(progress)
            if progress.status.ended:
                self.ended.add(progress.trial)

    def began(self, trial: str, beside: int = 1) -> None:
        """An attempt at a trial begins to run, as one of so many side by side, which share their
        time.
        """
        self.begun[trial], self.beside[trial] = monotonic(), beside
        if trial not in self.excesses:
            with suppress(OSError, ValueError):  # then a death is said to be of another cause
                earlier = memory.read(trial, self.results)
                self.excesses[trial] = earlier.times if earlier else 0

    def late(self, trial: str) -> bool:
        """Whether the attempt that runs takes longer than it may."""
        if self.hours is None or trial not in self.begun:
            return False
        return monotonic() - self.begun[trial] > 3600 * self.hours * self.beside[trial]

    def lost(self, trial: Trial) -> None:
        """Say why a trial that has not ended has no worker any more; held too much twice, it has
        failed.
        """
        try:
            if self.told(trial):
                return
            excess = memory.read(trial.id, self.results)
        except (OSError, ValueError) as error:
            named = self.display.named(trial.id)
            warnings.warn(
                f"the worker of {named} died, and the reason cannot be read: {error}", stacklevel=2
            )
            excess = None
        if excess is None or excess.times <= self.excesses.get(trial.id, 0):
            self.display.retried(trial.id)
            return
        self.excesses[trial.id] = excess.times
        if excess.times < TRIES_FOR_MEMORY:
            self.display.retried(trial.id, f"out of memory, {excess.reason}")
        else:
            self.fail(trial, f"OutOfMemory: {excess.reason}, twice")
            with suppress(OSError):  # if it stays, a repeated trial has one try less
                memory.forget(trial.id, self.results)

    def told(self, trial: Trial) -> bool:
        """Whether a trial has an outcome, as of a worker that was lost after it; hands it on."""
        outcome = self.results.outcome(trial.id)
        if outcome is None:
            return False
        self.heard(last_report(trial, outcome))
        self.ended.add(trial.id)
        return True

    def overdue(self, trial: Trial) -> None:
        """Say and record that a trial has been ended for its time."""
        done = self.epochs.get(trial.id, 0)
        last = trial.training.epochs
        self.fail(
            trial,
            f"TimeLimit: took longer than --hours-per-trial {self.hours:g}, in epoch "
            f"{min(done + 1, last)} of {last}",
        )

    def fail(self, trial: Trial, reason: str, record: bool = True) -> None:
        """Say that a trial has failed, and record it unless it has an outcome by now."""
        done, last = self.epochs.get(trial.id, 0), trial.training.epochs
        seconds = monotonic() - self.begun.get(trial.id, monotonic())
        try:
            if self.told(trial):
                return
            if record:
                self.results.end(outcome_here(trial, Status.FAILED, reason, done, seconds))
        except (OSError, ValueError) as error:  # raised in a callback, it would end the whole sweep
            named = self.display.named(trial.id)
            warnings.warn(f"the failure of {named} is not recorded: {error}", stacklevel=2)
        self.heard(Progress(trial.id, done, last, None, seconds, Status.FAILED, reason))
        self.ended.add(trial.id)


class _Hearing:
    """A Tune callback's methods: see `listener`."""

    account: Account
    running: dict[str, Any]
    dropped: set[str]
    refused: Refused | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles its callbacks for a restore that never comes

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        import ray

        late = [each for name, each in self.running.items() if self.account.late(name)]
        for trial in {id(each): each for each in late}.values():
            # ended first: it must not record another end meanwhile
            ray.kill(trial.temporary_state.ray_actor)
            for planned in self.over(trial):
                if planned.id not in self.account.ended:
                    self.account.overdue(planned)

    def over(self, trial: Any) -> list[Trial]:
        """The trials of ours that one of Tune's is, which runs no more."""
        found = group.planned(trial.config)
        for planned in found:
            self.running.pop(planned.id, None)
        return found

    def refuse(self, error: Refused) -> None:
        """End the sweep as Ctrl-C does."""
        if self.refused is None:
            self.refused = error
            interrupt()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        trials_of_ours = group.planned(trial.config)
        for planned in trials_of_ours:
            self.running[planned.id] = trial
            self.account.began(planned.id, len(trials_of_ours))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.over(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if AWAITED in result:
            self.account.display.awaited(result[AWAITED])
            return
        for line in result.get("said", ()):
            warnings.warn(line, stacklevel=2)
        self.account.heard(Progress(*(result[field] for field in Progress._fields)))

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        lost, error = self.over(trial), _raised(trial)
        if isinstance(error, Refused):
            self.refuse(error)
        elif isinstance(error, preflight.Unfit):
            warnings.warn(str(error), stacklevel=2)
        else:
            if isinstance(error, LostGpu):
                warnings.warn(str(error), stacklevel=2)
            for planned in lost:
                self.account.lost(planned)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        lost_ones, error = self.over(trial), _raised(trial)
        if isinstance(error, Refused):
            self.refuse(error)
            return
        # of those side by side, one may have ended the worker of all: next, each is alone
        if trial.run_metadata.num_failures < ATTEMPTS or len(lost_ones) > 1:
            for planned in lost_ones:
                self.account.lost(planned)
                if planned.id not in self.account.ended:
                    self.dropped.add(planned.id)
            return
        (planned,) = lost_ones
        lost = not isinstance(error, preflight.Unfit)
        reason = f"its worker died {ATTEMPTS} times, " if lost else "not run: "
        reason += summary(error) if lost else str(error)
        self.account.fail(planned, reason, record=lost)


def listener(display: Display, where: str, hours: float | None = None) -> Any:
    """A Tune callback that hands on what trials report, ends those that take too long, and records
    those whose worker kept dying. What a node lacks is said, but is no trial's failure: that trial
    stays to be run.

    Where the results folder refuses what a trial wants to record, others would meet the same: that
    ends the sweep, `refused` says why. `dropped` are those that have to be handed to Tune again: it
    gives a trial up at once when the worker dies that it is about to reuse.
    """
    from ray.tune import Callback

    class Listener(_Hearing, Callback):
        pass

    made = Listener()
    made.account, made.running, made.dropped = Account(display, Results(where), hours), {}, set()
    return made


def _raised(trial: Any) -> BaseException | None:
    """What ended a trial's last attempt, as its worker raised it, if Tune knows it."""
    from ray import cloudpickle

    # Trial.get_pickled_error looks where Tune copies it to later
    path = trial.pickled_error_file
    if path is None or not Path(path).exists():
        return None
    error: BaseException = cloudpickle.loads(Path(path).read_bytes())
    return cause(error)


def cause(error: BaseException) -> BaseException:
    """An exception without what Ray wrapped it in."""
    return getattr(error, "cause", None) or error


def summary(error: BaseException | None) -> str:
    """An exception in one line."""
    if error is None:
        return "unknown"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"
