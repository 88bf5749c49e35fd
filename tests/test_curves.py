"""analysis.figures.curves and the figures over epochs: points are exact, the drawing shows them."""

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure
from test_analysis_table import end, plain, plan, results, same, trial

from analysis.data import Data
from analysis.figures import curves, disagreement_curves, learning_curves
from analysis.figures.registry import FIGURES
from scaling.results.records import Results
from scaling.settings import Trial

__all__ = ["results"]  # the fixture
ALIKE = {"evaluation__disagreement": "pitch"}


def over_epochs(
    results: Results, trials: Mapping[Trial, Mapping[tuple[str, str], Sequence[float]]]
) -> Data:
    """Completed trials with these values of each (split, metric) in epochs 1, 2, ..."""
    plan(results, next(iter(trials)).id, list(trials))
    for one, series in trials.items():
        rows = [
            {
                "trial": one.id, "epoch": epoch, "split": split, "device": device,
                "metric": metric, "value": value / apart,
            }
            for (split, metric), values in series.items()
            for epoch, value in enumerate(values, start=1)
            for device, apart in (("all", 1.0), *([("a", 9.0)] if split != "train" else []))
        ]  # fmt: skip
        results.write("metrics", one.id, rows)
        end(results, one)
    return Data(results)


def learnt(
    seed: int = 0, clean: bool = True, held_out: str = "test", **changes: object
) -> dict[Trial, dict[tuple[str, str], list[float]]]:
    """One trial: its held-out loss is lowest in epoch 2, its accuracy highest in epoch 3."""
    series = {
        ("train", "loss"): [9.0, 8.0, 7.0],
        ("train", "cross_entropy"): [3.0, 2.0, 1.0],
        (held_out, "loss"): [2.0 + seed, 1.0 + seed, 1.5 + seed],
        (held_out, "accuracy"): [0.1, 0.2, 0.6 + seed / 10],
    }
    if clean:
        series |= {
            ("train_clean", "loss"): [1.0, 0.5, 0.25],
            ("train_clean", "accuracy"): [0.2, 0.5, 1.0],
        }
    return {trial(seed=seed, **changes): series}


def disagreeing(
    level: float, clean: bool = True, **changes: object
) -> dict[Trial, dict[tuple[str, str], list[float]]]:
    """One trial that measured how views are apart."""
    ((one, series),) = learnt(clean=clean, **ALIKE, **changes).items()
    falling = [level, level / 2, level / 4]
    series |= {("test", "disagreement"): falling, ("train", "disagreement"): [9.0, 9.0, 9.0]}
    if clean:
        series |= {("train_clean", "disagreement"): [v / 2 for v in falling]}
    return {one: series}


def lines(figure: Figure, panel: int) -> dict[str, list[float]]:
    """The values of one panel's lines by style; one colour."""
    return {str(x.get_linestyle()): list(x.get_ydata()) for x in figure.axes[panel].lines}


def said(figure: Figure) -> str:
    """Every text of a figure, without the line breaks that its width asks for."""
    found = figure.findobj(matplotlib.text.Text)
    return " | ".join(t.get_text().replace("\n", " ") for t in found if t.get_text())


def test_points_are_means_by_epoch_with_intervals(results: Results) -> None:
    study = over_epochs(results, learnt(0) | learnt(1))
    points = learning_curves.points(study)
    assert list(points.columns)[: len(curves.COLUMNS)] == curves.COLUMNS
    # two metrics x two splits x three epochs; neither device a nor what train minimizes
    assert len(points) == 12
    key = ["metric", "split", "epoch"]
    assert not points.duplicated(key).any()
    at = points.set_index(key).sort_index()
    row = at.loc[("cross_entropy", "test", 2)]
    assert same(row[["mean", "low", "high", "n", "unit"]], plain([1.0, 2.0]))
    assert sorted(row["trials"].split()) == sorted(trial(seed=s).id for s in range(2))
    assert list(at.loc[("accuracy", "train_clean"), "mean"]) == [0.2, 0.5, 1.0]


def test_training_steps_stand_in_for_clean_training_clips(results: Results) -> None:
    """Only where some trial lacks these; what is drawn is never the loss with all its parts."""
    study = over_epochs(results, learnt(0) | learnt(1, clean=False))
    points = learning_curves.points(study)
    training = points[points["split"].isin(curves.TRAINING)]
    assert set(training["split"]) == {"train"}
    assert set(training["metric"]) == {"cross_entropy"}
    assert list(training["mean"]) == [3.0, 2.0, 1.0]
    assert "training clips as trained on, accuracy unknown" in said(learning_curves.draw(points))


def test_records_without_a_cross_entropy_of_training(results: Results) -> None:
    ((one, series),) = learnt(clean=False).items()
    del series["train", "cross_entropy"]
    points = learning_curves.points(over_epochs(results, {one: series}))
    assert set(points["split"]) == {"test"}


def test_validation_is_drawn_where_it_was_scored(results: Results) -> None:
    ((one, series),) = learnt(held_out="validation").items()
    series |= {("test", "loss"): [7.0, 7.0, 7.0], ("test", "accuracy"): [0.0, 0.0, 0.0]}
    points = learning_curves.points(over_epochs(results, {one: series}))
    assert list(points["split"].unique()) == ["validation", "train_clean"]


def test_what_is_drawn_is_the_points_training_dashed(results: Results) -> None:
    figure = learning_curves.draw(learning_curves.points(over_epochs(results, learnt(0))))
    assert lines(figure, 0) == {"-": [2.0, 1.0, 1.5], "--": [1.0, 0.5, 0.25]}
    assert lines(figure, 1) == {
        "-": pytest.approx([10, 20, 60]),
        "--": pytest.approx([20, 50, 100]),
    }
    labels = [panel.get_ylabel() for panel in figure.axes]
    assert labels == ["Cross-entropy alone (nats)", "Accuracy (%)"]
    assert [panel.get_xlabel() for panel in figure.axes] == ["Epoch", "Epoch"]
    assert "cp_resnet; one run per curve, no band" in said(figure)
    assert not figure.axes[0].collections
    assert "Training clips, not augmented" in said(figure)


def test_bands_are_the_intervals_and_the_caption_says_what_is_cut_off(results: Results) -> None:
    points = learning_curves.points(over_epochs(results, learnt(0) | learnt(1) | learnt(2)))
    figure = learning_curves.draw(points)
    caption = "mean and 95 % band over 3 seeds on one split, cut off where it leaves the panel"
    assert caption in said(figure)
    (band, _) = sorted(
        (c.get_paths()[0].vertices[:, 1] for c in figure.axes[0].collections),
        key=lambda y: -y.max(),
    )
    held_out = points[(points["metric"] == "cross_entropy") & (points["split"] == "test")]
    assert (band.min(), band.max()) == pytest.approx(
        (held_out["low"].min(), held_out["high"].max())
    )
    low, high = figure.axes[0].get_ylim()
    assert low < points["mean"].min()
    assert held_out["mean"].max() < high < held_out["high"].max()
    narrow = points.assign(low=points["mean"] - 0.01, high=points["mean"] + 0.01)
    assert "cut off" not in said(learning_curves.draw(narrow))


def test_sizes_and_shares_are_rows_families_are_colours(results: Results) -> None:
    trials = [
        learnt(s, network__width=w, split__fraction=f, augment__mixup=m)
        for s in range(2)
        for w in (8, 16)
        for f in (0.1, 1.0)
        for m in (0.0, 0.3)
    ]
    points = learning_curves.points(
        over_epochs(results, {k: v for each in trials for k, v in each.items()})
    )
    assert set(points["n"]) == {2}
    figure = learning_curves.draw(points)
    titles = [panel.get_title("left") for panel in figure.axes]
    assert titles[::2] == [
        "width 8, 10 % of clips", "width 8, 100 % of clips",
        "width 16, 10 % of clips", "width 16, 100 % of clips",
    ]  # fmt: skip
    assert all(len(panel.lines) == 4 for panel in figure.axes)
    (legend,) = figure.findobj(matplotlib.legend.Legend)
    assert [t.get_text() for t in legend.get_texts()] == [  # type: ignore[attr-defined]
        "mixup=0", "mixup=0.3", "Training clips, not augmented", "Test clips",
    ]  # fmt: skip


def test_of_many_sizes_a_few_are_drawn_and_all_are_points(results: Results) -> None:
    trials = [learnt(network__width=w) for w in range(1, 10)]
    points = learning_curves.points(
        over_epochs(results, {k: v for each in trials for k, v in each.items()})
    )
    assert points["width"].nunique() == 9
    figure = learning_curves.draw(points)
    titles = [panel.get_title("left") for panel in figure.axes]
    assert titles[::2] == [f"width {w}" for w in (1, 3, 5, 7, 9)]
    assert "5 of 9 rows are drawn, evenly spaced" in said(figure)


def summarized(results: Results, held_out: str) -> list[list[object]]:
    """The summary of two runs that scored these held-out clips."""
    trials = learnt(0, held_out=held_out) | learnt(1, held_out=held_out)
    summary = curves.last_and_best(learning_curves.points(over_epochs(results, trials)))
    columns = ["metric", "split", "at", "epoch", "mean", "training"]
    return summary[columns].to_dict("split")["data"]


def test_summary_is_the_last_and_the_best_epoch_with_training_beside(results: Results) -> None:
    assert summarized(results, "validation") == [
        ["cross_entropy", "validation", "last epoch", 3, 2.0, 0.25],
        ["cross_entropy", "validation", "best epoch", 2, 1.5, 0.5],
        ["accuracy", "validation", "last epoch", 3, pytest.approx(0.65), 1.0],
        ["accuracy", "validation", "best epoch", 3, pytest.approx(0.65), 1.0],
    ]


@pytest.mark.parametrize("held_out", ["test", "seen", "unseen"])
def test_test_clips_choose_no_epoch(results: Results, held_out: str) -> None:
    assert summarized(results, held_out) == [
        ["cross_entropy", held_out, "last epoch", 3, 2.0, 0.25],
        ["accuracy", held_out, "last epoch", 3, pytest.approx(0.65), 1.0],
    ]


def test_disagreement_of_training_and_held_out_clips(results: Results) -> None:
    study = over_epochs(
        results, disagreeing(0.8) | disagreeing(0.4, augment__mixup=0.3) | learnt(seed=4)
    )
    assert disagreement_curves.obstacle(study) is None
    points = disagreement_curves.points(study)
    assert list(points["split"].unique()) == ["test", "train_clean"]
    assert len(points) == 12
    figure = disagreement_curves.draw(points)
    titles = [panel.get_title("left") for panel in figure.axes]
    assert titles == ["Training clips, not augmented", "Test clips"]
    drawn = [[list(line.get_ydata()) for line in panel.lines] for panel in figure.axes]
    assert sorted(drawn[0]) == [[0.2, 0.1, 0.05], [0.4, 0.2, 0.1]]  # not those of device a
    assert sorted(drawn[1]) == [[0.4, 0.2, 0.1], [0.8, 0.4, 0.2]]
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert "at most ln 3 = 1.10" in said(figure)
    assert list(curves.last_and_best(points, best=False)["at"]) == ["last epoch"] * 2
    alone = disagreement_curves.draw(points[points["split"] == "test"])
    assert "training clips were not scored" in said(alone)


def test_what_cannot_be_drawn_says_why(results: Results) -> None:
    ((one, series),) = learnt().items()
    short = {one: {key: values[:2] for key, values in series.items() if key[0] != "train"}}
    study = over_epochs(results, short)
    assert learning_curves.obstacle(study) == (
        "held-out clips were scored in 2 epochs of some trial, a curve needs 3: "
        "sweep with --set evaluation.every=1"
    )
    reason = disagreement_curves.obstacle(study)
    assert reason is not None
    assert reason.startswith("no complete trial measured how far views of a clip are apart: sweep")
    study = over_epochs(results, learnt(seed=1))
    assert learning_curves.obstacle(study) is not None  # each trial must have three
    enough = study.manifest["trial"] == trial(seed=1).id
    assert (
        learning_curves.obstacle(Data(study.snapshot._replace(manifest=study.manifest[enough])))
        is None
    )


@pytest.mark.parametrize("name", ["learning_curves", "disagreement_curves"])
@pytest.mark.parametrize("several", [False, True])
def test_all_words_stand_on_the_page(results: Results, name: str, several: bool) -> None:
    levels = range(8) if several else [0]
    trials = [disagreeing(0.5 + m, augment__mixup=m / 10, network__width=w)
              for m in levels for w in ((8, 16) if several else (8,))]  # fmt: skip
    study = over_epochs(results, {k: v for each in trials for k, v in each.items()})
    points = FIGURES[name].points(study)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = FIGURES[name].draw(points)
        figure.draw_without_rendering()
    width, height = figure.bbox.size
    title, caption = figure.texts
    titles = [panel._left_title for panel in figure.axes]  # type: ignore[attr-defined]
    labels = [w for panel in figure.axes for w in (panel.xaxis.label, panel.yaxis.label)]
    legends = [t for one in figure.findobj(matplotlib.legend.Legend) for t in one.get_texts()]  # type: ignore[attr-defined]
    if several:
        assert len([t for t in legends if t.get_text().startswith("mixup=")]) == 8
    for word in (title, caption, *titles, *labels, *legends):
        if word.get_text():
            box = word.get_window_extent()
            assert 0 <= box.x0 < box.x1 <= width, word
            assert 0 <= box.y0 < box.y1 <= height, word
    for one in legends:  # beside the panels, not over them
        assert one.get_window_extent().x0 > max(p.bbox.x1 for p in figure.axes)
    boxes = [word.get_window_extent() for word in (title, caption, figure.axes[0])]
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))


def test_points_are_pure(results: Results) -> None:
    study = over_epochs(results, learnt())
    before = study.manifest.copy()
    first = learning_curves.points(study)
    pd.testing.assert_frame_equal(first, learning_curves.points(study))
    pd.testing.assert_frame_equal(study.manifest, before)
