"""analysis.laws: exponents come back, E and A are never negative, three sizes make no law."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from matplotlib.text import Text
from scipy.optimize import nnls
from test_analysis_table import complete, end, measure, plan, results, trial

from analysis import next_size, reading
from analysis.commands.analyze import analyze
from analysis.data import Data
from analysis.figures import next_size as next_figure
from analysis.figures.layout import Style
from analysis.figures.scaling_law import CLIPS, MACS, PARAMETERS, WEIGHTS
from analysis.laws import ALPHA, SIZES, Law, Runs, fit, fits, predicted, runs_of, values_of
from scaling.results.records import Refused, Results
from scaling.seeds import stream

__all__ = ["results"]  # the fixture

SIZE = np.array([1e3, 4e3, 16e3, 64e3, 256e3])
WIDTHS = (2, 4, 8, 16, 32)


def twin(size: np.ndarray, error: np.ndarray) -> tuple[float, Law]:
    """Every alpha of a dense grid, scipy's non-negative least squares for each."""
    best: tuple[float, Law] = (math.inf, Law(0, 0, 0))
    for alpha in np.geomspace(*ALPHA, 3000):
        columns = np.column_stack([np.ones_like(size), size**-alpha])
        norms = np.linalg.norm(columns, axis=0)
        (floor, scale), residual = nnls(columns / norms, error)
        if residual < best[0]:
            best = residual, Law(floor / norms[0], scale / norms[1], alpha)
    return best


@pytest.mark.parametrize(
    "law", [Law(0.1, 20, 0.5), Law(0.0, 5, 0.3), Law(0.05, 300, 1.1), Law(0.4, 3, 0.08)]
)
def test_an_exponent_without_noise_comes_back(law: Law) -> None:
    found = fit(SIZE, law.at(SIZE))
    assert found.exponent == pytest.approx(law.exponent, rel=1e-3)
    assert found.floor == pytest.approx(law.floor, abs=2e-3)
    assert found.at([1e6]) == pytest.approx(law.at([1e6]), rel=1e-3)
    assert found.determined


def test_an_exponent_with_noise_comes_back() -> None:
    law, random = Law(0.1, 20, 0.5), stream(1, "noise")
    found = fits(SIZE, law.at(SIZE) + random.normal(0, 0.005, (400, 5)))
    assert np.median(found.exponent) == pytest.approx(0.5, abs=0.02)
    assert (abs(found.exponent - 0.5) < 0.1).mean() > 0.9
    assert np.median(found.at([1e6])) == pytest.approx(law.at([1e6])[0], abs=0.005)


def test_a_fit_is_that_of_a_dense_grid_and_scipy() -> None:
    random = stream(2, "noise")
    errors = [
        *(Law(0.1, 20, 0.5).at(SIZE) + random.normal(0, 0.05, (4, 5))),
        *random.random((4, 5)),  # any shape at all
        np.sort(random.random(5)),  # rises with size
    ]
    for error in np.abs(errors):
        residual, near = twin(SIZE, error)
        found = fit(SIZE, error)
        left = np.sqrt(((found.at(SIZE) - error) ** 2).sum())
        assert left <= residual * (1 + 1e-9)
        assert left == pytest.approx(residual, rel=1e-3)
        assert found.at(SIZE) == pytest.approx(near.at(SIZE), abs=2e-3)


def test_e_and_a_are_never_negative() -> None:
    random = stream(3, "noise")
    found = fits(SIZE, random.random((500, 5)))
    assert (np.asarray(found.floor) >= 0).all()
    assert (np.asarray(found.scale) >= 0).all()
    rising = fit(SIZE, SIZE / SIZE.max())
    assert rising.scale == 0
    assert not rising.determined
    assert rising.floor == pytest.approx((SIZE / SIZE.max()).mean())


def test_three_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^3 sizes make no law of three numbers: it takes 4$"):
        fit(SIZE[:3], [3, 2, 1])
    with pytest.raises(ValueError, match=r"^3 sizes make"):
        fit([1, 1, 2, 3], [3, 2, 2, 1])  # a size that is measured twice is one
    for size, error in (([0, 1, 2, 3], [1] * 4), ([1, 2, 3, 4], [1, 1, 1, math.nan])):
        with pytest.raises(ValueError, match=r"^a law takes sizes above 0 and errors that are fin"):
            fit(size, error)


def swept(
    results: Results,
    error: Callable[[float], float],
    widths: tuple[int, ...] = WIDTHS,
    folds: int = 4,
    noise: float = 0.02,
) -> Data:
    """Accuracies such that the recorded loss, which is 1 more, is `error` of the parameters."""
    random = stream(4, "folds")
    shift = {f: random.normal() * noise for f in range(1, folds + 1)}
    values = {
        trial(network__width=w, split__fold=f): error(2000 * w) - 1 + shift[f]
        + random.normal() * noise / 4
        for w in widths
        for f in shift
    }  # fmt: skip
    complete(results, {one: {"test": [value]} for one, value in values.items()})
    return Data(results)


def law_of(size: float) -> float:
    """From 1.7 at 4,000 parameters to 1.2 at 64,000: losses of 1 to 2, as `measure` writes them."""
    return float(Law(1.0, 45.0, 0.5).at([size])[0])


def test_runs_share_units_and_the_band_holds_the_law(results: Results) -> None:
    data = swept(results, law_of)
    scores, what = values_of(data)
    assert what.metric == "loss"
    (runs,) = runs_of(scores, "kept_parameters")
    assert list(runs.size_M) == [2000 * w for w in WIDTHS]
    assert (runs.error_MU.shape, runs.unit) == ((5, 4), "folds")
    plain = scores.groupby(["network.width", "split.fold"])["value"].mean().unstack()
    assert runs.error_MU == pytest.approx(plain.to_numpy())
    found = predicted(runs, [128_000.0])
    assert found.low_X[0] < law_of(128_000) < found.high_X[0]
    assert found.exponent[0] < found.law.exponent < found.exponent[1]
    held = predicted(runs, [64_000.0], without_largest=True)
    assert held.off is not None
    assert held.off[0] == pytest.approx(held.mean_X[0] - runs.error_M[-1])
    assert held.off[1] < 0 < held.off[2]
    again = predicted(runs, [128_000.0])
    assert again.low_X[0] == found.low_X[0]  # the same resamples each time


def test_bands_are_as_wide_as_t_intervals() -> None:
    """Where folds differ by a constant, the law is shifted as a mean is, by its floor alone."""
    shift = np.array([-0.03, 0.0, 0.01, 0.02])
    errors = Law(1.0, 45.0, 0.5).at(SIZE)[:, None] + shift
    runs = Runs({}, "", SIZE, errors, "folds", ())
    found = predicted(runs, SIZE)
    low, high = scipy.stats.t.interval(0.95, 3, 0, scipy.stats.sem(shift))
    assert found.high_X - found.mean_X == pytest.approx(np.full(5, high), rel=0.1)
    assert found.low_X - found.mean_X == pytest.approx(np.full(5, low), rel=0.1)
    assert found.exponent == pytest.approx((0.5, 0.5), abs=0.01)


def test_seeds_are_units_where_folds_are_too_few(results: Results) -> None:
    values = {
        trial(network__width=w, seed=s): {"test": [0.2 + 1 / w + s / 100]}
        for w in (2, 4, 8, 16)
        for s in range(3)
    }
    complete(results, values)
    data = Data(results)
    (runs,) = runs_of(values_of(data)[0], "macs")
    assert (runs.unit, runs.error_MU.shape) == ("repeats", (4, 3))
    (two,) = runs_of(values_of(data)[0].query("seed < 2"), "macs")
    assert two.unit == ""
    assert np.isnan(predicted(two, [1e6]).low_X).all()


def test_a_figure_of_three_sizes_says_how_many_are_needed(results: Results) -> None:
    data = swept(results, law_of, (2, 4, 8))
    assert PARAMETERS.obstacle(data) == (
        "a law takes 4 sizes of one condition, there are at most 3 (4,000, 8,000, 16,000)"
    )
    assert MACS.obstacle(data) is not None
    assert "frontier" not in str(CLIPS.obstacle(data))
    assert str(CLIPS.obstacle(data)).startswith("a law takes 4 amounts of training clips")
    assert "no network of these is pruned" in str(WEIGHTS.obstacle(data))


def test_points_hold_sizes_law_held_out_and_next(results: Results) -> None:
    data = swept(results, law_of)
    points = PARAMETERS.points(data)
    kinds = points.groupby("kind").size().to_dict()
    assert kinds == {"size": 5, "law": 40, "held out": 1, "next": 1}
    (runs,) = runs_of(values_of(data)[0], "kept_parameters")
    observed = points[points["kind"] == "size"]
    assert list(observed["mean"]) == pytest.approx(list(runs.error_M))
    assert (observed["n"] == 4).all()
    (ahead,) = points[points["kind"] == "next"].to_dict("records")
    assert ahead["size"] == 2 * 64_000
    assert ahead["mean"] == pytest.approx(fit(runs.size_M, runs.error_M).at([128_000])[0])
    (held,) = points[points["kind"] == "held out"].to_dict("records")
    assert held["mean"] == pytest.approx(fit(runs.size_M[:-1], runs.error_M[:-1]).at([64_000])[0])
    assert held["off"] == pytest.approx(held["mean"] - runs.error_M[-1])
    listed = PARAMETERS.listing("scaling_law_parameters", points)
    assert listed.result.startswith("on test clips: ")
    assert "from the others the largest size is off by " in listed.result


def test_four_sizes_hold_none_out(results: Results) -> None:
    data = swept(results, law_of, WIDTHS[:4])
    points = PARAMETERS.points(data)
    assert SIZES == 4
    assert set(points["kind"]) == {"size", "law", "next"}
    texts = {t.get_text() for t in PARAMETERS.draw(points).findobj(Text)}
    assert any("held out where there are 5" in " ".join(text.split()) for text in texts)


def test_the_drawing_is_logarithmic_and_says_what_was_fitted(results: Results) -> None:
    points = PARAMETERS.points(swept(results, law_of))
    figure = PARAMETERS.draw(points, Style(width=3.3))
    (panel,) = figure.axes
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    words = " ".join(" ".join(t.get_text() for t in figure.findobj(Text)).split())
    assert "fitted to cross-entropy, not to accuracy" in words
    assert "95 % intervals over 4 folds, bands of 1,000 resamples" in words
    low, high = panel.get_ylim()
    assert low < points["mean"].min()
    assert high > points["mean"].max()


def test_accuracy_is_fitted_where_there_is_no_cross_entropy(results: Results) -> None:
    data = swept(results, law_of, WIDTHS[:4], folds=1)
    for one in results.names("metrics"):
        rows = [r for r in results.read("metrics", [one]).to_pylist() if r["metric"] != "loss"]
        results.write("metrics", one, rows)
    data = Data(results)
    scores, what = values_of(data)
    assert what.metric == "accuracy"
    assert scores["value"].between(0, 1).all()
    assert PARAMETERS.points(data)["metric"].unique() == ["accuracy"]


def test_clips_have_a_law_of_each_size(results: Results) -> None:
    values = {
        trial(network__width=w, split__fraction=f, split__fold=k): {"test": [0.2 + 0.1 / f**0.5]}
        for w in (4, 8)
        for f in (0.1, 0.2, 0.5, 1.0)
        for k in (1, 2, 3)
    }
    complete(results, values)
    points = CLIPS.points(Data(results))
    assert set(points["family"]) == {"width 4", "width 8"}
    laws = points[points["kind"] == "next"]
    assert list(laws["exponent"]) == pytest.approx([0.5, 0.5], abs=0.01)
    assert list(laws["floor"]) == pytest.approx([1.2, 1.2], abs=0.01)
    assert (laws["size"] == 2).all()


def test_a_prediction_is_kept_once_and_held_against_what_came(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    swept(results, law_of, WIDTHS[:4])
    analyze([results.where], figure=["next_size"])
    said = capsys.readouterr().out
    assert "no predicted size has been trained yet: sweep a larger one" in said
    (name,) = results.names("laws")
    assert f"laws/{name}.parquet" in said
    analyze([results.where], figure=["next_size"])
    assert results.names("laws") == [name]
    kept = results.read("laws").to_pandas()
    (ahead,) = next_figure.points(Data(results)).to_dict("records")
    assert ahead["size"] == 64_000
    assert math.isnan(ahead["observed"])
    assert set(kept["largest"]) == {32_000}
    assert ahead["predicted"] == kept.loc[kept["size"] == 64_000, "predicted"].item()

    added = {trial(network__width=w, split__fold=f) for w in (24, 32) for f in (1, 2, 3)}
    plan(results, "larger", sorted(added, key=lambda each: each.id))
    for one in added:
        measure(results, one, {"test": [law_of(2000 * one.network.width) - 1]})
        end(results, one)
    data = Data(results)
    found = next_size.came(data).set_index("size")
    assert list(found.index) == [48_000, 64_000]
    row = found.loc[64_000]
    runs = next(iter(runs_of(values_of(data)[0], "kept_parameters")))
    assert row["observed"] == pytest.approx(law_of(64_000))
    assert row["off"] == pytest.approx(ahead["predicted"] - law_of(64_000))
    assert (row["low"], row["high"]) == pytest.approx((ahead["low"], ahead["high"]))
    law = kept.iloc[0]
    at = law["floor"] + law["scale"] * 48_000 ** -law["exponent"]
    assert found.loc[48_000, "predicted"] == pytest.approx(at)
    assert found.loc[48_000, "low"] < at < found.loc[48_000, "high"]
    assert runs.size_M[-1] == 64_000
    points = next_figure.points(data)
    assert list(points["size"]) == [48_000, 64_000, 128_000]
    told = next_figure.listing("next_size", points).result
    assert told.startswith("2 predicted sizes have been trained since, the farthest off by")
    assert told.endswith("; 2 of 2 within their bands")
    drawn = next_figure.draw(points, Style(width=3.3))
    texts = {t.get_text() for t in drawn.findobj(Text)}
    assert {"128,000 parameters", "predicted", "observed since"} <= texts
    caption = " ".join(" ".join(texts).split())
    assert "95 % bands over 3 to 4 folds" in caption
    assert "1 of 3 not trained yet" in caption


def test_a_single_prediction_says_whether_its_band_held(results: Results) -> None:
    swept(results, law_of, WIDTHS[:4])
    next_size.keep(Data(results))
    for fold in (1, 2, 3):
        one = trial(network__width=32, split__fold=fold)
        plan(results, f"wider{fold}", [one])
        measure(results, one, {"test": [law_of(64_000)]})  # a nat more than the law has
        end(results, one)
    points = next_figure.points(Data(results))
    told = next_figure.listing("next_size", points).result
    assert re.fullmatch(
        r"1 predicted size has been trained since, off by -\d.\d{3} nats \(.*\); outside its band",
        told,
    )


def test_a_look_at_some_studies_keeps_nothing(results: Results) -> None:
    swept(results, law_of, WIDTHS[:4])
    assert next_size.keep(Data(reading.load(results, ["s"]))) is None
    assert results.names("laws") == []


def test_a_folder_that_cannot_be_written_is_warned_of(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = swept(results, law_of, WIDTHS[:4])

    def refuse(*_: object) -> None:
        raise Refused("it is full")

    monkeypatch.setattr(Results, "write", refuse)
    with pytest.warns(UserWarning, match="^the predictions are not kept: it is full$"):
        assert next_size.keep(data) is None


def test_another_condition_is_held_against_no_law(results: Results) -> None:
    data = swept(results, law_of, WIDTHS[:4])
    next_size.keep(data)
    other = trial(network__width=32, training__rate=2e-3)
    plan(results, "other", [other])
    measure(results, other, {"test": [0.5]})
    end(results, other)
    assert next_size.came(Data(results)).empty
