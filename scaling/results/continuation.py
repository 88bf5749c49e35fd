"""Continuation: where a trial starts, at its last checkpoint or where a shorter trial ended.

A shorter trial is one of fewer epochs that is else the same, and serves only where nothing depends
on how many epochs there are: a rate that falls to its end over all of them makes every epoch of
another trial another one. Contents: Start, `start`, `open_ended`, `shorter`.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow.compute as pc

from scaling.results import checkpoint
from scaling.results.records import Damaged, Results
from scaling.settings import Trial, changed
from scaling.training.evaluation import due


class Start(NamedTuple):
    """What a trial starts from; by default, from nothing."""

    state: Mapping[str, Any] | None = None  # for scaling.training.loop.run
    metrics: Sequence[Mapping[str, Any]] = ()  # rows of its record so far
    epoch: int = 0  # epochs trained
    wall_s: float = 0.0  # seconds that they took


def start(trial: Trial, results: Results) -> Start:
    """Where this trial starts. Warns where what was kept is of no use."""
    of, state = trial, checkpoint.load(trial, results)
    if state and state["epoch"] == trial.training.epochs:  # kept for a longer trial
        state = None
    if state is None and (other := shorter(trial, results)):
        of, state = other, checkpoint.load(other, results)
    if state is None:
        return Start()
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
        warnings.warn(f"trial {trial.id}: {reason}; the trial starts over", stacklevel=2)
        return Start()
    # a shorter trial scored its last epochs, which are none of the last here
    epochs, evaluation = trial.training.epochs, trial.evaluation
    metrics = [
        row for row in rows if row["split"] == "train" or due(evaluation, row["epoch"], epochs)
    ]
    return Start(state, metrics, state["epoch"], state["wall_s"])


def open_ended(trial: Trial) -> bool:
    """Whether a trial's epochs are those that it would begin with, had it more of them.

    One whose patience may end it is left out: it would end where the shorter one did.
    """
    training = trial.training
    endless = training.final == 1 and not training.patience and trial.pruning.open_ended
    endless = endless and not training.adversarial  # which grows over all of them
    return trial.objective.trains and endless


def shorter(trial: Trial, results: Results) -> Trial | None:
    """The trial with most of this one's epochs that has ended and left its last state."""
    if not open_ended(trial):
        return None
    left = checkpoint.trials(results)
    for epochs in range(trial.training.epochs - 1, 0, -1) if left else ():
        try:
            other = changed(trial, {"training.epochs": epochs})
        except ValueError:  # too few for its warm-up, or for its cuts
            return None
        if other.id in left and results.ended([other.id]):
            return other
    return None
