"""One trial against a results folder: take it up where it was left, record each epoch, and say how
it ended.

The order of writing makes a kill harmless: an epoch's metrics first, then its checkpoint; at the
end predictions and weights, then the outcome, then the checkpoint goes. A trial that has an outcome
is never run again.
"""

import io
import platform
import warnings
from collections.abc import Iterator
from time import perf_counter
from typing import Any, NamedTuple

import pyarrow.compute as pc
import safetensors.torch
import torch

from scaling import transfer
from scaling.config import Trial
from scaling.epoch import Epoch
from scaling.machine import Machine, versions
from scaling.records import Results
from scaling.sound import splits
from scaling.sound.store import Store
from scaling.trial import run

CHECKPOINT = "last.pt"
VERSION = 2  # of what a checkpoint holds: that of any other is not taken up
HEADLINE = ("validation", "test", "seen")  # whose accuracy stands for the trial while it runs


class Progress(NamedTuple):
    """How far a trial is, after each epoch and once more at its end."""

    trial: str
    epoch: int
    epochs: int
    accuracy: float | None  # on the first split of HEADLINE, where this epoch was scored
    seconds: float  # since this attempt began
    status: str = "running"  # then complete or failed
    error: str | None = None


def perform(trial: Trial, store: Store, machine: Machine, results: Results) -> Iterator[Progress]:
    """Run what is left of a trial, writing its records; yields after each epoch and at the end.

    What the trial raises ends it as failed, with the reason in its outcome; an OSError of the
    results folder itself (full, gone) is raised, and nothing that was complete is lost.
    """
    ended = results.read("outcomes", [trial.id] if trial.id in results.names("outcomes") else [])
    if ended.num_rows:
        row = ended.to_pylist()[0]
        yield Progress(
            trial.id, row["epochs"], trial.training.epochs, None, 0.0, row["status"], row["error"]
        )
        return
    machine.reset()
    begun = perf_counter()
    state = _checkpoint(trial, results)
    rows, done, before = [], 0, 0.0
    if state:
        done, before = state["epoch"], state["wall_s"]
        earlier = results.read("metrics", [trial.id])
        rows = earlier.filter(pc.field("epoch") <= done).to_pylist()
    if trial.split.protocol == "pairs" and not state:
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
        except Exception as reason:  # noqa: BLE001
            # whatever a trial raises is its outcome, not the sweep's
            status, error = "failed", f"{type(reason).__name__}: {reason}"
            break
        done, last = epoch.number, epoch.last
        rows += epoch.metrics
        results.write("metrics", trial.id, rows)
        accuracy = _headline(epoch)
        wall_s = before + perf_counter() - begun
        if not last:
            _save(trial, results, epoch.state | {"wall_s": wall_s, "version": VERSION})
            yield Progress(trial.id, done, trial.training.epochs, accuracy, perf_counter() - begun)
        else:
            results.write("predictions", trial.id, epoch.predictions)
            if learned := epoch.state.get("model"):
                weights = safetensors.torch.save(_contiguous(learned))
                results.put(weights, "weights", f"{trial.id}.safetensors")
    end(trial, results, status, error, done, before + perf_counter() - begun, machine)
    results.remove("checkpoints", trial.id)
    seconds = perf_counter() - begun
    yield Progress(trial.id, done, trial.training.epochs, accuracy, seconds, status, error)


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
    outcome = {
        "trial": trial.id,
        "status": status,
        "error": error,
        "epochs": epochs,
        "wall_s": wall_s,
        "node": platform.node(),
        "device": machine.name if machine else "",
        "precision": machine.precision_name if machine else "",
        "peak_memory_bytes": machine.peak_memory() if machine else 0,
        "versions": versions(),
    }
    results.write("outcomes", trial.id, [outcome])


def _save(trial: Trial, results: Results, state: dict[str, Any]) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    results.put(content.getbuffer(), "checkpoints", trial.id, CHECKPOINT)


def _checkpoint(trial: Trial, results: Results) -> dict[str, Any] | None:
    saved = results.get("checkpoints", trial.id, CHECKPOINT)
    if saved is None:
        return None
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001
        # torch.load raises many kinds of error for a damaged file
        warnings.warn(
            f"trial {trial.id}: its checkpoint is damaged ({error}); from the start", stacklevel=2
        )
        return None
    if state.get("version") != VERSION:
        warnings.warn(
            f"trial {trial.id}: its checkpoint is of another version of Overhear; from the start",
            stacklevel=2,
        )
        return None
    return state


def _headline(epoch: Epoch) -> float | None:
    found = {
        row["split"]: row["value"]
        for row in epoch.metrics
        if row["metric"] == "accuracy" and row["device"] == "all"
    }
    return next((found[split] for split in HEADLINE if split in found), None)


def _contiguous(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in the plain layout that safetensors holds, on the CPU."""
    return {name: value.detach().cpu().contiguous() for name, value in weights.items()}
