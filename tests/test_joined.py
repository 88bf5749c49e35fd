"""analysis.joined: several results folders read as one; what counts, and what is refused."""

import shutil
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_analysis_table import complete, end, measure, plan, predict, trial

from analysis import reading, table
from analysis.commands.analyze import analyze
from analysis.data import Data, opened
from scaling.results.records import VERSION, Results
from scaling.settings import Trial


@pytest.fixture
def two(tmp_path: Path) -> tuple[Results, Results]:
    """Two empty results folders."""
    made = Results(tmp_path / "one"), Results(tmp_path / "two")
    for each in made:
        each.prepare()
    return made


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["trial", "split", "device"], ignore_index=True)


Two = tuple[Results, Results]


def test_trials_of_two_folders_are_one_study(two: Two, tmp_path: Path) -> None:
    first, second = ({trial(seed=s): {"test": [0.1 + s / 10]} for s in of} for of in ((0, 1), (2,)))
    complete(two[0], first)
    complete(two[1], second)
    whole = Results(tmp_path / "whole")
    complete(whole, first | second)
    pd.testing.assert_frame_equal(ordered(table.scores(two)), ordered(table.scores(whole)))
    data = opened([two[0].where, two[1].where])
    assert list(data.manifest["trial"]) == [each.id for each in (*first, *second)]


def test_a_copy_counts_once(two: Two) -> None:
    complete(two[0], {trial(seed=s): {"test": [0.5]} for s in range(2)})
    shutil.copytree(two[0].base, two[1].base, dirs_exist_ok=True)
    rows = two[1].read("metrics", [trial().id]).to_pylist()
    clock = rows[0] | {"metric": "train_seconds", "value": 7.0}
    two[1].write("metrics", trial().id, [*rows, clock])
    pd.testing.assert_frame_equal(table.scores(two), table.scores(two[0]))
    assert reading.counts(reading.progress(two))["complete"] == 2


@pytest.mark.parametrize("status", ["stopped", "failed", "running", "missing"])
def test_complete_counts_before_anything_else(two: Two, status: str) -> None:
    unfinished, finished = two
    plan(unfinished, "launch", [trial()], commit="early")
    if status != "missing":
        measure(unfinished, trial(), {"test": [0.1, 0.2]})
    if status in ("stopped", "failed"):
        end(unfinished, trial(), status)
    complete(finished, {trial(): {"test": [0.9]}})
    predict(finished, trial(), 4)
    for both in ((unfinished, finished), (finished, unfinished)):
        scores = table.scores(both)
        assert scores["value"].max() == 0.9
        assert list(scores["commit"].unique()) == ["c1"]
        assert list(scores["chance"].unique()) == [0.25]
        assert reading.counts(reading.progress(both))["complete"] == 1
        assert [name for name, _ in Data(both).predictions()] == [trial().id]


def test_a_file_that_only_the_copy_has_is_read_from_there(two: Two) -> None:
    for each in two:
        complete(each, {trial(): {"test": [0.5]}})
    predict(two[1], trial(), 10)
    assert list(table.scores(two)["chance"].unique()) == [0.1]


def test_a_trial_may_have_ended_where_no_manifest_plans_it(two: Two) -> None:
    plan(two[0], "launch", [trial()])
    plan(two[1], "launch", [trial(seed=1)])
    measure(two[1], trial(), {"test": [0.4]})
    end(two[1], trial())
    assert table.scores(two)["value"].max() == 0.4


def conflict(two: Two, *values: float) -> Trial:
    for each, value in zip(two, values, strict=True):
        complete(each, {trial(): {"test": [0.25, value]}})
    return trial()


def test_other_metrics_of_one_trial_are_refused(two: Two) -> None:
    one = conflict(two, 0.5, 0.75)
    with pytest.raises(ValueError, match=r"^trial") as found:
        reading.load(two)
    assert str(found.value) == (
        f"trial {one.id} has accuracy on test, device a, in epoch 2: 0.25 and 0.375 in "
        f"{two[0].where} and in {two[1].where}: leave one of the two folders out, or move this "
        "trial's files out of it"
    )


def test_an_epoch_that_only_one_has_is_refused(two: Two) -> None:
    complete(two[0], {trial(): {"test": [0.5]}})
    complete(two[1], {trial(): {"test": [0.5, 0.5]}})
    with pytest.raises(ValueError, match=r"device a, in epoch 2: none and 0\.25 in "):
        reading.load(two)


def test_other_data_of_one_trial_are_told(two: Two) -> None:
    for each, digest in zip(two, ("2-a", "2-b"), strict=True):
        complete(each, {trial(): {"test": [0.5]}})
        plan(each, "launch", [trial()], data_digest=digest)
    with pytest.warns(UserWarning, match="^1 trials stand in several folders with other data_dig"):
        reading.load(two)
    measure(two[1], trial(), {"test": [0.75]})
    with pytest.raises(ValueError, match=r" in .*two, data_digest 2-a and 2-b: leave one"):
        reading.load(two)


def test_other_data_of_other_trials_are_told_as_in_one_folder(two: Two, tmp_path: Path) -> None:
    for seed, each in enumerate(two):
        complete(each, {trial(seed=seed): {"test": [0.5]}})
        plan(each, "launch", [trial(seed=seed)], data_digest=f"2-{seed}")
    with pytest.warns(UserWarning, match="^the trials saw 2 versions of synthetic: data_digest"):
        analyze([each.where for each in two], out=str(tmp_path / "figures"))


def test_studies_may_be_in_one_folder_only(two: Two) -> None:
    complete(two[0], {trial(): {"test": [0.5]}})
    complete(two[1], {trial(seed=1): {"test": [0.5]}})
    plan(two[1], "launch", [trial(seed=1)], study="other")
    assert list(reading.load(two, ["other"]).manifest["trial"]) == [trial(seed=1).id]
    with pytest.raises(ValueError, match=r"^--study othr: not planned in .*one, .*two .did you"):
        reading.load(two, ["othr"])


def test_a_setting_that_one_folder_lacks_is_off(two: Two) -> None:
    for seed, each in enumerate(two):
        complete(each, {trial(seed=seed): {"test": [0.5]}})
    path = two[0].path("manifest", "launch.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["augment.mixup"]), path)
    assert table.scores(two)["augment.mixup"].unique().tolist() == [0.0]


def refused(two: Two, match: str) -> None:
    for places in (two, two[::-1]):
        with pytest.raises(ValueError, match=match) as found:
            opened([each.where for each in places])
        assert "\n" not in str(found.value)


def test_an_empty_folder_is_named(two: Two) -> None:
    complete(two[0], {trial(): {"test": [0.5]}})
    refused(two, f"^{two[1].where} is not a results folder ")


def test_a_half_written_folder_is_named(two: Two) -> None:
    for seed, each in enumerate(two):
        complete(each, {trial(seed=seed): {"test": [0.5]}})
    path = Path(two[1].path("outcomes", f"{trial(seed=1).id}.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    refused(two, f"^{path} cannot be read ")


def test_a_newer_folder_is_named(two: Two) -> None:
    for seed, each in enumerate(two):
        complete(each, {trial(seed=seed): {"test": [0.5]}})
    path = two[1].path("manifest", "launch.parquet")
    content: pa.Table = pq.read_table(path)
    pq.write_table(content.replace_schema_metadata({b"overhear": b"%d" % (VERSION + 1)}), path)
    refused(two, f"^{path} was written by a newer version of Overhear ")


def test_one_folder_twice_is_refused(two: Two, tmp_path: Path) -> None:
    complete(two[0], {trial(): {"test": [0.5]}})
    (tmp_path / "link").symlink_to(two[0].base)
    for other in (two[0].where, tmp_path / "link", f"file://{two[0].base}", f"{two[0].base}/"):
        with pytest.raises(ValueError, match="is named twice: name each results folder once"):
            opened([two[0].where, other])
    with pytest.raises(ValueError, match=r"^no results folder: name at least one"):
        opened([])


def test_analyze_joins_and_needs_out(two: Two, tmp_path: Path) -> None:
    for seed, each in enumerate(two):
        complete(each, {trial(seed=seed): {"test": [0.5]}})
    where = [each.where for each in two]
    with pytest.raises(ValueError, match=r"^2 results folders are joined: .* with --out$"):
        analyze(where)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analyze(where, out=str(tmp_path / "figures"))
    points = pd.read_csv(tmp_path / "figures" / "accuracy_vs_parameters.csv")
    assert sorted(points["trials"].item().split()) == sorted([trial().id, trial(seed=1).id])


def test_a_look_at_joined_folders_again_sees_what_is_new(two: Two) -> None:
    complete(two[0], {trial(): {"test": [0.5]}})
    plan(two[1], "launch", [trial(seed=1)])
    before = reading.load(two)
    complete(two[1], {trial(seed=1): {"test": [0.5]}})
    assert reading.counts(reading.progress(before))["complete"] == 1
    assert reading.counts(reading.progress(reading.reloaded(before)))["complete"] == 2
