"""analysis.metrics: one pass over big records gives what a plain reading of them gives."""

from collections.abc import Generator, Iterator

import numpy as np
import pandas as pd
import pytest
from test_analysis_table import complete, end, measure, mixed, plan, predict, results, trial

from analysis import reading, table
from analysis.data import Data
from analysis.designs import FOLD, SEED
from analysis.metrics import Unrecorded, WantedMetrics
from analysis.scales import scale_of
from analysis.units import estimate, estimates
from scaling.results.records import Results
from scaling.seeds import stream

__all__ = ["results"]  # the fixture


def plain(results: Results, metric: str, last: int | None = None) -> pd.DataFrame:
    """Values of the complete trials, read file by file with pandas alone."""
    planned = results.read("manifest").to_pandas()["trial"].unique()
    ended = results.read("outcomes").to_pandas()
    complete = set(ended.loc[ended["status"] == "complete", "trial"])
    parts = [results.read("metrics", [one]).to_pandas() for one in planned if one in complete]
    rows = pd.concat(parts)
    rows = rows[rows["metric"] == metric].drop(columns="metric").sort_values("epoch")
    if last is not None:
        rows = rows.groupby(["trial", "split", "device"]).tail(last)
    return ordered(rows)


def ordered(rows: pd.DataFrame) -> pd.DataFrame:
    by = ["trial", "split", "device", "epoch"]
    return rows.sort_values(by, ignore_index=True)[[*by, "value"]]


def uneven(results: Results) -> None:
    """Complete, stopped, failed, running and missing trials; series of different lengths, whose
    rows stand in no order.
    """
    mixed(results)
    random = stream(3, "metrics")
    for seed, epochs in ((0, 5), (1, 1)):
        rows = [
            {"trial": trial(seed=seed).id, "epoch": epoch, "split": split, "device": device,
             "metric": metric, "value": float(random.random())}
            for split, first in (("test", 1), ("validation", 2), ("train", 1))
            for device in ("all", "a", "b")
            for metric in ("accuracy", "loss", "cross_entropy", f"only_{seed}")
            for epoch in range(first, epochs + 1, 2 if device == "b" else 1)
        ]  # fmt: skip
        places = random.permutation(len(rows))
        results.write("metrics", trial(seed=seed).id, [rows[at] for at in places])


@pytest.mark.parametrize("metric", ["accuracy", "loss", "only_0"])
def test_values_are_those_of_a_plain_reading(results: Results, metric: str) -> None:
    uneven(results)
    for last in (None, 1, 2, 9):
        found = ordered(table.evaluations(results, metric, last))
        pd.testing.assert_frame_equal(found, plain(results, metric, last), check_dtype=False)
    every = plain(results, metric)
    assert len(every)
    for device in ("all", "b", "nowhere"):
        found = ordered(table.evaluations(results, metric, device=device))
        expected = every[every["device"] == device].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)


@pytest.mark.parametrize("last", [1, 2])
def test_scores_are_those_of_a_plain_reading(results: Results, last: int) -> None:
    uneven(results)
    data = Data(results, last)
    for metric in ("accuracy", "loss", "only_1"):
        series = plain(results, metric, last).groupby(["trial", "split", "device"])["value"]
        expected = series.agg(value="mean", epochs="count", spread_over_epochs="std").reset_index()
        found = data.scores(metric)
        pd.testing.assert_frame_equal(found[[*expected]], expected, check_dtype=False)
        named = expected[expected["device"] != "all"].set_index(["trial", "split", "device"])
        for row in found[found["device"] == "all"].to_dict("records"):
            apart = named.loc[row["trial"], row["split"]]["value"]
            assert row["by_device"] == apart.to_dict()
        assert found.loc[found["device"] != "all", "by_device"].isna().all()


def test_what_is_read_once_is_what_is_read_alone(results: Results) -> None:
    uneven(results)
    data = Data(results, 2)
    for metric in ("loss", "cross_entropy", "only_0"):
        for device in ("all", None):
            found = data.evaluations(metric, device)
            found = ordered(found.astype(dict.fromkeys(["trial", "split", "device"], "str")))
            alone = ordered(table.evaluations(results, metric, device=device))
            pd.testing.assert_frame_equal(found, alone)


def test_metrics_are_read_once(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    uneven(results)
    read: list[str] = []
    real = Results._read_one

    def counted(self: Results, kind: str, name: str, *coded: object) -> object:
        read.append(f"{kind}/{name}")
        return real(self, kind, name, *coded)

    monkeypatch.setattr(Results, "_read_one", counted)
    data = Data(results, 2)
    for metric in ("accuracy", "loss", "cross_entropy"):
        data.scores(metric)
        data.evaluations(metric, "all")
    assert sorted(name for name in read if name.startswith("metrics/")) == sorted(
        f"metrics/{trial(seed=seed).id}" for seed in (0, 1)
    )


def test_a_fault_of_one_metric_stops_no_other(results: Results) -> None:
    runs = [trial(seed=seed) for seed in range(3)]
    complete(results, {one: {"test": [0.1, 0.2]} for one in runs})
    for one in runs[1:]:
        rows = results.read("metrics", [one.id]).to_pylist()
        odd = [r | ({"value": float("inf")} if r["metric"] == "loss" else {}) for r in rows]
        results.write("metrics", one.id, odd)
    data = Data(results)
    assert len(data.scores()) == 6
    for ask in (lambda: data.scores("loss"), lambda: table.evaluations(results, "loss")):
        with pytest.raises(Unrecorded) as found:
            ask()
        assert str(found.value) == (
            f"loss=inf in epoch 1 of trial {runs[1].id} (test): no mean can hold it, choose "
            "another metric or mend the trial"
        ), "the first by the order of the manifest"
    with pytest.raises(Unrecorded, match=r"^metric=los: no complete .* it \(did you mean loss"):
        data.scores("los")


def test_a_row_that_stands_twice_is_refused(results: Results) -> None:
    complete(results, {trial(): {"test": [0.1]}})
    rows = results.read("metrics").to_pylist()
    results.write("metrics", trial().id, [*rows, rows[0]])
    with pytest.raises(ValueError, match=r"more than one row for epoch 1, split test, device all"):
        table.scores(results)


def test_many_combinations_that_differ_are_no_row_twice(results: Results) -> None:
    """Of few rows with many possible combinations, and of many with few."""
    about = {"trial": trial().id, "metric": "accuracy", "value": 0.5}
    apart = [about | {"epoch": k, "split": f"s{k}", "device": f"d{k}"} for k in range(1, 40)]
    results.write("metrics", trial().id, apart)
    assert results.read("metrics").num_rows == 39
    results.write("metrics", trial().id, [*apart, apart[7]])
    with pytest.raises(ValueError, match="more than one row for epoch 8, split s8"):
        results.read("metrics")


def test_predictions_come_trial_by_trial(results: Results) -> None:
    runs = [trial(seed=seed) for seed in range(50)]
    plan(results, "launch", runs)
    for one in runs[:40]:
        predict(results, one, 4)
    found = Data(results).predictions(columns=["clip", "logits"])
    assert isinstance(found, Iterator)
    name, rows = next(found)
    assert (name, list(rows)) == (runs[0].id, ["clip", "logits"])
    assert np.stack(rows["logits"]).shape == (1, 4)
    assert [name for name, _ in found] == [one.id for one in runs[1:40]]
    one = next(Data(results).predictions([runs[45].id, runs[7].id]))
    assert one[0] == runs[7].id
    assert list(one[1])[:3] == ["epoch", "split", "clip"]


def test_few_predictions_are_read_ahead(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [trial(seed=seed) for seed in range(200)]
    plan(results, "launch", runs)
    for one in runs:
        predict(results, one, 2)
    read: list[str] = []
    real = Results._read_one
    monkeypatch.setattr(
        Results, "_read_one", lambda self, *what: read.append(what[1]) or real(self, *what)
    )
    found = table.predictions(reading.load(results))
    assert isinstance(found, Generator)
    del read[:]
    next(found)
    found.close()  # waits for what was begun
    assert len(read) <= 40


def test_estimates_are_those_of_each_epoch(results: Results) -> None:
    random = stream(4, "estimates")
    for folds, seeds in ((5, 3), (1, 4), (2, 3), (1, 1), (3, 1), (2, 2)):
        runs = pd.DataFrame(
            [{FOLD: f, SEED: s, "metric": "accuracy"} for f in range(folds) for s in range(seeds)]
        )
        for uneven in (runs, runs.iloc[1:]):
            if not len(uneven):
                continue
            value_NE = random.random((len(uneven), 6))
            found = estimates(value_NE, uneven[FOLD], uneven[SEED], scale_of(uneven))
            alone = [estimate(uneven.assign(value=value_NE[:, e])) for e in range(6)]
            expected = pd.DataFrame([each._asdict() for each in alone])
            pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)


def test_last_0_is_refused(results: Results) -> None:
    complete(results, {trial(): {"test": [0.1]}})
    with pytest.raises(ValueError, match=r"last=0: .*last >= 1"):
        table.recorded(reading.load(results), [WantedMetrics(last=0)])


def test_a_trial_whose_metrics_are_gone_is_named(results: Results) -> None:
    plan(results, "launch", [trial(), trial(seed=1)])
    measure(results, trial(), {"test": [0.5]})
    for seed in (0, 1):
        end(results, trial(seed=seed))
    with pytest.raises(ValueError, match=f"^trial {trial(seed=1).id} is complete but its metrics/"):
        table.scores(results)
