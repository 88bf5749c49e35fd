"""analysis.tables.differences: pairs share everything but what is compared, and none is made up."""

from collections.abc import Mapping

import pandas as pd
import pytest
from test_analysis_table import MAGNITUDE, STATIC, complete, results, trial

from analysis import table
from analysis.intervals import mean_interval
from analysis.tables.differences import COLUMNS, GAP, differences
from scaling.config import Trial
from scaling.records import Results
from scaling.seeds import stream

__all__ = ["results"]  # the fixture


def compared(
    results: Results, values: Mapping[Trial, Mapping[str, float]]
) -> dict[tuple[str, str, str], tuple[float, ...]]:
    """The differences of these accuracies by (split, comparison, at)."""
    complete(results, {t: {s: [v] for s, v in of.items()} for t, of in values.items()})
    frame = differences(table.scores(results))
    assert list(frame.columns) == COLUMNS
    assert not frame.duplicated(COLUMNS[:3]).any()
    return {tuple(row[:3]): tuple(row[3:]) for row in frame.itertuples(index=False)}


def study() -> dict[Trial, dict[str, float]]:
    """Accuracies of two widths, base and damped, two seeds of two folds, on both splits."""
    random = stream(4, "accuracies")
    trials = [
        trial(seed=s, split__fold=f, network__width=w, network__damping=d)
        for s in range(2)
        for f in (1, 2)
        for w in (8, 64)
        for d in (0.0, 0.99)
    ]
    return {one: {"seen": random.random(), "unseen": random.random()} for one in trials}


def runs(values: dict[Trial, dict[str, float]], width: int, damping: float) -> pd.DataFrame:
    """A plain reading: one row per repeat of one network, seen and unseen and their gap."""
    chosen = [
        {"seed": t.seed, "fold": t.split.fold, **of, GAP: of["unseen"] - of["seen"]}
        for t, of in values.items()
        if (t.network.width, t.network.damping) == (width, damping)
    ]
    return pd.DataFrame(chosen).set_index(["seed", "fold"]).sort_index()


def test_equal_plain_loops(results: Results) -> None:
    values = study()
    found = compared(results, values)
    expected: dict[tuple[str, str, str], tuple[float, ...]] = {}
    for split in ("seen", "unseen", GAP):
        for d, family in ((0.0, "base"), (0.99, "damped 0.99")):
            grown = runs(values, 64, d)[split] - runs(values, 8, d)[split]
            expected[split, "width 64 - width 8", family] = mean_interval(grown)
        for w in (8, 64):
            gained = runs(values, w, 0.99)[split] - runs(values, w, 0.0)[split]
            expected[split, "damped 0.99 - base", f"width {w}"] = mean_interval(gained)
    for w in (8, 64):
        for d, family in ((0.0, "base"), (0.99, "damped 0.99")):
            expected[GAP, GAP, f"{family}, width {w}"] = mean_interval(runs(values, w, d)[GAP])
    assert found.keys() == expected.keys()
    for key, estimate in expected.items():
        assert found[key] == pytest.approx(tuple(estimate)), key
        assert estimate.n == 4


def test_the_gap_s_difference_is_the_difference_of_differences(results: Results) -> None:
    found = compared(results, study())
    for comparison, at in [("width 64 - width 8", "base"), ("damped 0.99 - base", "width 8")]:
        gap, unseen, seen = (found[split, comparison, at][0] for split in (GAP, "unseen", "seen"))
        assert gap == pytest.approx(unseen - seen)


def test_what_pairs_share_drops_out(results: Results) -> None:
    values = {
        trial(seed=s, network__width=w): {"test": s / 10 + w / 100}
        for s in range(5)
        for w in (8, 9)
    }
    found = compared(results, values)
    assert found == {("test", "width 9 - width 8", ""): pytest.approx((0.01, 0.01, 0.01, 5))}


def test_runs_without_a_partner_are_left_out(results: Results) -> None:
    values = {
        trial(): {"test": 0.1},
        trial(network__width=16): {"test": 0.2},
        trial(seed=1): {"test": 0.9},
        trial(seed=2, network__width=16): {"test": 0.9},
        trial(split__fold=2, seed=2): {"test": 0.9},
        trial(seed=3, network__width=16, network__depth=2): {"test": 0.9},
    }
    found = compared(results, values)
    assert [(key, row[-1]) for key, row in found.items()] == [
        (("test", "width 16 - width 8", "depth 1"), 1)
    ]
    assert found["test", "width 16 - width 8", "depth 1"][0] == pytest.approx(0.1)


def test_every_larger_size_is_compared_with_the_smallest_of_its_like(results: Results) -> None:
    values = {trial(network__depth=d): {"test": d / 10} for d in (1, 2, 4)}
    values |= {trial(network__pointwise=k): {"test": k / 10} for k in (0, 3)}
    assert list(compared(results, values)) == [
        ("test", "depth 2 - depth 1", "pointwise 1"),
        ("test", "depth 4 - depth 1", "pointwise 1"),
        ("test", "pointwise 1 - pointwise 0", "depth 1"),
        ("test", "pointwise 3 - pointwise 0", "depth 1"),
    ]


def test_sparse_wide_minus_the_dense_of_as_many_weights(results: Results) -> None:
    values = {
        trial(seed=s, network__width=w, network__damping=d): {"test": 0.5 + s / 10}
        for s in range(2)
        for w in (4, 8)
        for d in (0.0, 0.99)
    }
    values |= {
        trial(seed=s, network__width=64, network__damping=d, **kind): {"test": 0.6 + s / 10 + d}
        for s in range(2)
        for kind in (STATIC, MAGNITUDE)
        for d in (0.0, 0.99)
    }
    found = compared(results, values)
    sparse = {key: row for key, row in found.items() if "dense" in key[1]}
    assert sparse == {
        ("test", f"width 64 {kind} - width 4 dense", family): pytest.approx((m, m, m, 2))
        for kind in ("static", "iterative")
        for family, m in (("base", 0.1), ("damped 0.99", 0.1 + 0.99))
    }
    damped = [key for key in found if key[1] == "damped 0.99 - base"]
    assert ("test", "damped 0.99 - base", "static, width 64") in damped
    # dense and pruned widths are never compared as if only width differed
    assert {at for _, comparison, at in found if comparison == "width 8 - width 4"} == {
        "base, dense", "damped 0.99, dense",
    }  # fmt: skip
    assert not [key for key in found if key[1] == "width 64 - width 4"]


def test_random_labels_are_left_out(results: Results) -> None:
    values = {trial(network__width=w, split__labels="uniform"): {"test": 0.1} for w in (8, 16)}
    values[trial()] = {"test": 0.5}
    assert compared(results, values) == {}


def test_nothing_to_compare_is_an_empty_table(results: Results) -> None:
    assert compared(results, {trial(): {"test": 0.5}}) == {}
