"""The plan of a launch and its manifest."""

import json
from pathlib import Path

import pytest

from scaling.results import manifest
from scaling.results.records import Results
from scaling.settings import changed


def test_work_is_three_forward_passes_of_every_clip(trial, tables):
    planned = manifest.plan("s", [trial], tables)
    assert planned.train_clips == [16]  # 2 classes x 8 clips of fold 2 on device a
    assert planned.parts == [{"train": 16, "seen": 16, "unseen": 16}]
    assert planned.work(0) == 3 * planned.prices[0].cost.macs * 16 * 3


def test_manifest_rows(trial, tables, tmp_path: Path):
    planned = manifest.plan("s", [trial], tables)
    results = Results(tmp_path)
    manifest.record(planned, {trial.id: "d1"}, results)
    manifest.record(planned, {trial.id: "d1"}, results)
    assert len(results.names("manifest")) == 1, "a launch that plans nothing new writes nothing"
    (row,) = results.read("manifest").to_pylist()
    assert row["trial"] == trial.id
    assert row["network.width"] == 2
    assert row["parameters"] == planned.prices[0].cost.parameters
    assert row["data_digest"] == "d1"
    other = changed(trial, {"seed": 8})
    manifest.record(manifest.plan("s", [other], tables), {other.id: "d1"}, results)
    assert results.read("manifest").num_rows == 2


def test_other_data_is_not_mixed_in(trial, tables, tmp_path: Path):
    planned = manifest.plan("s", [trial], tables)
    manifest.record(planned, {trial.id: "d1"}, Results(tmp_path))
    with pytest.raises(ValueError, match=rf"has trial {trial.id} on other data .*d1.*d2.*--out"):
        manifest.record(planned, {trial.id: "d2"}, Results(tmp_path))


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
        manifest.plan("s", [changed(trial, change)], tables)
    assert "\n" not in str(caught.value)


def test_rows_are_json_safe(trial, tables):
    (row,) = manifest.rows(manifest.plan("s", [trial], tables), {trial.id: "d"})
    row["planned"] = str(row["planned"])
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"pruning.kind": "static", "pruning.target": 10**9}, "cannot keep 1000000000 weights of"),
        ({"pruning.kind": "static", "pruning.target": 3}, "would be left empty"),
        (
            {"pruning.kind": "magnitude", "pruning.target": 14, "pruning.length": 1},
            "pruning.guard=0.99 protects more",
        ),
    ],
)
def test_an_impossible_target_is_refused_before_anything_trains(trial, tables, changes, line):
    with pytest.raises(ValueError, match=line):
        manifest.plan("s", [changed(trial, changes)], tables)


def test_the_manifest_says_what_is_kept(trial, tables):
    pruned = changed(trial, {"pruning.kind": "static", "pruning.target_width": 1})
    (row,) = manifest.rows(manifest.plan("s", [pruned], tables), {pruned.id: "d"})
    narrow = changed(trial, {"network.width": 1})
    (dense,) = manifest.rows(manifest.plan("s", [narrow], tables), {narrow.id: "d"})
    assert row["kept_weights"] == dense["kept_weights"] == dense["weights"] < row["weights"]


def test_a_trial_may_belong_to_several_studies(trial, tables, tmp_path: Path):
    results, digests = Results(tmp_path), {trial.id: "d1"}
    for study in ("one", "two", "one"):
        manifest.record(manifest.plan(study, [trial], tables), digests, results)
    assert sorted(results.read("manifest")["study"].to_pylist()) == ["one", "two"]


def test_one_class_is_nothing_to_tell_apart(trial, tables):
    one = {"synthetic": tables["synthetic"].assign(label="x")}
    with pytest.raises(ValueError, match=r"^synthetic: all 64 clips are of class x: at least two"):
        manifest.plan("s", [trial], one)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"training.batch": 17},
            "only 16 clips to train on, take at most 16, or training",
        ),
        ({"training.batch": 17, "split.fraction": 0.5}, "only 8 clips"),
        ({"split.clips_per_class": 1}, "only 2 clips"),
    ],
)
def test_a_batch_above_the_training_clips_is_refused_while_planning(trial, tables, change, line):
    with pytest.raises(ValueError, match=f"^training.batch=.*{line}"):
        manifest.plan("s", [changed(trial, change)], tables)


def test_a_partial_batch_of_two_is_enough(trial, tables):
    few = {"training.batch": 99, "training.partial": True, "split.clips_per_class": 1}
    assert manifest.plan("s", [changed(trial, few)], tables).train_clips == [2]


def test_clips_are_counted_by_design(trial, tables):
    trials = [trial, changed(trial, {"split.fold": 2}), changed(trial, {"split.train_devices": ()})]
    planned = manifest.plan("s", trials, tables)
    assert manifest.counted(planned.parts) == [
        "clips: 16 train, 16 seen, 16 unseen (2 trials)",
        "clips: 32 train, 32 test (1 trial)",
    ]
    assert manifest.counted(planned.parts[2:]) == ["clips: 32 train, 32 test"]
