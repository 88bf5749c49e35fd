import json
from pathlib import Path

import pandas as pd
import pytest

from scaling.config import Trial, changed
from scaling.records import Results
from sweeps import launch


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """A clip table of 2 classes, 2 folds, 2 devices."""
    rows = [
        {"clip": f"{label}{fold}{device}{i}", "label": label, "fold": fold, "device": device}
        for label in "xy"
        for fold in (1, 2)
        for device in "ab"
        for i in range(5)
    ]
    table = pd.DataFrame(rows).assign(city="", speaker="", source="", size=1, fingerprint="f")
    return {"synthetic": table.astype({"fold": "Int64"})}


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
    plan = launch.plan("s", trials, tables)
    results = Results(tmp_path)
    assert launch.pending(plan, results) == [2, 3, 1, 0]
    results.write("outcomes", trials[2].id, [outcome(trials[2], "complete")])
    results.write("outcomes", trials[0].id, [outcome(trials[0], "failed")])
    assert launch.pending(plan, results) == [3, 1]
    assert launch.pending(plan, results, retry_failed=True) == [3, 1, 0]
    assert results.names("outcomes") == [trials[2].id]


def test_work_is_three_forward_passes_of_every_clip(trial, tables):
    plan = launch.plan("s", [trial], tables)
    assert plan.train_clips == [10]  # 2 classes x 5 clips of fold 2 on device a
    assert plan.work(0) == 3 * plan.costs[0].macs * 10 * 3


def test_manifest_rows(trial, tables, tmp_path: Path):
    plan = launch.plan("s", [trial], tables)
    results = Results(tmp_path)
    launch.record(plan, {"synthetic": "d1"}, results)
    launch.record(plan, {"synthetic": "d1"}, results)
    assert len(results.names("manifest")) == 1, "a launch that plans nothing new writes nothing"
    (row,) = results.read("manifest").to_pylist()
    assert row["trial"] == trial.id
    assert row["network.width"] == 2
    assert row["parameters"] == plan.costs[0].parameters
    assert row["data_digest"] == "d1"
    launch.record(
        launch.plan("s", [changed(trial, {"seed": 8})], tables), {"synthetic": "d1"}, results
    )
    assert results.read("manifest").num_rows == 2


def test_other_data_is_not_mixed_in(trial, tables, tmp_path: Path):
    plan = launch.plan("s", [trial], tables)
    launch.record(plan, {"synthetic": "d1"}, Results(tmp_path))
    with pytest.raises(ValueError, match=rf"has trial {trial.id} on other data .*d1.*d2.*--out"):
        launch.record(plan, {"synthetic": "d2"}, Results(tmp_path))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"split.fold": 7}, "fold=7"),
        ({"split.train_devices": ("c",)}, "c"),
        ({"sound.features.mels": 8}, "8 mel bands x 32 frames is too small"),
    ],
)
def test_misfits_are_said_before_anything_starts(trial, tables, change, line):
    with pytest.raises(ValueError, match=line) as caught:
        launch.plan("s", [changed(trial, change)], tables)
    assert "\n" not in str(caught.value)


def test_rows_are_json_safe(trial, tables):
    (row,) = launch.rows(launch.plan("s", [trial], tables), {"synthetic": "d"})
    row["planned"] = str(row["planned"])
    assert json.loads(json.dumps(row)) == row
