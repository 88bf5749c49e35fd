"""analysis.table: who counts, what is averaged, what a family is.

The builders of synthetic results folders here also serve test_figures and test_analysis_cli.
"""

import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.stats
from scipy.optimize import brentq

from analysis import reading, table
from analysis.conditions import PRUNING, labels, prunings
from analysis.intervals import crossed, of_share
from analysis.units import estimate
from scaling import settings
from scaling.results.records import VERSION, Results
from scaling.seeds import stream
from scaling.settings import Trial

BASE = Trial.model_validate(
    {
        "seed": 0,
        "sound": {
            "dataset": "synthetic",
            "rate": 16000,
            "seconds": 1,
            "features": {"kind": "log_mel", "window": 512, "hop": 256, "mels": 64},
        },
        "split": {"protocol": "folds", "fold": 1, "train_devices": ["a"]},
        "network": {"kind": "cp_resnet", "width": 8, "depth": 1, "pointwise": 1},
        "training": {"epochs": 3, "batch": 16, "rate": 1e-3},
    }
)
STATIC = {"pruning__kind": "static", "pruning__target_width": 4}
THROUGH_TWO = {"microphones__train": "x,y", "microphones__share": 0.5}
MAGNITUDE = STATIC | {"pruning__kind": "magnitude", "pruning__length": 1}
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


def trial(**changes: Any) -> Trial:
    """BASE with some fields changed; `network__width=16` is network.width."""
    return settings.changed(BASE, {name.replace("__", "."): v for name, v in changes.items()})


def plan(
    results: Results, launch: str, trials: Sequence[Trial], hours: int = 0, **more: Any
) -> None:
    """Write one launch's manifest; parameters are 1000 x width x (depth + pointwise).

    Pruned trials keep the weights that their target names.
    """
    rows = []
    for planned in trials:
        columns = settings.flat(planned)
        blocks = 1000 * (columns["network.depth"] + columns["network.pointwise"])
        size = planned.network.width * blocks
        width = columns["pruning.target_width"] or planned.network.width
        kept = columns["pruning.target"] or width * blocks - 8
        cost = {"parameters": size, "weights": max(0, size - 8), "macs": size * 7}
        cost |= {"kept_weights": max(0, kept), "dcase_macs": size * 7 + 8}
        about = {"receptive_field": 103, "data_digest": "d1", "commit": "c1", **more}
        when = NOON + timedelta(hours=hours)
        row = {"trial": planned.id, "study": "s", **columns, **cost}
        rows.append(row | about | {"planned": when})
    results.write("manifest", launch, rows)


class Plain(NamedTuple):
    """A plain reading of an estimate: t over these values by scipy, within bounds."""

    mean: float
    low: float
    high: float
    n: int
    unit: str


def plain(
    values: Sequence[float],
    unit: str = "seeds on one split",
    least: float = -math.inf,
    most: float = math.inf,
) -> Plain:
    """The mean of the values, one per unit, and its 95 % interval; none for fewer than three;
    from 0 to 1 that of a share, solved by search.
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 3:
        return Plain(mean, math.nan, math.nan, n, unit)
    with np.errstate(invalid="ignore"):
        low, high = scipy.stats.t.interval(0.95, n - 1, mean, scipy.stats.sem(values))
    if (least, most) == (0, 1):
        error, spread = (high - low) / 2, mean * (1 - mean)

        def beyond(p: float) -> float:
            return float((p - mean) ** 2 - error**2 * p * (1 - p) / spread)

        low, high = brentq(beyond, 0, mean), brentq(beyond, mean, 1)
    return Plain(mean, max(least, low), min(most, high), n, unit)


def same(found: Sequence[Any], expected: Plain) -> bool:
    """Whether an estimate's mean, low, high, n and unit are these."""
    *numbers, unit = found
    return unit == expected.unit and numbers == pytest.approx(expected[:4], nan_ok=True)


def measure(results: Results, of: Trial, splits: Mapping[str, Sequence[float]]) -> None:
    """Write accuracies of the epochs 1, 2, ... of each split, at most 1; device a has half."""
    rows = [
        {"trial": of.id, "epoch": e, "split": split, "device": d, "metric": m, "value": value}
        for split, values in splits.items()
        for e, v in enumerate(values, start=1)
        for share in (min(v, 1.0),)
        for d, m, value in (
            ("all", "accuracy", share), ("a", "accuracy", share / 2), ("all", "loss", v + 1),
        )
    ]  # fmt: skip
    results.write("metrics", of.id, rows)


def end(results: Results, of: Trial, status: str = "complete", error: str | None = None) -> None:
    """Write a trial's outcome after 3 epochs."""
    row = {"trial": of.id, "status": status, "error": error, "epochs": 3, "wall_s": 1.0}
    machine = {"node": "n", "device": "cpu", "precision": "float32", "peak_memory_bytes": 1}
    results.write("outcomes", of.id, [row | machine | {"versions": "{}"}])


def complete(results: Results, trials: Mapping[Trial, Mapping[str, Sequence[float]]]) -> None:
    """Plan, measure and end these trials."""
    plan(results, "launch", list(trials))
    for one, splits in trials.items():
        measure(results, one, splits)
        end(results, one)


def mixed(results: Results) -> list[Trial]:
    """Seven trials: two complete, one stopped, two failed, one running in epoch 2, one missing."""
    trials = [trial(seed=s) for s in range(7)]
    plan(results, "launch", trials)
    for one in trials[:5]:
        measure(results, one, {"test": [0.1, 0.2, 0.3 + one.seed / 100]})
    measure(results, trials[5], {"test": [0.9, 0.9]})
    for one, status in zip(trials, ["complete"] * 2 + ["stopped"] + ["failed"] * 2, strict=False):
        reason = f"OutOfMemoryError: CUDA out of memory. Tried to {one.seed} it"
        end(results, one, status, reason if status == "failed" else None)
    return trials


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """An empty results folder."""
    made = Results(tmp_path / "results")
    made.prepare()
    return made


def test_manifest_keeps_the_latest_plan_of_each_trial(results: Results) -> None:
    one, two = trial(), trial(seed=1)
    plan(results, "b", [one], hours=1, commit="early")
    plan(results, "a", [one, two], hours=2, commit="late")
    plan(results, "c", [two], hours=0, commit="first")
    frame = reading.manifest(results)
    assert sorted(frame["trial"]) == sorted([one.id, two.id])
    assert list(frame["commit"]) == ["late", "late"]
    assert frame["split.validation_fold"].isna().all()
    assert frame["seed"].dtype == "int64"


def test_repeated_planning_duplicates_no_score(results: Results) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    plan(results, "again", [trial()], hours=1)
    frame = table.scores(results)
    assert list(frame["device"]) == ["a", "all"]
    assert len(reading.progress(results)) == 1


def test_progress_says_what_became_of_every_planned_trial(results: Results) -> None:
    trials = mixed(results)
    frame = reading.progress(results).set_index("trial").loc[[t.id for t in trials]]
    states = ["complete", "complete", "stopped", "failed", "failed", "running", "missing"]
    assert list(frame["status"]) == states
    assert list(frame["epochs"]) == [3, 3, 3, 3, 3, 2, 0]
    assert list(frame["error"].notna()) == [s == "failed" for s in states]
    assert reading.counts(reading.progress(results)) == {
        "complete": 2, "stopped": 1, "failed": 2, "running": 1, "missing": 1,
    }  # fmt: skip


def test_only_complete_trials_are_scored(results: Results) -> None:
    trials = mixed(results)
    frame = table.scores(results)
    frame = frame[frame["device"] == "all"].set_index("trial")
    assert frame["value"].to_dict() == {trials[0].id: 0.30, trials[1].id: 0.31}


def test_an_outcome_that_no_one_planned_is_not_scored(results: Results) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    measure(results, trial(seed=9), {"test": [0.9]})
    end(results, trial(seed=9))
    assert set(table.scores(results)["trial"]) == {trial().id}


def test_scores_average_the_last_evaluated_epochs(results: Results) -> None:
    complete(results, {trial(): {"seen": [0.0, 0.4, 0.8], "unseen": [0.0, 0.1]}})
    frame = table.scores(results, last=2).set_index(["split", "device"])
    assert frame.loc[("seen", "all"), "value"] == pytest.approx(0.6)
    assert frame.loc[("seen", "a"), "value"] == pytest.approx(0.3)
    assert frame.loc[("seen", "all"), "spread_over_epochs"] == pytest.approx(0.08**0.5)
    assert frame.loc[("unseen", "all"), "value"] == pytest.approx(0.05)
    assert list(table.scores(results, last=3)["epochs"]) == [3, 3, 2, 2]
    assert table.scores(results)["spread_over_epochs"].isna().all()
    assert table.scores(results, metric="loss")["value"].tolist() == [1.8, 1.1]  # seen, unseen


def test_scores_carry_the_manifest(results: Results) -> None:
    complete(results, {trial(network__width=16): {"test": [0.5]}})
    row = table.scores(results).iloc[0]
    assert (row["network.width"], row["parameters"], row["commit"]) == (16, 32000, "c1")


def test_scores_equal_a_plain_reading(results: Results) -> None:
    random = stream(5, "accuracies")
    splits_of = {"seen": 3, "test": 4}
    values: dict[Trial, dict[str, list[float]]] = {
        trial(seed=s): {split: random.random(n).tolist() for split, n in splits_of.items()}
        for s in range(4)
    }
    complete(results, values)
    frame = table.scores(results, last=3)
    for one, splits in values.items():
        for split, by_epoch in splits.items():
            chosen = (frame["trial"] == one.id) & (frame["split"] == split)
            got = frame[chosen & (frame["device"] == "all")]["value"].item()
            assert got == pytest.approx(sum(by_epoch[-3:]) / 3)


def test_a_study_read_once_gives_the_same(results: Results) -> None:
    mixed(results)
    study = reading.load(results)
    assert reading.load(study) is study
    pd.testing.assert_frame_equal(table.scores(study), table.scores(results))
    pd.testing.assert_frame_equal(reading.progress(study), reading.progress(results))


def test_no_complete_trial_gives_an_empty_table_with_all_columns(results: Results) -> None:
    full = Results(results.path("full"))
    complete(full, {trial(): {"test": [0.5]}})
    plan(results, "launch", [trial()])
    assert table.scores(results).empty
    assert list(table.scores(results).columns) == list(table.scores(full).columns)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}, {"seed": 1}], ["cp_resnet"] * 2),
        ([{"network__width": 16}, {"network__depth": 2, "split__fold": 2}], ["cp_resnet"] * 2),
        ([{"split__validation_fold": 3}, {"network__pointwise": 0}], ["cp_resnet"] * 2),
        ([{"network__damping": 0.99}, {}], ["damped 0.99", "base"]),
        (
            [{"network__damping": 0.99, "augment__mixup": 0.3}, {}],
            ["damped 0.99, mixup=0.3", "base, mixup=0"],
        ),
        ([{"sound__rate": 8000}, {}], ["sound.rate=8000", "sound.rate=16000"]),
        ([{"training__rate": 1e-4}, {}], ["training.rate=0.0001", "training.rate=0.001"]),
        ([{"sound__features__kind": "perceptual"}, {}], ["perceptual", "log-mel"]),
        ([{"evaluation__training_clips": True}, {}], ["training_clips=true",
                                                      "training_clips=false"]),
        ([{"split__train_devices": ()}, {}], ["train_devices=(empty)", "train_devices=a"]),
        ([{"split__labels": "uniform"}, {}], ["random labels", "true labels"]),
        ([THROUGH_TWO, {}], ["trained through 2 microphones", "trained as recorded"]),
        ([THROUGH_TWO, THROUGH_TWO | {"microphones__train": "v,w"}, {}],
         ["trained through x,y", "trained through v,w", "trained as recorded"]),
        ([THROUGH_TWO, THROUGH_TWO | {"microphones__share": 0.9}, {}],
         ["trained through 2 microphones, share=0.5", "trained through 2 microphones, share=0.9",
          "trained as recorded"]),
        ([STATIC | {"network__damping": 0.99}, {}], ["damped 0.99, static", "base, dense"]),
        ([STATIC, MAGNITUDE, {}], ["static", "iterative", "dense"]),
        ([MAGNITUDE, MAGNITUDE | {"pruning__score": "kernel"}, STATIC],
         ["iterative, score=weight", "iterative, score=kernel", "static"]),
        ([STATIC, STATIC | {"pruning__target_width": 8, "network__width": 16}],
         ["static, to width 4", "static, to width 8"]),
        ([STATIC, STATIC | {"pruning__target_width": 0, "pruning__target": 99}, {}],
         ["static, to width 4", "static, to 99 weights", "dense"]),
    ],
)  # fmt: skip
def test_family(results: Results, changes: list[dict[str, Any]], expected: list[str]) -> None:
    trials = [trial(**change) for change in changes]
    plan(results, "launch", trials)
    frame = reading.manifest(results)
    named = dict(zip(frame["trial"], labels(frame), strict=True))
    assert [named[one.id] for one in trials] == expected


def test_family_without_its_pruning(results: Results) -> None:
    damped = {"network__damping": 0.99}
    plan(results, "launch", [trial(**MAGNITUDE, **damped), trial(**STATIC, **damped), trial()])
    frame = reading.manifest(results)
    assert sorted(labels(frame, PRUNING)) == ["base", "damped 0.99", "damped 0.99"]
    assert sorted(prunings(frame)) == ["dense", "iterative", "static"]
    pruned = frame[frame["pruning.kind"] == "static"]
    assert list(labels(pruned)) == ["cp_resnet"]
    assert list(prunings(pruned)) == ["static"]


def test_scores_tell_what_pruning_leaves(results: Results) -> None:
    sparse, dense = trial(**STATIC), trial()
    complete(results, {sparse: {"test": [0.5]}, dense: {"test": [0.5]}})
    rows = table.scores(results).drop_duplicates("trial").set_index("trial")
    told = ["pruning.kind", "parameters", "kept_weights", "kept_parameters"]
    assert list(rows.loc[sparse.id, told]) == ["static", 16000, 7992, 8000]
    assert list(rows.loc[dense.id, told]) == ["none", 16000, 15992, 16000]


def predict(results: Results, of: Trial, classes: int) -> None:
    """Write one clip's predictions."""
    clip = {"clip": "a", "device": "a", "label": "x", "predicted": "x", "logits": [0.1] * classes}
    results.write("predictions", of.id, [{"trial": of.id, "epoch": 1, "split": "seen", **clip}])


def test_chance_is_that_of_guessing_among_the_dataset_s_classes(results: Results) -> None:
    one, other, silent = trial(), trial(seed=1), trial(sound__dataset="esc10")
    for launch, planned in (("d10", one), ("d4", other), ("d2", silent)):
        plan(results, launch, [planned], data_digest=launch)
        measure(results, planned, {"test": [0.5]})
        end(results, planned)
    predict(results, one, 10)
    predict(results, other, 4)
    chance = table.scores(results).set_index("trial")["chance"].groupby("trial").first()
    assert chance[one.id] == pytest.approx(0.1)
    assert chance[other.id] == pytest.approx(0.25)
    assert silent.id not in chance.dropna()


def test_the_study_says_how_many_epochs_are_averaged(results: Results) -> None:
    plan(results, "launch", [trial(), trial(seed=1)])
    assert table.stated_last(results) == 1
    plan(results, "launch", [trial(evaluation__last=2), trial(seed=1, evaluation__last=2)])
    assert table.stated_last(results) == 2
    plan(results, "again", [trial(evaluation__last=3)])
    assert table.stated_last(results) == 1


def test_a_setting_younger_than_its_manifest_is_off(results: Results) -> None:
    plan(results, "old", [trial()])
    path = results.path("manifest", "old.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["augment.mixup", "network.damping"]), path)
    plan(results, "new", [trial(network__damping=0.5), trial(seed=1)])
    frame = reading.manifest(results)
    assert frame["augment.mixup"].tolist() == [0.0] * 3
    assert sorted(labels(frame)) == ["base", "base", "damped 0.5"]


def test_errors_are_one_line(results: Results, tmp_path: Path) -> None:
    for empty in (Results(tmp_path / "nowhere"), results):
        with pytest.raises(ValueError, match=r"^.* is not a results folder .*overhear sweep"):
            table.scores(empty)
    complete(results, {trial(): {"test": [0.5]}})
    with pytest.raises(ValueError, match=r"metric=acuracy: .*did you mean accuracy"):
        table.scores(results, metric="acuracy")
    with pytest.raises(ValueError, match=r"last=0: .*last >= 1"):
        table.scores(results, last=0)


def test_a_value_that_is_not_finite_is_named(results: Results) -> None:
    complete(results, {trial(): {"test": [0.5, float("nan")]}})
    with pytest.raises(ValueError, match=f"accuracy=nan in epoch 2 of trial {trial().id} .test."):
        table.scores(results)


def test_a_complete_trial_without_metrics_is_not_dropped(results: Results) -> None:
    plan(results, "launch", [trial()])
    end(results, trial())
    with pytest.raises(ValueError, match=f"{trial().id} is complete but its metrics/.* is gone"):
        table.scores(results)


def test_a_newer_folder_is_refused(results: Results) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    path = results.path("outcomes", f"{trial().id}.parquet")
    newer = {b"overhear": str(VERSION + 1).encode()}
    content: pa.Table = pq.read_table(path)
    pq.write_table(content.replace_schema_metadata(newer), path)
    with pytest.raises(ValueError, match=r"written by a newer version of Overhear .*: update"):
        table.scores(results)


def test_needs_neither_torch_nor_ray() -> None:
    code = "import sys, analysis.table; print({'torch', 'ray', 'matplotlib'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def recorded_before(results: Results, of: Trial) -> str:
    """Plan and end a trial under the id that an earlier version gave it."""
    plan(results, f"before-{of.seed}", [of])
    measure(results, of, {"test": [0.1]})
    end(results, of)
    (before,) = settings.earlier_ids(of)
    for kind, name in (("manifest", f"before-{of.seed}"), ("metrics", of.id), ("outcomes", of.id)):
        rows = [row | {"trial": before} for row in results.read(kind, [name]).to_pylist()]
        results.remove(kind, f"{name}.parquet")
        results.write(kind, name if kind == "manifest" else before, rows)
    return before


def test_trials_of_before_a_revision_are_never_averaged_with_later_ones(results: Results) -> None:
    half = [trial(seed=s, split__fraction=0.5) for s in range(2)]
    before = recorded_before(results, half[0])
    with pytest.warns(UserWarning, match="1 trials are of an earlier version, which drew other"):
        assert list(table.scores(results)["trial"].unique()) == [before]
    plan(results, "later", half)
    measure(results, half[0], {"test": [0.9]})
    end(results, half[0])
    with pytest.warns(UserWarning, match="drew other clips for split.fraction: they are left out"):
        assert list(table.scores(results)["trial"].unique()) == [half[0].id]


def through_microphones(results: Results, microphones: int = 4) -> dict[int, list[float]]:
    """Three folds of 20 clips each, every clip heard through microphones; accuracies by fold."""
    values = {f: [0.5 + f / 20 + m / 10 for m in range(microphones)] for f in (1, 2, 3)}
    runs = {f: trial(split__fold=f) for f in values}
    plan(results, "launch", list(runs.values()))
    for f, one in runs.items():
        devices = {"all": sum(values[f]) / microphones}
        devices |= {f"m{m}": value for m, value in enumerate(values[f])}
        about = {"trial": one.id, "epoch": 1, "split": "unseen"}
        rows = [about | {"device": d, "metric": "accuracy", "value": v} for d, v in devices.items()]
        results.write("metrics", one.id, rows)
        answer = {"label": "x", "predicted": "x", "logits": [0.5, 0.5]}
        heard = [
            about | {"clip": f"{f}-{c}", "device": f"m{m}"} | answer
            for c in range(20)
            for m in range(microphones)
        ]
        results.write("predictions", one.id, heard)
        end(results, one)
    return values


def test_claims_about_unseen_devices_draw_devices_again(results: Results) -> None:
    values = through_microphones(results)
    scores = table.scores(results)
    runs = scores[scores["device"] == "all"]
    assert set(runs["clips"]) == {20}, "a clip through four microphones is one clip"
    found = estimate(runs)
    assert (found.n, found.unit) == (4, "devices x 3 folds")
    low, high = of_share(found.mean, np.diff(crossed([*values.values()]))[0] / 2)
    assert (found.low, found.high) == pytest.approx((low, high))
    of_folds = runs.assign(unit="folds")
    assert estimate(of_folds).unit == "folds"
    assert estimate(of_folds).high < found.high
    assert set(table.scores(results, unit="repeats")["unit"]) == {"repeats"}


def test_two_microphones_are_no_sample_of_devices(results: Results) -> None:
    through_microphones(results, microphones=2)
    scores = table.scores(results)
    assert estimate(scores[scores["device"] == "all"]).unit == "folds"
