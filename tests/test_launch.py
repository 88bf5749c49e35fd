from pathlib import Path

from scaling.config import Trial, changed
from scaling.plan import plan
from scaling.records import Results
from sweeps import launch


def outcome(trial: Trial, status: str) -> dict[str, object]:
    return {
        "trial": trial.id,
        "status": status,
        "error": None,
        "epochs": 3,
        "wall_s": 1.0,
        "node": "n",
        "device": "cpu",
        "precision": "float32",
        "peak_memory_bytes": 1,
        "versions": "{}",
    }


def test_only_what_has_no_outcome_is_pending_largest_first(trial, tables, tmp_path: Path):
    trials = [changed(trial, {"network.width": w}) for w in (2, 4, 8, 6)]
    planned = plan("s", trials, tables)
    results = Results(tmp_path)
    assert launch.pending(planned, results) == [2, 3, 1, 0]
    results.write("outcomes", trials[2].id, [outcome(trials[2], "complete")])
    results.write("outcomes", trials[0].id, [outcome(trials[0], "failed")])
    assert launch.pending(planned, results) == [3, 1]
    assert launch.pending(planned, results, retry_failed=True) == [3, 1, 0]
    assert results.names("outcomes") == [trials[2].id]
