"""One trial against a results folder: take it up where it was left, record each epoch, and say how
it ended.

The order of writing makes a kill harmless: an epoch's metrics first, then its checkpoint; at the
end predictions and weights, then the outcome, then the checkpoint goes, unless a trial of more
epochs can go on from it. A trial that has an outcome is never run again, and one that runs finds it
out before it writes: a worker whose sweep was killed does no harm to the next one either.
"""

import platform
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Any, NamedTuple

import pyarrow.compute as pc

from scaling.results import checkpoint
from scaling.results import extension
from scaling.results import transfer
from scaling.results import weights
from scaling.networks.state import Misfit
from scaling.settings import Trial
from scaling.training.epoch import Epoch
from scaling.training.evaluation import due
from scaling.machine import Machine, versions
from scaling.results.records import Damaged, Refused, Results
from scaling.sound import splits
from scaling.sound.store import Store
from scaling.storage import brief, scrubbed
from scaling.training.loop import run

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
    status: str = "running"  # then complete, stopped or failed
    error: str | None = None  # or why it was stopped
    validation: Mapping[str, float] | None = None  # scores over all validation clips, by metric
    outcome: Mapping[str, Any] | None = None  # its row, should the trial be stopped here


def run_trial(trial: Trial, store: Store, machine: Machine, results: Results) -> Iterator[Progress]:
    """Run what is left of a trial, writing its records; yields after each epoch and at the end.

    What the trial raises ends it as failed, with the reason in its outcome. What the results folder
    refuses (full, gone) is no trial's failure: Refused is raised, nothing that was complete is
    lost, and the trial goes on from its last epoch when it is performed again.
    """
    if told := _told(trial, results):
        yield told
        return
    machine.reset()
    begun = perf_counter()
    state, rows = _reached(trial, results)
    done, before = (state["epoch"], state["wall_s"]) if state else (0, 0.0)
    if trial.split.protocol == "pairs":
        table = store.table.iloc[splits.chosen(store.table, trial.sound.classes)]
        pairs = splits.pairs(table, trial.split).assign(trial=trial.id)
        results.write("pairs", trial.id, pairs.to_dict("records"))
    status, error = "complete", None
    accuracy = None
    epochs, last = None, False
    while not last:
        try:
            # what is taken over is read here: that it is not there is this trial's failure
            epochs = epochs or run(trial, store, machine, state, transfer.source(trial, results))
            epoch = next(epochs)
        except Refused:
            raise
        except Misfit as misfit:
            if state is None:
                raise
            checkpoint.misfit(trial, misfit)
            state, rows, epochs, done, before = None, [], None, 0, 0.0
            continue
        except Exception as reason:  # noqa: BLE001
            # whatever a trial raises is its outcome, not the sweep's
            status, error = "failed", f"{type(reason).__name__}: {reason}"
            break
        if told := _told(trial, results):  # by the worker of a later sweep, or by its driver
            yield told
            return
        done, last = epoch.number, epoch.last
        rows += epoch.metrics
        results.write("metrics", trial.id, rows)
        accuracy = _headline(epoch)
        wall_s = before + perf_counter() - begun
        if not last:
            checkpoint.save(trial, results, epoch.state | {"wall_s": wall_s})
            yield Progress(
                trial.id,
                done,
                trial.training.epochs,
                accuracy,
                perf_counter() - begun,
                validation=_found(epoch, "validation"),
                outcome=_outcome(trial, "stopped", None, done, wall_s, machine),
            )
        else:
            results.write("predictions", trial.id, epoch.predictions)
            if learned := epoch.state.get("model"):
                content = memoryview(weights.packed(trial.id, learned))
                results.put(content, "weights", f"{trial.id}.safetensors")
    wall_s = before + perf_counter() - begun
    end(trial, results, status, error, done, wall_s, machine)
    if status == "complete" and extension.open_ended(trial):
        checkpoint.save(trial, results, epoch.state | {"wall_s": wall_s})
    else:
        results.remove("checkpoints", trial.id)
    seconds = perf_counter() - begun
    yield Progress(trial.id, done, trial.training.epochs, accuracy, seconds, status, error)


def _told(trial: Trial, results: Results) -> Progress | None:
    """How a trial that has an outcome ended."""
    if not results.holds("outcomes", trial.id):
        return None
    try:
        (row,) = results.read("outcomes", [trial.id]).to_pylist()
    except Damaged as damage:
        # whether the trial has ended is for a person to say, who is told how
        raise Refused(str(damage)) from None
    error = brief(row["error"]) if row["error"] else None
    ended = row["status"], error
    return Progress(trial.id, row["epochs"], trial.training.epochs, None, 0.0, *ended)


def end(
    trial: Trial,
    results: Results,
    status: str,
    error: str | None,
    epochs: int,
    wall_s: float,
    machine: Machine | None,
) -> None:
    """Write how a trial ended; without a machine when its process is gone and somebody else must
    say so.
    """
    row = _outcome(trial, status, error, epochs, wall_s, machine)
    results.write("outcomes", trial.id, [row])


def stop(progress: Progress, results: Results, reason: str) -> None:
    """End a trial behind the epoch that it reported, on purpose; its worker must not go on.

    Raises OSError where that cannot be written: then it is not stopped.
    """
    assert progress.outcome is not None, "a trial that has ended is not stopped"
    row = {**progress.outcome, "error": brief(reason)}
    results.write("outcomes", progress.trial, [row])
    with suppress(OSError):  # left behind, it does no harm
        results.remove("checkpoints", progress.trial)


def _outcome(
    trial: Trial,
    status: str,
    error: str | None,
    epochs: int,
    wall_s: float,
    machine: Machine | None,
) -> dict[str, Any]:
    return {
        "trial": trial.id,
        "status": status,
        "error": brief(scrubbed(error)) if error else None,
        "epochs": epochs,
        "wall_s": wall_s,
        "node": platform.node(),
        "device": machine.name if machine else "",
        "precision": machine.precision_name if machine else "",
        "peak_memory_bytes": machine.peak_memory() if machine else 0,
        "versions": versions(machine.frontend if machine else "auto"),
    }


def _reached(trial: Trial, results: Results) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """What a trial goes on from, and its metrics so far: what it left itself, else what one of
    fewer epochs ended with; None and none where it begins.
    """
    of, state = trial, checkpoint.load(trial, results)
    if state and state["epoch"] == trial.training.epochs:  # kept for a longer trial
        state = None
    if state is None and (other := extension.shorter(trial, results)):
        of, state = other, checkpoint.load(other, results)
    if state is None:
        return None, []
    try:
        earlier = results.read("metrics", [of.id]).filter(pc.field("epoch") <= state["epoch"])
        rows = [row | {"trial": trial.id} for row in earlier.to_pylist()]
        trained = {row["epoch"] for row in rows if row["split"] == "train"}
        if trained != set(range(1, state["epoch"] + 1)):
            raise Damaged(
                f"{results.path('metrics', of.id)}.parquet lacks epochs of its checkpoint"
            )
    except Damaged as error:
        reason = str(error).partition(": ")[0]
        warnings.warn(f"trial {trial.id}: {reason}; from the start", stacklevel=2)
        return None, []
    # a shorter trial scored its last epochs, which are none of the last here
    epochs, evaluation = trial.training.epochs, trial.evaluation
    return state, [
        row for row in rows if row["split"] == "train" or due(evaluation, row["epoch"], epochs)
    ]


def headline(trial: Trial) -> str:
    """The split of HEADLINE that this trial is scored on."""
    if trial.split.validation_fold is not None:
        return "validation"
    return "seen" if trial.split.train_devices or trial.microphones.heard else "test"


def _headline(epoch: Epoch) -> float | None:
    found = (_found(epoch, split).get("accuracy") for split in HEADLINE)
    return next((accuracy for accuracy in found if accuracy is not None), None)


def _found(epoch: Epoch, split: str) -> dict[str, float]:
    """What an epoch measured on all clips of a split, by metric."""
    return {
        row["metric"]: row["value"]
        for row in epoch.metrics
        if row["split"] == split and row["device"] == "all"
    }
