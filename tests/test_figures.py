"""analysis.figures: points are exact, and the drawing shows them and says what they are."""

import warnings
from itertools import pairwise
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_analysis_table import complete, results, trial

from analysis import table
from analysis.figures import FIGURES
from analysis.figures.accuracy_vs_parameters import DESCRIBED, draw, points
from analysis.intervals import mean_interval
from scaling.records import Results

__all__ = ["results"]  # the fixture


def study(results: Results) -> pd.DataFrame:
    """Scores of two families x two widths x three seeds, less one run."""
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
    return table.scores(results)


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def test_points_are_exact_means_with_intervals(results: Results) -> None:
    drawn = points(study(results))
    assert len(drawn) == 8
    damped = drawn[(drawn["family"] == "damped 0.5") & (drawn["split"] == "unseen")]
    row = damped.set_index("width").loc[8]
    expected = mean_interval([0.43, 0.45, 0.47])
    assert (row["mean"], row["low"], row["high"], row["n"]) == pytest.approx(expected)
    assert (row["parameters"], row["kept_weights"], row["macs"]) == (16000, 15991, 112000)
    assert (row["depth"], row["pointwise"], row["receptive_field"]) == (1, 1, 103)
    ids = [trial(seed=s, network__damping=0.5).id for s in range(3)]
    assert sorted(row["trials"].split()) == sorted(ids)
    assert list(damped["n"]) == [3, 2]


def test_points_use_device_all_only(results: Results) -> None:
    scores = study(results)
    pd.testing.assert_frame_equal(points(scores), points(scores[scores["device"] == "all"]))


def test_folds_and_seeds_are_runs_of_one_point(results: Results) -> None:
    runs = [trial(seed=s, split__fold=f) for s in range(2) for f in (1, 2)]
    complete(results, {one: {"test": [k / 10]} for k, one in enumerate(runs)})
    (row,) = points(table.scores(results)).to_dict("records")
    assert (row["n"], row["family"]) == (4, "cp_resnet")
    assert row["mean"] == pytest.approx(0.15)


def test_validation_and_training_clips_only_when_asked_for(results: Results) -> None:
    scores = study(results)
    assert list(points(scores)["split"].unique()) == ["seen", "unseen"]
    asked = points(scores, ["train", "validation"])
    assert list(asked["split"].unique()) == ["validation", "train"]
    assert set(asked["mean"]) == {0.0, 1.0}
    with pytest.raises(ValueError, match=r"^no accuracy of the split test to draw: .*seen, train"):
        points(scores, ["seen", "test"])
    with pytest.raises(ValueError, match=r"^no accuracy of held-out clips to draw: .* train$"):
        points(scores[scores["split"] == "train"])


def test_sizes_of_nearly_equal_parameters_stay_apart(results: Results) -> None:
    # 16 x (0 + 1) and 8 x (1 + 1) thousand parameters are equal
    alike = {trial(network__width=16, network__depth=0): 0.9, trial(network__width=8): 0.1}
    complete(results, {one: {"test": [value]} for one, value in alike.items()})
    drawn = points(table.scores(results))
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
            ends = [s[:, 1] for s in interval.get_segments()]
            assert np.array(ends) == pytest.approx(100 * rows[["low", "high"]].to_numpy())
            low, high = panel.get_ylim()
            assert (low < np.array(ends)).all()
            assert (np.array(ends) < high).all()
            low, high = panel.get_xlim()
            assert ((low < rows["parameters"]) & (rows["parameters"] < high)).all()


def test_caption_says_interval_and_n(results: Results) -> None:
    uneven = points(study(results))
    said = texts(draw(uneven))
    assert "mean and 95 % t interval over 3 runs unless n is given" in said
    assert said.count("n=2") == 2
    even = uneven[uneven["n"] == 3]
    assert "mean and 95 % t interval over 3 runs" in texts(draw(even))
    assert not [t for t in texts(draw(even)) if t.startswith("n=")]
    uneven.loc[0, ["n", "low", "high"]] = 1, np.nan, np.nan
    (caption,) = [t for t in texts(draw(uneven)) if t.startswith("mean")]
    assert caption.endswith("over 3 runs unless n is given (n=1: no interval)")


def test_caption_where_most_points_are_single_runs(results: Results) -> None:
    runs = [trial(network__width=w) for w in (8, 16, 32)] + [trial(seed=1)]
    complete(results, {one: {"test": [0.5 + one.seed / 10]} for one in runs})
    said = texts(draw(points(table.scores(results))))
    caption = "one run per point, no interval; mean and 95 % t interval where n is given"
    assert f"cp_resnet; {caption}" in said
    assert said.count("n=2") == 1


def test_one_run_per_point_has_no_interval_and_says_so(results: Results) -> None:
    complete(results, {trial(network__width=w): {"test": [w / 100]} for w in (8, 16)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = draw(points(table.scores(results)))
        figure.canvas.draw()
    assert "cp_resnet; one run per point, no interval" in texts(figure)
    assert len(figure.axes) == 1
    assert figure.axes[0].get_title("left") == DESCRIBED["test"]
    assert figure.axes[0].get_legend() is None


@pytest.mark.parametrize("widths", [(8,), (8, 9), (8, 16, 32), (8, 64), (8, 128), (1, 4096)])
def test_parameter_labels_are_at_least_two_and_do_not_touch(
    results: Results, widths: tuple[int, ...]
) -> None:
    complete(results, {trial(network__width=w): {"test": [0.5]} for w in widths})
    figure = draw(points(table.scores(results)))
    figure.canvas.draw()
    (panel,) = figure.axes
    left, right = panel.get_xlim()
    labels = [
        label.get_window_extent()
        for label, at in zip(panel.get_xticklabels(), panel.get_xticks(), strict=True)
        if left <= at <= right and label.get_text()
    ]
    assert len(labels) >= 2
    assert all(a.x1 < b.x0 for a, b in pairwise(labels))


def test_leaves_no_global_state(results: Results) -> None:
    drawn = points(study(results))
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        before = dict(matplotlib.rcParams)
        for module in FIGURES.values():
            module.draw(drawn)
        assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []


def test_draws_the_same_picture_twice(results: Results, tmp_path: Path) -> None:
    drawn = points(study(results))
    for name in ("a", "b"):
        draw(drawn).savefig(tmp_path / f"{name}.png", dpi=50)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
