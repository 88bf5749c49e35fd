"""analysis.tables.differences: pairs share everything but what is compared, and none is made up."""

from collections.abc import Mapping

import pandas as pd
import pytest
from test_analysis_table import (
    MAGNITUDE,
    STATIC,
    Plain,
    complete,
    plain,
    results,
    same,
    trial,
)

from analysis import table
from analysis.tables.differences import COLUMNS, GAP, differences
from scaling.results.records import Results
from scaling.seeds import stream
from scaling.settings import Trial, changed
from scaling.settings.recipes import BATCHED, BOTTLENECK, CONSISTENT

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
    """Accuracies of two widths, base and damped, two seeds of three folds, on both splits."""
    random = stream(4, "accuracies")
    trials = [
        trial(seed=s, split__fold=f, network__width=w, network__damping=d)
        for s in range(2)
        for f in (1, 2, 3)
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


def over_folds(values: "pd.Series[float]") -> Plain:
    """Seeds averaged within a fold, then t over folds, within what differences can be."""
    return plain(list(values.groupby("fold").mean()), "folds", -1, 1)


def test_equal_plain_loops(results: Results) -> None:
    values = study()
    found = compared(results, values)
    expected: dict[tuple[str, str, str], Plain] = {}
    for split in ("seen", "unseen", GAP):
        for d, family in ((0.0, "base"), (0.99, "damped 0.99")):
            grown = runs(values, 64, d)[split] - runs(values, 8, d)[split]
            expected[split, "width 64 - width 8", family] = over_folds(grown)
        for w in (8, 64):
            gained = runs(values, w, 0.99)[split] - runs(values, w, 0.0)[split]
            expected[split, "damped 0.99 - base", f"width {w}"] = over_folds(gained)
    for w in (8, 64):
        for d, family in ((0.0, "base"), (0.99, "damped 0.99")):
            expected[GAP, GAP, f"{family}, width {w}"] = over_folds(runs(values, w, d)[GAP])
    assert found.keys() == expected.keys()
    for key, estimate in expected.items():
        assert same(found[key], estimate), key
        assert estimate.n == 3


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
    assert found.keys() == {("test", "width 9 - width 8", "")}
    (row,) = found.values()
    assert same(row, Plain(0.01, 0.01, 0.01, 5, "seeds on one split"))


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
    assert [(key, *row[-2:]) for key, row in found.items()] == [
        (("test", "width 16 - width 8", "depth 1"), 1, "run")
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
        trial(seed=s, network__width=64, network__damping=d, **kind): {
            "test": 0.6 + s / 10 + d / 10
        }
        for s in range(2)
        for kind in (STATIC, MAGNITUDE)
        for d in (0.0, 0.99)
    }
    found = compared(results, values)
    sparse = {key: row for key, row in found.items() if "dense" in key[1]}
    expected = {
        ("test", f"width 64 {kind} - width 4 dense", family): plain([m, m])
        for kind in ("static", "iterative")
        for family, m in (("base", 0.1), ("damped 0.99", 0.1 + 0.099))
    }
    assert sparse.keys() == expected.keys()
    assert all(same(sparse[key], expected[key]) for key in expected)
    damped = [key for key in found if key[1] == "damped 0.99 - base"]
    assert ("test", "damped 0.99 - base", "static, width 64") in damped
    # dense and pruned widths are never compared as if only width differed
    assert {at for _, comparison, at in found if comparison == "width 8 - width 4"} == {
        "base, dense", "damped 0.99, dense",
    }  # fmt: skip
    assert not [key for key in found if key[1] == "width 64 - width 4"]


REFERENCES = {  # of each objective, all that it is compared with
    "dropout 0.2": ["plain"],
    "weight decay 0.0001": ["plain"],
    "bottleneck": ["plain"],
    "augmented": ["plain"],
    "batched": ["plain", "augmented"],
    "consistency": ["plain", "augmented", "batched"],
}


def by_objective(**changes: object) -> dict[str, Trial]:
    """A trial of each objective, by what it is called; all take as many optimizer steps."""
    plain = trial(training__batch=12, training__passes=3, **changes)
    views = changed(plain, {"training.batch": 4, "training.passes": 1})
    views = changed(views.model_copy(update={"objective": BATCHED}), {"augment.transform": "mask"})
    share = {"augment.transform": "mask", "augment.transform_share": 0.5}
    return {
        "plain": plain,
        "dropout 0.2": changed(plain, {"network.dropout": 0.2}),
        "weight decay 0.0001": changed(plain, {"training.weight_decay": 1e-4}),
        "bottleneck": plain.model_copy(update={"objective": BOTTLENECK}),
        "augmented": changed(plain, {**share, "evaluation.disagreement": "mask"}),
        "batched": views,
        "consistency": views.model_copy(update={"objective": CONSISTENT}),
    }


def test_objectives_minus_those_they_add_to(results: Results) -> None:
    """By width and fraction, over folds; the disagreement of one is measured and not of others."""
    random = stream(5, "accuracies")
    places = [(w, p, f) for w in (8, 64) for p in (0.1, 1.0) for f in (1, 2, 3)]
    accuracies = {place: {name: random.random() for name in by_objective()} for place in places}
    values = {
        made: {"test": accuracies[w, p, f][name]}
        for w, p, f in places
        for name, made in by_objective(network__width=w, split__fraction=p, split__fold=f).items()
    }
    found = compared(results, values)
    expected = {}
    for name, references in REFERENCES.items():
        for reference in references:
            for w in (8, 64):
                for p in (0.1, 1.0):
                    runs = [accuracies[w, p, f] for f in (1, 2, 3)]
                    gained = plain([r[name] - r[reference] for r in runs], "folds", -1, 1)
                    at = f"{100 * p:g} % of the clips, width {w}"
                    expected["test", f"{name} - {reference}", at] = gained
    sizes = [key for key in found if key[1] == "width 64 - width 8"]
    assert len(sizes) == 2 * len(by_objective())
    assert found.keys() == {*expected, *sizes}
    for key, estimate in expected.items():
        assert same(found[key], estimate), key


def test_other_batches_and_transforms_are_no_partners(results: Results) -> None:
    named = by_objective()
    batch = changed(named["bottleneck"], {"training.batch": named["plain"].training.batch + 1})
    others = {
        named["plain"]: {"test": 0.4},
        batch: {"test": 0.5},
        named["augmented"]: {"test": 0.5},
        changed(named["consistency"], {"augment.transform": "pitch"}): {"test": 0.7},
    }
    assert [key[1] for key in compared(results, others)] == [
        "augmented mask - plain",
        "consistency pitch - plain",
    ]


def test_rows_come_by_number(results: Results) -> None:
    values = {
        trial(network__width=w, split__fraction=p): {"test": w / 100}
        for w in (8, 9)
        for p in (1.0, 0.05, 0.1)
    }
    shares = [at.split(" %")[0] for _, _, at in compared(results, values)]
    assert shares == ["5", "10", "100"]


def test_random_labels_are_left_out(results: Results) -> None:
    values = {trial(network__width=w, split__labels="uniform"): {"test": 0.1} for w in (8, 16)}
    values[trial()] = {"test": 0.5}
    assert compared(results, values) == {}


def test_nothing_to_compare_is_an_empty_table(results: Results) -> None:
    assert compared(results, {trial(): {"test": 0.5}}) == {}
