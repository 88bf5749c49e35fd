"""Run one trial into a results folder: from where it was left, each epoch recorded, then its end.

The order of writing makes a kill harmless: an epoch's metrics first, then its checkpoint; at the
end predictions and weights, then the outcome; then the checkpoint is removed, unless a trial of
more epochs can continue from it. A trial that has an outcome is never run again, and one that runs
looks for it before it writes: a worker whose sweep was killed does no harm to the next one either.
Contents: `run_trial`, which yields Progress; Attempt, which a trial side by side with others is,
too (scaling.results.run_group); `ended_before`, `last_report`, `outcome_here`, `stop`; HEADLINE,
`headline`.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

from scaling.machine import Machine, versions
from scaling.networks.modules.state import Misfit
from scaling.results import checkpoint, continuation, lost_gpu, teachers, transfer, weights
from scaling.results.continuation import Start
from scaling.results.outcome import Outcome, Status
from scaling.results.records import Damaged, Refused, Results
from scaling.settings import Trial
from scaling.sound import splits
from scaling.sound.frontends import fused
from scaling.sound.store import Store
from scaling.storage import brief
from scaling.training.epoch import Epoch, Metric, Prediction
from scaling.training.inputs import classes
from scaling.training.methods import run

# the split whose accuracy stands for a trial while it runs, the first that is scored, in words
HEADLINE = {
    "validation": "validation clips",
    "test": "test clips",
    "seen": "seen devices",
}


class Progress(NamedTuple):
    """How far a trial is, after each epoch and once more at its end."""

    trial: str
    epoch: int
    epochs: int
    accuracy: float | None  # on the first split of HEADLINE, where this epoch was scored
    seconds: float  # since this attempt began
    status: Status = Status.RUNNING
    error: str | None = None  # why it failed or was stopped
    validation: Mapping[str, float] | None = None  # scores over all validation clips, by metric
    outcome: Outcome | None = None  # should the trial be stopped here


def run_trial(trial: Trial, store: Store, machine: Machine, results: Results) -> Iterator[Progress]:
    """Run what is left of a trial, writing its records; yields after each epoch and at the end.

    What the trial raises ends it as failed, with the reason in its outcome. What the results folder
    refuses (full, gone) is no trial's failure: Refused is raised, nothing that was complete is
    lost, and the trial continues from its last epoch when it is run again. So does one whose GPU
    stops answering: that is LostGpu (scaling.results.lost_gpu).
    """
    if ended := ended_before(trial, results):
        yield ended
        return
    if lost_gpu.noted(trial, results):
        fused.doubt("a GPU that stopped answering")
        machine = replace(machine, capture="off")
    machine.reset()
    attempt = Attempt(trial, store, machine, results)
    epochs = None
    while True:
        try:
            # what it learns from is read here: that it is not there is this trial's failure
            epochs = epochs or run(
                trial,
                store,
                machine,
                attempt.start.state,
                transfer.source(trial, results),
                teachers.of(trial, results),
            )
            epoch = next(epochs)
        except Refused:
            raise
        except Misfit as misfit:
            attempt.restart(misfit)
            epochs = None
            continue
        except Exception as reason:  # noqa: BLE001
            # whatever a trial raises is its outcome, not the sweep's
            lost_gpu.note(reason, [trial], results)
            yield attempt.failed(reason)
            return
        told = attempt.heard(epoch)
        yield told
        if told.status.ended:
            return


class Attempt:
    """One attempt at a trial that has no outcome: where it starts, and what it writes on its
    way. Its methods raise Refused.
    """

    def __init__(self, trial: Trial, store: Store, machine: Machine, results: Results) -> None:
        self.trial, self.machine, self.results = trial, machine, results
        self.seconds, self.since = 0.0, perf_counter()  # spent on it, and when that was known
        self.share = 1.0  # of the time that passes, which is this trial's
        self.accuracy: float | None = None
        self.labels = classes(trial, store)
        self.start = continuation.start(trial, results)
        self.rows, self.done = [*self.start.metrics], self.start.epoch
        if trial.split.protocol == "pairs":
            table = store.table.iloc[splits.of_classes(store.table, trial.sound.classes)]
            pairs = splits.pairs(table, trial.split).assign(trial=trial.id)
            results.write("pairs", trial.id, pairs.to_dict("records"))

    def restart(self, misfit: Misfit) -> None:
        """Start from nothing, where what was kept is another network's; raises that where nothing
        was.
        """
        if self.start.state is None:
            raise misfit
        checkpoint.misfit(self.trial, misfit)
        self.start, self.rows, self.done = Start(), [], 0

    def heard(self, epoch: Epoch) -> Progress:
        """Record an epoch, and the end of the trial after its last."""
        trial, results = self.trial, self.results
        # by the worker of a later sweep, or by its driver
        if ended := ended_before(trial, results):
            return ended
        self.done, self.accuracy = epoch.number, _headline(epoch)
        self.rows += _stamped(trial, epoch, epoch.metrics)
        results.write("metrics", trial.id, self.rows)
        if not epoch.last:
            checkpoint.save(trial, results, epoch.state | {"wall_s": self._wall_s()})
            return self._progress(
                validation=epoch.overall("validation"), outcome=self._outcome(Status.STOPPED)
            )
        results.write("predictions", trial.id, _stamped(trial, epoch, epoch.predictions))
        if learned := epoch.state.get("model"):
            weights.save(trial.id, results, learned)
        results.end(self._outcome(Status.COMPLETE)._replace(labels=[*self.labels]))
        if continuation.open_ended(trial):
            checkpoint.save(trial, results, epoch.state | {"wall_s": self._wall_s()})
        else:
            checkpoint.remove(trial.id, results)
        return self._progress(Status.COMPLETE)

    def failed(self, reason: Exception) -> Progress:
        """Record what the trial raised as its end."""
        error = f"{type(reason).__name__}: {reason}"
        self.results.end(self._outcome(Status.FAILED, error))
        checkpoint.remove(self.trial.id, self.results)
        return self._progress(Status.FAILED, error)

    def _wall_s(self) -> float:
        """Seconds spent on the trial, in earlier attempts too."""
        now = perf_counter()
        self.seconds, self.since = self.seconds + self.share * (now - self.since), now
        return self.start.wall_s + self.seconds

    def _outcome(self, status: Status, error: str | None = None) -> Outcome:
        return outcome_here(self.trial, status, error, self.done, self._wall_s(), self.machine)

    def _progress(
        self, status: Status = Status.RUNNING, error: str | None = None, **more: Any
    ) -> Progress:
        trial, epochs = self.trial.id, self.trial.training.epochs
        return Progress(
            trial, self.done, epochs, self.accuracy, self.seconds, status, error, **more
        )


def ended_before(trial: Trial, results: Results) -> Progress | None:
    """How a trial that has an outcome ended."""
    try:
        outcome = results.outcome(trial.id)
    except Damaged as damage:
        # whether the trial has ended is for a person to say, who is told how
        raise Refused(str(damage)) from None
    return last_report(trial, outcome) if outcome else None


def last_report(trial: Trial, outcome: Outcome) -> Progress:
    """A trial's last report, from its outcome."""
    error = brief(outcome.error) if outcome.error else None
    return Progress(
        trial.id, outcome.epochs, trial.training.epochs, None, 0.0, outcome.status, error
    )


def outcome_here(
    trial: Trial,
    status: Status,
    error: str | None,
    epochs: int = 0,
    wall_s: float = 0.0,
    machine: Machine | None = None,
) -> Outcome:
    """The outcome of a trial that ends on this node; without a machine where the process that ran
    it is gone, or never began to train.
    """
    return Outcome(
        trial.id,
        status,
        error,
        epochs,
        wall_s,
        node=platform.node(),
        device=machine.name if machine else "",
        precision=machine.precision_name if machine else "",
        peak_memory_bytes=machine.peak_memory() if machine else 0,
        versions=versions(machine.frontend if machine else "auto"),
    )


def stop(progress: Progress, results: Results, reason: str) -> None:
    """End a trial after the epoch that it reported, on purpose; its worker must not continue.

    Raises OSError where that cannot be written: then it is not stopped.
    """
    assert progress.outcome is not None, "a trial that has ended is not stopped"
    results.end(progress.outcome._replace(error=reason))
    with suppress(OSError):  # left behind, it does no harm
        checkpoint.remove(progress.trial, results)


def headline(trial: Trial) -> str:
    """The split of HEADLINE that this trial is scored on."""
    if trial.split.validation_fold is not None:
        return "validation"
    return "seen" if trial.split.train_devices or trial.microphones.heard else "test"


def _headline(epoch: Epoch) -> float | None:
    found = (epoch.overall(split).get("accuracy") for split in HEADLINE)
    return next((accuracy for accuracy in found if accuracy is not None), None)


def _stamped(
    trial: Trial, epoch: Epoch, rows: Sequence[Metric | Prediction]
) -> list[dict[str, Any]]:
    """What an epoch left, as rows of its record."""
    return [{"trial": trial.id, "epoch": epoch.number, **row._asdict()} for row in rows]
