from pathlib import Path

from scaling.results.manifest import plan
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.run_trial import outcome_here
from scaling.settings import Trial, changed
from sweeps import lineage, schedule


def test_only_what_has_no_outcome_is_pending_largest_first(trial, tables, tmp_path: Path):
    trials = [changed(trial, {"network.width": w}) for w in (2, 4, 8, 6)]
    planned = plan("s", trials, tables)
    results = Results(tmp_path)
    assert schedule.pending(planned, results) == [2, 3, 1, 0]
    results.end(outcome_here(trials[2], Status.COMPLETE, None, epochs=3))
    results.end(outcome_here(trials[0], Status.FAILED, None, epochs=3))
    assert schedule.pending(planned, results) == [3, 1]
    assert schedule.pending(planned, results, retry_failed=True) == [3, 1, 0]
    assert results.ended() == {trials[2].id}


def staged(trials: list[Trial]) -> list[list[int]]:
    """The places of each stage's trials."""
    at = {trial.id: place for place, trial in enumerate(trials)}
    return [[at[trial.id] for trial in stage] for stage in lineage.stages(trials)]


def behind(trial: Trial, other: Trial, **changes: object) -> Trial:
    """A trial that takes over from another one."""
    return changed(trial, {"transfer.trial": other.id, **changes})


def test_what_is_taken_over_is_trained_before(trial: Trial):
    """Order is kept otherwise; a source that is no part of the launch is not waited for."""
    first, second = changed(trial, {"seed": 0}), changed(trial, {"seed": 1})
    assert staged([first, second, trial]) == [[0, 1, 2]]
    early, late = behind(trial, second), behind(trial, first)
    assert staged([early, first, late, second, trial]) == [[1, 3, 4], [0, 2]]
    assert staged([early, late, trial]) == [[0, 1, 2]]
    assert staged([]) == []


def test_chains_of_three(trial: Trial):
    first = changed(trial, {"seed": 0})
    second = behind(trial, first)
    third = behind(trial, second)
    other = behind(trial, first, seed=9)
    assert staged([third, second, other, first]) == [[3], [1, 2], [0]]
    assert staged([third, second]) == [[1], [0]]


def test_what_trains_nothing_is_done_last(trial: Trial, tables, tmp_path: Path):
    """Neighbours have work, too: one forward pass; MFCC have none that is counted."""
    plain = {"network.kind": "mfcc", "network.depth": 0, "network.pointwise": 0}
    still = {"objective.kind": "neighbours", "augment.roll": 0, "augment.mixup": 0}
    mfcc = changed(trial, {"training.epochs": 9, **still, **plain})
    embedded = behind(trial, trial, **still)
    planned = plan("s", [mfcc, embedded, trial], tables)
    assert schedule.pending(planned, Results(tmp_path)) == [2, 1, 0]
    assert planned.work(0) == 0
    assert 0 < planned.work(1) < planned.work(2)
