"""More epochs: a trial that goes on where a shorter one ended is as if it had never been cut."""

from pathlib import Path

import pytest
from test_run_trial import records

from scaling import machine
from scaling.results import checkpoint, continuation
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store

STEADY = {"training.final": 1.0, "training.decay": 0.9, "evaluation.every": 2}


def epochs(trial: Trial, number: int, **more: object) -> Trial:
    return changed(trial, {**STEADY, "training.epochs": number, **more})


def test_a_longer_trial_goes_on_and_is_the_same(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    """Also where the shorter one scored an epoch that the longer one does not: its last."""
    short, long = epochs(trial, 3), epochs(trial, 6)
    list(run_trial(long, store, here, Results(tmp_path / "alone")))
    results = Results(tmp_path / "extended")
    list(run_trial(short, store, here, results))
    before = records(tmp_path / "extended", short)
    heard = list(run_trial(long, store, here, results))
    assert [progress.epoch for progress in heard] == [4, 5, 6]
    assert records(tmp_path / "extended", long) == records(tmp_path / "alone", long)
    assert records(tmp_path / "extended", short) == before
    scored = {
        r["epoch"] for r in results.read("metrics", [short.id]).to_pylist() if r["split"] != "train"
    }
    assert scored == {2, 3}
    more = list(run_trial(epochs(trial, 7), store, here, results))
    assert [progress.epoch for progress in more] == [7], "it goes on from the longest"


@pytest.mark.parametrize("changes", [{"seed": 9}, {"training.rate": 1e-3}, {"evaluation.every": 1}])
def test_any_other_trial_begins_at_the_beginning(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path, changes: dict[str, object]
):
    results = Results(tmp_path)
    list(run_trial(epochs(trial, 2), store, here, results))
    long = changed(epochs(trial, 3), changes)
    assert next(run_trial(long, store, here, results)).epoch == 1


@pytest.mark.parametrize("changes", [{"training.final": 0.1}, {"training.patience": 5}])
def test_nothing_is_taken_where_more_epochs_would_be_others(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path, changes: dict[str, object]
):
    """Not even a state that happens to be there."""
    results = Results(tmp_path)
    short, long = (changed(epochs(trial, number), changes) for number in (2, 3))
    list(run_trial(short, store, here, results))
    results.put(b"", "checkpoints", short.id, checkpoint.NAME)
    assert continuation.shorter(long, results) is None
    assert next(run_trial(long, store, here, results)).epoch == 1


def test_what_is_no_use_to_a_longer_trial_is_not_kept(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    results = Results(tmp_path)
    falling = changed(epochs(trial, 2), {"training.final": 0.1})
    for each in (falling, epochs(trial, 2)):
        list(run_trial(each, store, here, results))
    assert results.folders("checkpoints") == [epochs(trial, 2).id]
    assert continuation.shorter(epochs(trial, 2), results) is None, "it is not shorter than itself"


def test_a_shorter_trial_that_still_runs_is_left_alone(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    results = Results(tmp_path)
    running = run_trial(epochs(trial, 4), store, here, results)
    next(running)
    assert results.folders("checkpoints") == [epochs(trial, 4).id]
    assert continuation.shorter(epochs(trial, 6), results) is None
    running.close()
