"""analysis.figures: points are exact, and the drawing shows them and says what they are."""

import warnings
from collections.abc import Callable
from functools import cache
from itertools import combinations, pairwise, product
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from test_analysis_table import (
    MAGNITUDE,
    NOON,
    STATIC,
    complete,
    plain,
    plan,
    predict,
    results,
    same,
    trial,
)
from test_curves import disagreeing, over_epochs
from test_effective_field import record, spot
from test_failures import random_study
from test_frontend_filters import began, kept

from analysis.conditions import CONTEXT
from analysis.data import Data
from analysis.figures import axes, random_labels, sparse_width, vib_beta, ways_of_scaling
from analysis.figures.accuracy_vs_dimension import DEPTH, POINTWISE, WIDTH, AccuracyVsDimension
from analysis.figures.accuracy_vs_parameters import draw, points
from analysis.figures.accuracy_vs_training_clips import CLIPS, FRACTION
from analysis.figures.facets import Frame, draw_facets
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import Style
from analysis.figures.registry import FIGURES
from scaling import settings, typed
from scaling.results.records import Results
from scaling.seeds import torch_stream
from scaling.settings import Trial

__all__ = ["results"]  # the fixture


def study(results: Results) -> Data:
    """Two families x two widths x three seeds, less one run."""
    accuracy = {
        trial(seed=s, network__width=w, network__damping=d): {
            "seen": [0.1, 0.5 + w / 100 + s / 50],
            "unseen": [0.1, 0.3 + w / 100 + s / 50 + d / 10],
            "validation": [0.0, 0.0],
            "train": [1.0, 1.0],
        }
        for s in range(3)
        for w in (8, 16)
        for d in (0.0, 0.5)
        if (s, w, d) != (2, 16, 0.5)
    }
    complete(results, accuracy)
    return Data(results)


def scored(
    results: Results, trials: list[Trial], splits: tuple[str, ...] = ("seen", "unseen")
) -> Data:
    """Results of these trials: 0.5 and a bit more with width, seed and damping; twice evaluated."""
    values = {
        one: 0.5
        + one.network.width / 1000
        + one.seed / 50
        + settings.flat(one)["network.damping"] / 10
        for one in trials
    }
    complete(results, {one: {s: [v, v + 0.02] for s in splits} for one, v in values.items()})
    return Data(results, last=2)


def star(damped: tuple[float, ...] = (0.0, 0.99), seeds: int = 3) -> list[Trial]:
    """Widths, depths, 1x1 blocks and width with depth, all from width 16, depth 1, pointwise 1."""
    sizes = [(16, 1, 1), (8, 1, 1), (32, 1, 1), (64, 1, 1), (16, 2, 1), (16, 3, 1)]
    sizes += [(16, 1, 2), (16, 1, 3), (32, 2, 1), (64, 3, 1)]
    return [
        trial(
            seed=s,
            network__width=w,
            network__depth=d,
            network__pointwise=k,
            network__damping=m,
        )
        for s in range(seeds)
        for m in damped
        for w, d, k in sizes
    ]


def sparse() -> list[Trial]:
    """Base and damped: dense at widths 4 and 8, pruned to width 4 from 8 and 16 in both ways."""
    dense = [trial(network__width=w, network__damping=m) for w in (4, 8) for m in (0.0, 0.99)]
    return dense + [
        trial(network__width=w, network__damping=m, **kind)
        for kind in (STATIC, MAGNITUDE)
        for w in (8, 16)
        for m in (0.0, 0.99)
    ]


def taught() -> list[Trial]:
    """True and random labels at two widths, three seeds."""
    return [
        trial(seed=s, network__width=w, split__labels=labels, evaluation__training_clips=True)
        for s in range(3)
        for w in (8, 16)
        for labels in ("true", "uniform")
    ]


BOTTLENECK = {"objective__kind": "bottleneck", "objective__latent": 20}


def shares() -> list[Trial]:
    """Two objectives at three shares of the training clips, two seeds."""
    return [
        trial(seed=s, split__fraction=f, **objective)
        for s in range(2)
        for f in (0.05, 0.3, 1.0)
        for objective in ({}, BOTTLENECK | {"objective__beta": 0.01})
    ]


def betas(weights: tuple[float, ...] = (0.0, 0.01, 1.0), seeds: int = 2) -> list[Trial]:
    """A bottleneck of one latent size at these weights."""
    return [
        trial(seed=s, evaluation__training_clips=True, objective__beta=b, **BOTTLENECK)
        for s in range(seeds)
        for b in weights
    ]


def losses(results: Results, trials: list[Trial], splits: tuple[str, ...]) -> Data:
    """Losses 1 + |beta - 0.01| of the first seed, and of others as much more as their seed, times
    1 + beta; half of it on training clips.
    """
    weights = {one: settings.flat(one)["objective.beta"] for one in trials}
    values = {one: abs(w - 0.01) + one.seed * (1 + w) for one, w in weights.items()}
    complete(
        results,
        {
            one: {s: [v / (2 if s == "train_clean" else 1)] for s in splits}
            for one, v in values.items()
        },
    )
    return Data(results)  # `measure` writes losses: accuracy + 1


def legend(figure: Figure) -> list[str]:
    found = figure.axes[0].figure.findobj(matplotlib.legend.Legend)
    return [text.get_text() for one in found for text in one.get_texts()]  # type: ignore[attr-defined]


def across(line: matplotlib.lines.Line2D) -> bool:
    """Whether a line goes across its panel, as chance and references do."""
    return list(line.get_xdata()) == [0, 1]


def texts(figure: Figure) -> list[str]:
    """Every text of a figure, without the line breaks that its width asks for."""
    found = figure.findobj(matplotlib.text.Text)
    return [t.get_text().replace("\n", " ") for t in found if t.get_text()]


def test_points_are_exact_means_with_intervals(results: Results) -> None:
    drawn = points(study(results))
    assert len(drawn) == 8
    damped = drawn[(drawn["family"] == "damped 0.5") & (drawn["split"] == "unseen")]
    row = damped.set_index("width").loc[8]
    assert same(
        row[["mean", "low", "high", "n", "unit"]], plain([0.43, 0.45, 0.47], least=0, most=1)
    )
    assert (row["parameters"], row["kept_weights"], row["macs"]) == (16000, 15992, 112000)
    assert (row["depth"], row["pointwise"], row["receptive_field"]) == (1, 1, 103)
    ids = [trial(seed=s, network__damping=0.5).id for s in range(3)]
    assert sorted(row["trials"].split()) == sorted(ids)
    assert list(damped["n"]) == [3, 2]


def test_points_use_device_all_only(results: Results) -> None:
    data = study(results)
    drawn = points(data)
    assert drawn["mean"].min() == pytest.approx(0.4), "device a has half of it"


def test_folds_and_seeds_are_runs_of_one_point(results: Results) -> None:
    runs = [trial(seed=s, split__fold=f) for s in range(2) for f in (1, 2)]
    complete(results, {one: {"test": [k / 10]} for k, one in enumerate(runs)})
    (row,) = points(Data(results)).to_dict("records")
    assert (row["n"], row["unit"], row["family"]) == (2, "folds", "cp_resnet")
    assert row["mean"] == pytest.approx(0.15)
    assert len(row["trials"].split()) == 4


def test_validation_and_training_clips_only_when_asked_for(results: Results) -> None:
    data = study(results)
    assert list(points(data)["split"].unique()) == ["seen", "unseen"]
    asked = points(data, ["train", "validation"])
    assert list(asked["split"].unique()) == ["validation", "train"]
    assert set(asked["mean"]) == {0.0, 1.0}
    with pytest.raises(ValueError, match=r"^no accuracy of the split test to draw: .*seen, train"):
        points(data, ["seen", "test"])


def test_sizes_of_nearly_equal_parameters_stay_apart(results: Results) -> None:
    # 16 x (0 + 1) and 8 x (1 + 1) thousand parameters are equal
    alike = {trial(network__width=16, network__depth=0): 0.9, trial(network__width=8): 0.1}
    complete(results, {one: {"test": [value]} for one, value in alike.items()})
    drawn = points(Data(results))
    assert list(drawn["parameters"]) == [16000, 16000]
    assert list(zip(drawn["width"], drawn["mean"], strict=True)) == [(8, 0.1), (16, 0.9)]
    assert {"depth 0", "depth 1"} <= set(texts(draw(drawn)))


def test_one_panel_per_split_seen_left_with_shared_accuracy_axis(results: Results) -> None:
    figure = draw(points(study(results)))
    left, right = figure.axes
    assert (left.get_title("left"), right.get_title("left")) == ("Seen devices", "Unseen devices")
    assert left.get_ylim() == right.get_ylim()
    assert left.get_shared_y_axes().joined(left, right)
    for panel in (left, right):
        assert panel.get_xscale() == "log"
        assert panel.get_xlabel() == "Parameters"
    assert left.get_ylabel() == "Accuracy (%)"
    legend = right.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["base", "damped 0.5"]


def test_what_is_drawn_is_the_points_in_percent(results: Results) -> None:
    drawn = points(study(results))
    figure = draw(drawn)
    for panel, split in zip(figure.axes, ["seen", "unseen"], strict=True):
        for bars, family in zip(panel.containers, ["base", "damped 0.5"], strict=True):
            line, _, (interval,) = bars.lines  # type: ignore[attr-defined]
            rows = drawn[(drawn["split"] == split) & (drawn["family"] == family)]
            assert list(line.get_xdata()) == list(rows["parameters"])
            assert line.get_ydata() == pytest.approx(100 * rows["mean"])
            ends = [s[:, 1] for s in interval.get_segments() if len(s)]
            known = rows[["low", "high"]].dropna()  # of two runs there is no interval
            assert np.array(ends) == pytest.approx(100 * known.to_numpy())
            low, high = panel.get_ylim()
            assert (low < np.array(ends)).all()
            assert (np.array(ends) < high).all()
            low, high = panel.get_xlim()
            assert ((low < rows["parameters"]) & (rows["parameters"] < high)).all()


def test_caption_says_interval_and_n(results: Results) -> None:
    uneven = points(study(results))
    said = texts(draw(uneven))
    over = "mean and 95 % interval over 3 seeds on one split"
    assert f"{over} unless n is given (n=2: no interval)" in said
    assert said.count("n=2") == 2
    even = uneven[uneven["n"] == 3]
    assert over in texts(draw(even))
    assert not [t for t in texts(draw(even)) if t.startswith("n=")]
    uneven.loc[0, ["n", "low", "high"]] = 1, np.nan, np.nan
    (caption,) = [t for t in texts(draw(uneven)) if t.startswith("mean")]
    assert caption.endswith("on one split unless n is given (n=1: no interval)")


def test_caption_where_most_points_are_single_runs(results: Results) -> None:
    runs = [trial(network__width=w) for w in (8, 16, 32)] + [trial(seed=1)]
    complete(results, {one: {"test": [0.5 + one.seed / 10]} for one in runs})
    figure = draw(points(Data(results)))
    figure.draw_without_rendering()
    assert figure.texts[1].get_window_extent().x1 < figure.bbox.x1
    said = texts(figure)
    caption = "one run per point, no interval; mean, with a 95 % interval for three or more, where "
    caption += "n is given"
    assert f"cp_resnet; {caption}" in said
    assert said.count("n=2") == 1


def test_one_run_per_point_has_no_interval_and_says_so(results: Results) -> None:
    complete(results, {trial(network__width=w): {"test": [w / 100]} for w in (8, 16)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(points(Data(results)))
        figure.draw_without_rendering()
    assert "cp_resnet; one run per point, no interval" in texts(figure)
    assert len(figure.axes) == 1
    assert figure.axes[0].get_title("left") == DESCRIBED["test"]
    assert figure.axes[0].get_legend() is None


@pytest.mark.parametrize("widths", [(8,), (8, 9), (8, 16, 32), (8, 64), (8, 128), (1, 4096)])
def test_parameter_labels_are_at_least_two_and_do_not_touch(
    results: Results, widths: tuple[int, ...]
) -> None:
    complete(results, {trial(network__width=w): {"test": [0.5]} for w in widths})
    figure = draw(points(Data(results)))
    figure.draw_without_rendering()
    (panel,) = figure.axes
    left, right = panel.get_xlim()
    labels = [
        label.get_window_extent()
        for label, at in zip(panel.get_xticklabels(), panel.get_xticks(), strict=True)
        if left <= at <= right and label.get_text()
    ]
    assert len(labels) >= 2
    assert all(a.x1 < b.x0 for a, b in pairwise(labels))


@pytest.mark.parametrize("axis", [axes.logarithmic, axes.counts])
@pytest.mark.parametrize(
    "values", [(1, 2), (32, 64, 128, 192, 256, 384, 512), (1, 2, 3, 4), tuple(range(1, 65))]
)
def test_labels_of_sizes_are_values_that_do_not_touch(
    axis: axes.Axis, values: tuple[int, ...]
) -> None:
    about = {"row": "", "colour": "base", "marker": "", "n": 1, "epochs": 1, "low": np.nan}
    about["unit"] = "run"
    curve = pd.DataFrame({"x": values, "mean": 0.5, "high": np.nan, **about})
    both = pd.concat([curve.assign(split=split) for split in ("seen", "unseen")])
    figure = draw_facets(both, Frame("title", "label", axis))
    figure.draw_without_rendering()
    panel = figure.axes[0]
    shown = [t for t in panel.get_xticklabels() if t.get_text()]
    assert {int(t.get_text()) for t in shown} <= set(values)
    assert shown[-1].get_text() == str(values[-1])
    assert len(shown) >= 2
    boxes = [t.get_window_extent() for t in shown]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    left, right = panel.get_xlim()
    assert left < values[0] < values[-1] < right


@pytest.mark.parametrize(
    ("figure", "dial", "values", "others"),
    [(WIDTH, "width", [8, 16, 32, 64], "depth 1, pointwise 1"),
     (DEPTH, "depth", [1, 2, 3], "width 16, pointwise 1"),
     (POINTWISE, "pointwise", [1, 2, 3], "width 16, depth 1")],
)  # fmt: skip
def test_a_dial_is_drawn_with_the_others_held_still(
    results: Results, figure: AccuracyVsDimension, dial: str, values: list[int], others: str
) -> None:
    data = scored(results, star())
    assert figure.obstacle(data) is None
    drawn = figure.points(data)
    for _, line in drawn.groupby(["split", "unpruned"]):
        assert list(line.sort_values(dial)[dial]) == values
        assert set(line["n"]) == {3}
    assert set(drawn["unpruned"]) == {"base", "damped 0.99"}
    said = texts(figure.draw(drawn))
    assert figure.title in said
    assert [t for t in said if t.startswith(f"{others}; mean and 95 % interval over 3 seeds")]
    drawing = figure.draw(drawn)
    for panel, split in zip(drawing.axes, ["seen", "unseen"], strict=True):
        line, _, _ = panel.containers[0].lines  # type: ignore[attr-defined]
        base = drawn[(drawn["split"] == split) & (drawn["unpruned"] == "base")].sort_values(dial)
        assert list(line.get_xdata()) == values
        assert line.get_ydata() == pytest.approx(100 * base["mean"])


def test_a_grid_of_sizes_has_a_line_for_each_setting_of_the_others(results: Results) -> None:
    grid = [trial(network__width=w, network__depth=d) for w in (8, 16, 32) for d in (1, 2)]
    drawing = WIDTH.draw(WIDTH.points(scored(results, grid)))
    assert legend(drawing) == ["depth 1", "depth 2"]


def test_dials_leave_pruned_networks_and_random_labels_out(results: Results) -> None:
    pruned = [trial(network__width=w, **STATIC) for w in (8, 16)]
    random = [trial(network__width=w, split__labels="uniform") for w in (8, 16)]
    data = scored(results, [*pruned, *random, trial()])
    assert WIDTH.obstacle(data) == "no two dense networks of one condition differ in width alone"
    again = scored(results, [*pruned, *random, trial(), trial(network__width=16)])
    assert set(WIDTH.points(again)["pruning"]) == {"dense"}


def test_spreads_between_and_within_runs_stand_beside_the_interval(results: Results) -> None:
    drawn = WIDTH.points(scored(results, star()))
    assert list(drawn["between_runs"]) == pytest.approx([0.02] * len(drawn))
    assert list(drawn["within_runs"]) == pytest.approx([0.02 / 2**0.5] * len(drawn))
    assert set(drawn["epochs"]) == {2}
    said = " ".join(texts(WIDTH.draw(drawn)))
    assert "over 3 seeds on one split; a run is the mean of its last 2 epochs" in said


def test_ways_of_scaling_begin_at_the_size_that_most_differ_from_in_one_number(
    results: Results,
) -> None:
    data = scored(results, star())
    assert ways_of_scaling.reference(data.scores()) == (16, 1, 1)
    drawn = ways_of_scaling.points(data)
    sizes = {way: set(zip(r["width"], r["depth"], r["pointwise"], strict=True))
             for way, r in drawn.groupby("way")}  # fmt: skip
    assert sizes == {
        "reference": {(16, 1, 1)},
        "width": {(8, 1, 1), (32, 1, 1), (64, 1, 1)},
        "depth": {(16, 2, 1), (16, 3, 1)},
        "1x1 blocks": {(16, 1, 2), (16, 1, 3)},
        "width and depth": {(32, 2, 1), (64, 3, 1)},
    }


def test_every_way_is_a_line_through_the_reference_in_a_row_per_family(results: Results) -> None:
    drawn = ways_of_scaling.points(scored(results, star()))
    figure = ways_of_scaling.draw(drawn)
    titles = [panel.get_title("left") for panel in figure.axes]
    assert titles == [
        f"{s} devices: {f}" for f in ("base", "damped 0.99") for s in ("Seen", "Unseen")
    ]
    assert legend(figure) == ["1x1 blocks", "depth", "width", "width and depth"]
    reference = drawn[drawn["way"] == "reference"].set_index(["unpruned", "split"])
    for panel, key in zip(
        figure.axes,
        [(f, s) for f in ("base", "damped 0.99") for s in ("seen", "unseen")],
        strict=True,
    ):
        x, y = reference.loc[key, ["kept_parameters", "mean"]]
        assert len(panel.containers) == 4
        for bars in panel.containers:
            line, _, _ = bars.lines  # type: ignore[attr-defined]
            assert (x, pytest.approx(100 * y)) in list(zip(*line.get_data(), strict=True))
            assert list(line.get_xdata()) == sorted(line.get_xdata())
    said = " ".join(texts(figure))
    assert "all ways begin at width 16, depth 1, pointwise 1; mean" in said


def test_a_pruned_way_stands_at_what_pruning_leaves(results: Results) -> None:
    pruned = trial(network__width=64, **STATIC)
    drawn = ways_of_scaling.points(scored(results, [*star((0.0,)), pruned]))
    (row,) = drawn[(drawn["way"] == "width, static") & (drawn["split"] == "seen")].to_dict(
        "records"
    )
    assert (row["parameters"], row["kept_parameters"]) == (128000, 8000)
    drawing = ways_of_scaling.draw(drawn)
    assert drawing.axes[0].get_xlabel() == "Parameters left by pruning"
    (alone,) = [b for b in drawing.axes[0].containers if list(b.lines[0].get_xdata()) == [8000]]  # type: ignore[attr-defined]
    assert alone.lines[0].get_ydata() == pytest.approx([100 * row["mean"]])


def test_one_way_is_no_comparison(results: Results) -> None:
    one = [trial(network__width=w) for w in (8, 16)]
    reason = ways_of_scaling.obstacle(scored(results, one))
    assert reason == (
        "the dense networks of these trials are scaled in width only: "
        "two ways of scaling are compared"
    )
    same = ways_of_scaling.obstacle(scored(results, [trial(), trial(seed=1)]))
    assert same is not None
    assert "are of one size" in same
    assert ways_of_scaling.obstacle(scored(results, star())) is None


def test_sparse_width_beside_the_dense_network_of_as_many_weights(results: Results) -> None:
    drawn = sparse_width.points(scored(results, sparse()))
    assert set(drawn["kept_weights"]) == {4 * 2000 - 8}
    dense = drawn[drawn["pruning"] == "dense"]
    assert set(dense["width"]) == {4}
    assert len(dense) == 4  # base and damped on two splits
    figure = sparse_width.draw(drawn)
    assert legend(figure) == ["dense", "iterative", "static", "dense, as many weights"]
    conditions = product(["base", "damped 0.99"], ["seen", "unseen"])
    for panel, (condition, split) in zip(figure.axes, conditions, strict=True):
        (level,) = (line.get_ydata()[0] for line in panel.lines if across(line))
        damping = 0.0 if condition == "base" else 0.99
        here = dense[(dense["split"] == split) & (dense["network.damping"] == damping)]
        assert level == pytest.approx(100 * here["mean"].item())
        assert f"{split.title()} devices: {condition}" in folded_title(panel)
    assert [t for t in texts(figure) if t.startswith("each network keeps 7,992 weights; one run")]


def folded_title(panel: Axes) -> str:
    """A panel's title in one line."""
    return panel.get_title("left").replace("\n", " ")


def test_methods_that_cut_one_width_are_named_by_size(results: Results) -> None:
    """No curve joins two widths that methods do not share."""
    cut = [
        trial(network__width=16, **kind | {"pruning__target_width": w})
        for kind in (STATIC, MAGNITUDE)
        for w in (2, 4)
    ]
    dense = [trial(network__width=w) for w in (2, 4)]
    figure = sparse_width.draw(sparse_width.points(scored(results, [*dense, *cut])))
    panels = np.reshape(np.array(figure.axes), (2, 2))
    for row, weights in zip(panels, ("3,992", "7,992"), strict=True):
        assert all(f"{weights} weights" in folded_title(panel) for panel in row)
        for panel in row:
            assert [len(bars.lines[0].get_xdata()) for bars in panel.containers] == [1, 1, 1]
    names = [tick.get_text() for tick in panels[0, 0].get_yticklabels()]
    assert names == ["dense", "iterative", "static"]
    assert [t for t in texts(figure) if t.startswith("width 16 before pruning; one run")]


def test_sparse_width_without_a_dense_partner_has_no_reference(results: Results) -> None:
    pruned = [trial(network__width=w, **STATIC) for w in (8, 16)]
    data = scored(results, [*pruned, trial(network__width=4, network__damping=0.5), trial()])
    drawn = sparse_width.points(data)
    assert set(drawn["pruning"]) == {"static"}
    assert legend(sparse_width.draw(drawn)) == []


def test_without_pruning_there_is_no_sparse_width(results: Results) -> None:
    assert sparse_width.obstacle(scored(results, [trial()])) == (
        "no trial of these is pruned (pruning.kind is none in all of them)"
    )


def test_random_labels_with_chance(results: Results) -> None:
    data = scored(results, taught(), ("seen", "train_clean"))
    drawn = random_labels.points(data)
    assert set(drawn["split"]) == {"train_clean"}
    assert drawn["chance"].isna().all()
    assert legend(random_labels.draw(drawn)) == ["random labels", "true labels"]
    predict(results, taught()[0], 10)
    drawn = random_labels.points(Data(results, last=2))
    figure = random_labels.draw(drawn)
    assert legend(figure) == ["random labels", "true labels", "chance (10 %)"]
    (panel,) = figure.axes
    (chance,) = [line for line in panel.lines if across(line)]
    assert list(chance.get_ydata()) == pytest.approx([10, 10])
    low, high = panel.get_ylim()
    assert low < 10 < 100 * drawn["high"].max() < high
    assert list(points(data)["split"].unique()) == ["seen"]  # clean clips are not held out


def test_random_labels_say_what_is_missing(results: Results) -> None:
    data = scored(results, [trial()])
    assert random_labels.obstacle(data) == (
        "no trial of these was taught random labels (split.labels is true in all of them)"
    )
    unscored = random_labels.obstacle(scored(results, taught(), ("seen",)))
    assert unscored is not None
    assert "evaluation.training_clips=true" in unscored
    assert random_labels.obstacle(scored(results, taught(), ("train_clean",))) is None


def test_accuracy_against_the_share_of_the_training_clips(results: Results) -> None:
    complete(
        results,
        {
            one: {"test": [one.split.fraction / 2 + one.seed / 10 + 0.01 * bottleneck]}
            for one in shares()
            for bottleneck in (one.objective.kind == "bottleneck",)
        },
    )
    data = Data(results)
    assert FRACTION.obstacle(data) is None
    drawn = FRACTION.points(data)
    assert set(drawn["family"]) == {"cross-entropy", "bottleneck"}
    row = drawn.set_index(["family", "fraction"]).loc[("bottleneck", 0.3)]
    assert same(row[["mean", "low", "high", "n", "unit"]], plain([0.16, 0.26]))
    assert (row["parameters"], row["dataset"]) == (16000, "synthetic")
    figure = FRACTION.draw(drawn)
    assert legend(figure) == ["bottleneck", "cross-entropy"]
    (panel,) = figure.axes
    line, _, _ = panel.containers[0].lines  # type: ignore[attr-defined]
    assert list(line.get_xdata()) == pytest.approx([5, 30, 100])
    assert panel.get_xscale() == "log"
    assert [t.get_text() for t in panel.get_xticklabels()] == ["5", "30", "100"]
    assert "2 seeds on one split per point, no interval" in texts(figure)


def test_shares_of_several_sizes_and_datasets(results: Results) -> None:
    """A marker for each size, a row for each dataset, whose rate tells no families apart."""
    other = {"sound__dataset": "esc10", "sound__rate": 22050}
    trials = [
        settings.changed(
            one, {"network.width": w} | {k.replace("__", "."): v for k, v in d.items()}
        )
        for one in shares()
        for w in (8, 16)
        for d in ({}, other)
    ]
    drawn = FRACTION.points(scored(results, trials, ("test",)))
    assert set(drawn["family"]) == {"cross-entropy", "bottleneck"}
    figure = FRACTION.draw(drawn)
    assert legend(figure) == ["bottleneck", "cross-entropy", "width 8", "width 16"]
    titles = [panel.get_title("left") for panel in figure.axes]
    assert titles == ["Test clips: esc10", "Test clips: synthetic"]


def test_clips_per_class_of_those_that_have_a_number(results: Results) -> None:
    """0 is all there is, which no axis of numbers holds."""
    trials = [trial(split__clips_per_class=n) for n in (0, 1, 10, 100)]
    drawn = CLIPS.points(scored(results, trials, ("test",)))
    assert list(drawn["clips_per_class"]) == [1, 10, 100]
    assert CLIPS.draw(drawn).axes[0].get_xlabel() == "Training clips per class"


def test_one_share_is_no_line(results: Results) -> None:
    lone = [trial(), trial(split__fraction=0.5, augment__mixup=0.3), trial(seed=1)]
    assert FRACTION.obstacle(scored(results, lone)) == (
        "no two trials of one condition and size differ in split.fraction alone"
    )


def test_loss_against_beta_with_its_rise_above_the_lowest(results: Results) -> None:
    data = losses(results, betas(seeds=3), ("train_clean", "validation", "test"))
    assert vib_beta.obstacle(data) is None
    drawn = vib_beta.points(data)
    assert list(drawn["split"].unique()) == ["validation", "train_clean"]
    held_out = drawn[drawn["split"] == "validation"].set_index("beta")
    # seed 0: 1.01, 1, 1.99; seed 1: 2.01, 2.01, 3.99; seed 2: 3.01, 3.02, 5.99
    means = {0.0: 6.03 / 3, 0.01: 6.03 / 3, 1.0: 11.97 / 3}
    assert held_out["mean"].to_dict() == pytest.approx(means)
    assert held_out["rise"].to_dict() == pytest.approx({0.0: 0.0, 0.01: 0.0, 1.0: 1.98})
    lowest = held_out["rise_low"].isna().idxmax()
    paired = plain([0.98, 1.98, 2.98] if lowest == 0.0 else [0.99, 1.98, 2.97])
    last = held_out.loc[1.0]
    assert (last["rise_low"], last["rise_high"]) == pytest.approx((paired.low, paired.high))
    assert list(held_out["rise_n"]) == [3, 3, 3]
    assert held_out.loc[lowest, ["rise_low", "rise_high"]].isna().all()
    assert set(drawn["rise_above"]) == {"the lowest"}
    # losses above .97 are no accuracies near 1; n is told once, as rises are of as many pairs
    told = vib_beta.listing("vib_beta", drawn)
    assert "conservative" not in " ".join([told.result, *texts(vib_beta.draw(drawn))])
    assert [each.heading for each in told.values].count("n, seeds on one split") == 1


def test_test_clips_choose_no_beta(results: Results) -> None:
    """Without validation clips the rise is above the smallest beta, lowest or not."""
    drawn = vib_beta.points(losses(results, betas(), ("train_clean", "test")))
    held_out = drawn[drawn["split"] == "test"].set_index("beta")
    assert held_out["rise"].to_dict() == pytest.approx({0.0: 0.0, 0.01: -0.005, 1.0: 1.48})
    assert held_out.loc[0.0, ["rise_low", "rise_high"]].isna().all()
    assert set(drawn["rise_above"]) == {"the smallest beta"}


def test_beta_axis_marks_0_and_training_is_dotted(results: Results) -> None:
    figure = vib_beta.draw(vib_beta.points(losses(results, betas(), ("train_clean", "test"))))
    (panel,) = figure.axes
    assert panel.get_ylabel() == "Cross-entropy alone (nats)"
    assert [t.get_text() for t in panel.get_xticklabels()] == ["0", "0.01", "1"]
    assert "//" in texts(figure)
    styles = [bars.lines[0].get_linestyle() for bars in panel.containers]  # type: ignore[attr-defined]
    assert styles == ["-", ":"]
    for bars in panel.containers:
        assert list(bars.lines[0].get_xdata()) == [0, 0.01, 1]  # type: ignore[attr-defined]
    assert bars.lines[0].get_ydata()[0] == pytest.approx(1 + 0.51 / 2)  # type: ignore[attr-defined]
    assert legend(figure) == ["Test clips", "Training clips, not augmented"]
    positive = vib_beta.draw(vib_beta.points(losses(results, betas((0.01, 1.0)), ("test",))))
    assert positive.axes[0].get_xscale() == "log"
    assert "//" not in texts(positive)
    assert [t for t in texts(positive) if "training clips were not scored" in t]


def test_a_rise_needs_runs_of_the_same_seed(results: Results) -> None:
    apart = [*betas((0.01,), seeds=1), settings.changed(betas((1.0,))[0], {"seed": 5})]
    drawn = vib_beta.points(losses(results, apart, ("test",))).set_index("beta")
    assert drawn["rise"].isna().to_dict() == {0.01: False, 1.0: True}
    assert drawn["rise_n"].to_dict() == {0.01: 1, 1.0: 0}


def test_a_line_for_each_latent_size_and_width(results: Results) -> None:
    trials = [
        settings.changed(one, {"objective.latent": latent, "network.width": w})
        for one in betas((0.01, 1.0), seeds=1)
        for latent in (20, 64)
        for w in (8, 16)
    ]
    figure = vib_beta.draw(vib_beta.points(losses(results, trials, ("test",))))
    assert legend(figure)[:4] == [
        "latent 20, width 8", "latent 20, width 16", "latent 64, width 8", "latent 64, width 16",
    ]  # fmt: skip


def test_one_beta_is_no_line(results: Results) -> None:
    reason = "no two trials with a bottleneck differ in objective.beta alone"
    assert vib_beta.obstacle(scored(results, [trial()])) == reason
    two = [trial(objective__beta=b, augment__mixup=b, **BOTTLENECK) for b in (0.1, 0.2)]
    assert vib_beta.obstacle(scored(results, two)) == reason


def with_mixup(trials: list[Trial]) -> list[Trial]:
    """Each of these trials with and without mixup."""
    return [settings.changed(one, {"augment.mixup": m}) for one in trials for m in (0, 0.3)]


def mapped(results: Results) -> Data:
    """Four models with ERF maps."""
    trials = star((0.0, 0.99), 1)[:2] + star((0.99,), 1)[:2]
    data = scored(results, trials)
    widths = dict.fromkeys(("f50", "t50", "f95", "t95"), 9)
    for one in trials:
        results.write("maps", one.id, [record(one, spot(4.0 + one.network.width), **widths)])
    return data


def shallower(results: Results) -> Data:
    """The same, half of them with a smaller maximum field."""
    mapped(results)
    few = star((0.0, 0.99), 1)[:1] + star((0.99,), 1)[:1]
    plan(results, "smaller", few, hours=1, receptive_field=21)
    return Data(results, last=2)


def learnt(results: Results) -> Data:
    """Two conditions of two sizes, whose mel bands learnt: more in one, and at high frequencies."""
    trials = with_mixup(
        [trial(network__width=w, sound__features__trainable="mel") for w in (8, 16)]
    )
    states = {}
    for one in trials:
        states[one] = state = began(one)
        (name,) = [name for name in state if "initial" not in name]
        noise = torch.randn(state[name].shape, generator=torch_stream(one.network.width, "test"))
        size = 0.005 + 0.02 * one.augment.mixup * torch.linspace(0, 1, 64)[:, None]
        state[name] += size * noise
    return kept(results, states)


def evaluated(results: Results) -> Data:
    """Two conditions of two sizes with curves over five epochs."""
    trials = with_mixup([trial(network__width=w) for w in (8, 16)])
    return over_epochs(results, {k: v for one in trials for k, v in disagreeing_as(one).items()})


def disagreeing_as(one: Trial) -> dict[Trial, dict[tuple[str, str], list[float]]]:
    changes = {"network__width": one.network.width, "augment__mixup": one.augment.mixup}
    return disagreeing(0.5 + one.augment.mixup, **changes)


# a new figure needs no line here unless none of these fills it
SPLITS = ("seen", "unseen", "train_clean")


def timed(results: Results) -> Data:
    """Three widths whose latency was measured."""
    made = [trial(network__width=w) for w in (4, 8, 16)]
    found = scored(results, made, SPLITS)
    for each in made:
        row = {"trial": each.id, "machine": "EPYC", "node": "n", "runtime": "torch", "threads": 1}
        row |= {"precision": "float32", "scope": "waveform", "repeats": 200, "interrupted": 0.0}
        row |= dict.fromkeys(("peak_memory_bytes", "model_memory_bytes"), 1)
        times = ("p50_ms", "p95_ms", "low_ms", "high_ms", "cpu_ms")
        row |= dict.fromkeys(times, float(each.network.width))
        row |= {"versions": "{}", "measured": NOON}
        results.write("latency", each.id, [row])
    return found


STUDIES: dict[str, Callable[[Results], Data]] = {
    "sizes": lambda results: scored(results, with_mixup(star(seeds=1)), SPLITS),
    "pruned": lambda results: scored(results, with_mixup(sparse()), SPLITS),
    "labels": lambda results: scored(results, with_mixup(taught()), SPLITS),
    "shares": lambda results: scored(results, with_mixup(shares()), SPLITS),
    "clips": lambda results: scored(
        results, with_mixup([trial(split__clips_per_class=n) for n in (1, 10)]), SPLITS
    ),
    "betas": lambda results: scored(results, with_mixup(betas()), SPLITS),
    "maps": mapped,
    "maps of several fields": shallower,
    "curves": evaluated,
    "filters": learnt,
    "answers": lambda results: random_study(results)[0],
    "laws": lambda results: scored(
        results, [trial(network__width=w, seed=s) for w in (2, 4, 8, 16, 32) for s in range(3)]
    ),
    "pruned laws": lambda results: scored(
        results,
        [trial(network__width=32, **STATIC | {"pruning__target_width": w}) for w in (2, 4, 8, 16)],
    ),
    "timed": timed,
    "clips laws": lambda results: scored(
        results, [trial(split__clips_per_class=n, seed=s) for n in (1, 2, 5, 10) for s in range(3)]
    ),
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Data]:
    """Each of STUDIES by its name, made once: a figure leaves its data as they are."""

    @cache
    def made(name: str) -> Data:
        return STUDIES[name](Results(tmp_path_factory.mktemp("study")))

    return made


def filling(studies: Callable[[str], Data], name: str) -> Data:
    """The first of STUDIES that this figure can be drawn from."""
    for data in map(studies, STUDIES):
        if FIGURES[name].obstacle(data) is None:
            return data
    raise AssertionError(f"no study of STUDIES fills {name}: add one")


WIDTHS = [None, 7.0, 3.3]
# by the label that was kept with a prediction; by clips, of all models
TOLD_OTHERWISE = ("next_size", "hardest_clips")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_keeps_its_protocol(studies: Callable[[str], Data], name: str) -> None:
    """Points are pure, tell their conditions in columns and are listed and drawn, all words on the
    page, at any width; nothing that is process-wide changes.
    """
    data = filling(studies, name)
    before = data.scores().copy(), dict(matplotlib.rcParams)
    drawn = FIGURES[name].points(data)
    pd.testing.assert_frame_equal(drawn, FIGURES[name].points(data))
    assert set(CONTEXT) <= set(drawn.columns) or name in TOLD_OTHERWISE
    identity = [c for c in drawn if c in {*settings.leaves(), *CONTEXT, "dataset", "fraction"}]
    points_of = [*identity]
    points_of += [c for c in ("width", "depth", "pointwise", "split", "metric", "epoch", "beta",
                              "latent", "fraction", "clips_per_class", "way", "filter", "kind",
                              "size", "device", "label", "predicted", "bin", "clip")
                  if c in drawn]  # fmt: skip
    assert not drawn.duplicated([*dict.fromkeys(points_of)]).any(), "columns tell points apart"
    listing = FIGURES[name].listing(name, drawn)
    assert listing.rows > 0
    assert listing.result
    assert any(not column.constant for column in listing.about)
    for width in WIDTHS:
        figure = FIGURES[name].draw(drawn, Style(width=width))
        figure.draw_without_rendering()
        if width is not None:
            assert figure.get_figwidth() == width
        all_on_the_page(figure)
    bare = FIGURES[name].draw(drawn, Style(title=False, font_size=7, height=4))
    assert not bare.texts
    assert bare.get_figheight() == 4
    pd.testing.assert_frame_equal(data.scores(), before[0])
    assert dict(matplotlib.rcParams) == before[1]
    assert plt.get_fignums() == []


def all_on_the_page(figure: Figure) -> None:
    """No word leaves the page, no heading lies over another or over a panel."""
    panels = [panel for panel in figure.axes if panel.get_subplotspec() is not None]
    titles = [panel._left_title for panel in panels]  # type: ignore[attr-defined]
    labels = [w for panel in figure.axes for w in (panel.xaxis.label, panel.yaxis.label)]
    legends = [t for one in figure.findobj(matplotlib.legend.Legend) for t in one.get_texts()]  # type: ignore[attr-defined]
    width, height = figure.bbox.size
    for word in (*figure.texts, *titles, *labels, *legends):
        if word.get_text() and word.get_visible():
            box = word.get_window_extent()
            assert 0 <= box.x0 < box.x1 <= width + 1, word
            assert 0 <= box.y0 < box.y1 <= height + 1, word
    boxes = [word.get_window_extent() for word in (*figure.texts[:2], titles[0])]
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
    named = [t.get_window_extent() for t in titles if t.get_text()]
    assert not any(a.overlaps(b) for a, b in combinations(named, 2))


def test_draws_the_same_picture_twice(results: Results, tmp_path: Path) -> None:
    drawn = points(study(results))
    for name in ("a", "b"):
        draw(drawn).savefig(tmp_path / f"{name}.png", dpi=50)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_prototypes_and_transfer_have_panels_of_their_own(results: Results) -> None:
    """As published, with the nearest neighbours on MFCC in each; nothing is drawn beyond 100 %."""
    plain = {"network__depth": 0, "network__pointwise": 0}
    vgg = {**plain, "network__kind": "vgg5"}
    mfcc = {**plain, "network__kind": "mfcc", "objective__kind": "neighbours"}
    prototypes = {**vgg, "objective__kind": "prototypes", "objective__embedding": 9}
    taken = {**vgg, "transfer__trial": "0123456789ab"}
    trials = [
        trial(split__clips_per_class=clips, seed=seed, **kind)
        for kind in (vgg, mfcc, prototypes, taken)
        for clips in (1, 5)
        for seed in (0, 1)
    ]
    drawn = CLIPS.draw(CLIPS.points(scored(results, trials, ("test",))))
    titles = [panel.get_title(loc="left") for panel in drawn.axes]
    assert [title.partition(": ")[2] for title in titles] == [
        "prototypical", "regularized", "transferred",
    ]  # fmt: skip
    assert [len(panel.containers) for panel in drawn.axes] == [4, 4, 4]
    filled = [sum(len(c.lines[0].get_xdata()) > 0 for c in p.containers) for p in drawn.axes]
    assert filled == [2, 2, 2]
    assert all(panel.get_ylim()[1] <= 103 for panel in drawn.axes)


def test_one_size_is_no_curve(results: Results) -> None:
    """Conditions of one size stand below each other by name, each at its mean."""
    trials = [trial(seed=s, network__damping=d) for s in range(3) for d in (0.0, 0.5)]
    drawn = points(scored(results, trials))
    figure = draw(drawn)
    left = figure.axes[0]
    assert [t.get_text() for t in left.get_yticklabels()] == ["base", "damped 0.5"]
    for bars, family in zip(left.containers, ["base", "damped 0.5"], strict=True):
        line, _, _ = bars.lines  # type: ignore[attr-defined]
        rows = drawn[(drawn["split"] == "seen") & (drawn["family"] == family)]
        assert line.get_linestyle() == "None"
        assert list(line.get_xdata()) == pytest.approx(list(100 * rows["mean"]))
    assert [t for t in texts(figure) if t.startswith("Parameters 16,000; mean and 95 %")]


def test_pruned_networks_stand_at_what_pruning_leaves(results: Results) -> None:
    """Two widths pruned to one are joined by no line, and named."""
    figure = draw(points(scored(results, sparse())))
    (panel, _) = figure.axes
    pruned = [c.lines[0] for c in panel.containers if list(c.lines[0].get_xdata()) == [8000, 8000]]  # type: ignore[attr-defined]
    assert len(pruned) == 4  # static and iterative, base and damped
    assert {line.get_linestyle() for line in pruned} == {"None"}
    assert panel.get_xlabel() == "Parameters left by pruning"
    assert texts(figure).count("width 16") == 8


def test_conditions_that_coincide_are_told_apart(results: Results) -> None:
    """By place, marker and style of line, not by colour alone."""
    trials = [trial(network__width=w, augment__mixup=m) for w in (8, 16) for m in (0.0, 0.3)]
    figure = draw(points(scored(results, trials)))
    one, other = (bars.lines[0] for bars in figure.axes[0].containers)  # type: ignore[attr-defined]
    assert list(one.get_ydata()) == list(other.get_ydata())
    assert one.get_marker() != other.get_marker()
    assert one.get_linestyle() != other.get_linestyle()
    apart = one.get_transform().transform((8000, 50)) - other.get_transform().transform((8000, 50))
    assert abs(apart[0]) > 1


def test_chance_is_a_line_where_accuracy_is_an_axis(results: Results) -> None:
    trials = [trial(network__width=w) for w in (8, 16)]
    complete(results, {one: {"test": [one.network.width / 20]} for one in trials})
    predict(results, trials[0], 10)
    figure = draw(points(Data(results)))
    (chance,) = [line for line in figure.axes[0].lines if across(line)]
    assert list(chance.get_ydata()) == pytest.approx([10, 10])
    complete(results, {one: {"test": [0.9 + one.network.width / 1000]} for one in trials})
    figure = draw(points(Data(results)))
    assert not [line for line in figure.axes[0].lines if across(line)], "it would press all flat"
    assert [t for t in texts(figure) if "chance is 10 %, below the axis" in t]


def test_labels_are_renamed_wherever_they_stand(results: Results) -> None:
    drawn = points(study(results))
    renamed = {"base": "Baseline", "Unseen devices": "New", "Accuracy (%)": "Acc.", "none": "x"}
    style = Style(labels=renamed)
    figure = draw(drawn, style)
    assert legend(figure) == ["Baseline", "damped 0.5"]
    assert {"New", "Acc."} <= set(texts(figure))
    assert style.found == {"base", "Unseen devices", "Accuracy (%)"}
    assert Style(labels={"static": "random"}).renamed("base, static") == "base, random"


@pytest.mark.parametrize(
    ("text", "size"),
    [("3.3in", 3.3), ("84mm", 84 / 25.4), ("8.4cm", 8.4 / 2.54), ("240pt", 240 / 72), ("7", 7)],
)
def test_sizes_have_units(text: str, size: float) -> None:
    assert typed.size(text) == pytest.approx(size)


@pytest.mark.parametrize("text", ["", "wide", "3.3ft", "-3in", "0.5in", "99in", "3,3in"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"is not a size from 1in to 50in: write it as 3"):
        typed.size(text)


VALUES = {"frontier": "error", "next": "predicted"}


def test_points_are_grouped_by_columns_not_by_their_labels(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one label for all, as many points with the same means."""
    data = scored(results, star())
    names = [name for name in FIGURES if FIGURES[name].obstacle(data) is None]
    drawn = {name: FIGURES[name].points(data) for name in names}

    def alike(frame: pd.DataFrame, *_: object) -> "pd.Series[str]":
        return pd.Series("x", index=frame.index, dtype="str")

    monkeypatch.setattr("analysis.aggregate.labels", alike)
    monkeypatch.setattr("analysis.aggregate.prunings", alike)
    assert len(names) == 10
    for name in names:
        again, value = FIGURES[name].points(data), VALUES.get(name.partition("_")[0], "mean")
        assert sorted(again[value]) == sorted(drawn[name][value])
