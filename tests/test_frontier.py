"""analysis.frontier and its figures: who is on it, by brute force, and how often."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from test_analysis_table import STATIC, complete, results, trial

from analysis.candidates import candidates
from analysis.commands.analyze import analyze
from analysis.data import Data
from analysis.figures import registry
from analysis.figures.frontier import MACS, PARAMETERS, WEIGHTS
from analysis.figures.layout import Style
from analysis.frontier import DRAW, RESAMPLES, frontier, on_frontier
from scaling.results.records import Results
from scaling.seeds import stream

__all__ = ["results"]  # the fixture


def brute(cost: np.ndarray, error: np.ndarray) -> list[bool]:
    """Compare everyone with everyone."""
    both = list(zip(cost, error, strict=True))
    return [not any(c <= x and e <= y and (c, e) != (x, y) for c, e in both) for x, y in both]


def test_the_frontier_is_that_of_brute_force() -> None:
    random = stream(1, "frontier")
    for size in (1, 2, 7, 40):
        for _ in range(50):
            cost, error = random.integers(0, 8, (2, size)).astype(float)  # with ties
            assert list(on_frontier(cost, error)) == brute(cost, error)
    rows = random.random((30, 12))
    cost = random.integers(0, 5, 12)
    found = on_frontier(cost, rows)
    assert [list(each) for each in found] == [brute(cost, row) for row in rows]


def crossed(results: Results, folds: int = 4, seeds: int = 2) -> Data:
    """Three widths on folds x seeds: width 8 is between 4 and 16 in the mean, not in every fold."""
    random = stream(2, "scores")
    values = {
        trial(network__width=w, split__fold=f, seed=s): {"test": [v + random.normal() / 25]}
        for w, v in {4: 0.5, 8: 0.51, 16: 0.7}.items()
        for f in range(1, folds + 1)
        for s in range(seeds)
    }
    complete(results, values)
    return Data(results)


def test_how_often_is_that_of_plain_resampling(results: Results) -> None:
    data = crossed(results)
    found = frontier(candidates(data, "test"), data)
    assert (found["drawn"] == "folds and seeds").all()

    scores = data.scores()
    wide = scores[scores["device"] == "all"].pivot_table(
        index=["network.width", "split.fold"], columns="seed", values="value"
    )
    draws = np.random.default_rng(DRAW)
    folds = draws.multinomial(4, [0.25] * 4, RESAMPLES)
    seeds = draws.multinomial(2, [0.5] * 2, RESAMPLES)
    counts = np.zeros(3)
    for f, s in zip(folds, seeds, strict=True):
        rows = np.repeat(np.arange(1, 5), f)
        columns = np.repeat(np.arange(2), s)
        means = [wide.loc[w].loc[rows, columns].to_numpy().mean() for w in (4, 8, 16)]
        counts += brute(np.array([8, 16, 32]), 1 - np.array(means))
    assert list(found["often"]) == pytest.approx(list(counts / RESAMPLES))
    assert found["often"][0] == found["often"][2] == 1
    assert 0.1 < found["often"][1] < 0.95


def test_a_gap_in_the_design_is_left_out(results: Results) -> None:
    data = crossed(results, folds=3)
    kept = data.scores()
    gone = (kept["seed"] == 1) & (kept["split.fold"] == 2) & (kept["network.width"] == 8)
    data._scores["accuracy"] = kept[~gone]
    with pytest.warns(UserWarning, match="^1 of 3 configurations have fewer seeds than others"):
        found = frontier(candidates(data, "test"), data)
    assert found["often"].between(0, 1).all()
    assert found["on_frontier"].any()


def test_devices_are_drawn_where_they_are_what_is_claimed(results: Results) -> None:
    """On devices a and b width 8 is ahead by far, on c behind: no draw of folds can tell."""
    by_device = {4: (0.6, 0.6, 0.6), 8: (0.9, 0.9, 0.1)}
    trials = {trial(network__width=w, split__fold=f): w for w in by_device for f in (1, 2, 3)}
    complete(results, {one: {"unseen": [0.5]} for one in trials})
    for one, w in trials.items():
        rows = [
            {"trial": one.id, "epoch": 1, "split": "unseen", "device": d, "metric": "accuracy"}
            | {"value": v}
            for d, v in zip(("a", "b", "c", "all"), (*by_device[w], sum(by_device[w]) / 3),
                            strict=True)
        ]  # fmt: skip
        results.write("metrics", one.id, rows)
    data = Data(results)
    found = frontier(candidates(data, "unseen"), data)
    assert (found["drawn"] == "folds and devices").all()
    assert found["often"][0] == 1
    # width 8 is ahead unless c is drawn twice or thrice: 1 - 7/27
    assert found["often"][1] == pytest.approx(20 / 27, abs=0.05)


def test_two_units_draw_nothing(results: Results) -> None:
    data = crossed(results, folds=1)
    found = frontier(candidates(data, "test"), data)
    assert found["often"].isna().all()
    assert list(found["drawn"].unique()) == [""]
    assert found["on_frontier"].any()


def test_seeds_of_one_split_are_drawn(results: Results) -> None:
    data = crossed(results, folds=1, seeds=3)
    assert list(frontier(candidates(data, "test"), data)["drawn"].unique()) == ["seeds"]


def test_a_cost_that_nobody_measured_makes_no_frontier(results: Results) -> None:
    data = crossed(results, folds=1)
    found = frontier(candidates(data, "test"), data, "latency_ms")
    assert not found["on_frontier"].any()


def test_obstacles(results: Results) -> None:
    complete(results, {trial(network__width=w): {"test": [0.5]} for w in (4, 8)})
    data = Data(results)
    assert PARAMETERS.obstacle(data) == "2 configurations make no frontier, it takes 3"
    pruned = {trial(network__width=w, **STATIC): {"test": [0.5]} for w in (8, 16)}
    complete(results, pruned)
    assert "no network of these is pruned" in str(
        WEIGHTS.obstacle(crossed(Results(Path(results.where) / "dense")))
    )


def test_the_figure_says_error_cost_and_shares(results: Results) -> None:
    data = crossed(results)
    for figure, cost in ((PARAMETERS, "kept_parameters"), (MACS, "macs")):
        points = figure.points(data)
        scores = data.scores()
        plain = scores[scores["device"] == "all"].groupby(["network.width"])["value"].mean()
        assert list(points["error"]) == pytest.approx(list(1 - plain))
        assert (points["low"] < points["error"]).all()
        assert (points["error"] < points["high"]).all()
        assert points[cost].is_monotonic_increasing
        drawn = figure.draw(points, Style(width=3.3))
        texts = {text.get_text() for text in drawn.findobj(Text)}
        assert {"100", f"{100 * points['often'][1]:.0f}", "Test clips"} <= texts
        (panel,) = drawn.axes
        low, high = panel.get_ylim()
        assert low <= 100 * points["low"].min()
        assert high >= 100 * points["high"].max()
        listed = figure.listing("frontier", points)
        assert listed.result.startswith("on test clips ")
        assert "width 4 (100 %)" in listed.result


def test_analyze_draws_those_that_say_something(results: Results) -> None:
    data = crossed(results, folds=3, seeds=1)
    drawn = [name for name in registry.applicable([], data) if name.startswith("frontier")]
    assert drawn == ["frontier_parameters", "frontier_macs"]
    analyze([results.where], figure=["frontier_macs"])
    written = pd.read_csv(results.path("figures", "frontier_macs.csv"))
    wanted = {"label", "split", "macs", "error", "low", "high", "n", "unit", "often", "trials"}
    assert wanted <= {*written}
