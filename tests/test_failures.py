"""analysis.failures: where models fail, by hand and against plain pandas; what is printed and drawn
of it.
"""

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.special import softmax
from test_analysis_table import complete, end, plan, results, trial

from analysis import failures
from analysis.data import Data
from analysis.failures import answers
from analysis.failures.models import summaries
from analysis.figures import places
from analysis.figures.layout import Style
from analysis.figures.registry import FIGURES, applicable
from analysis.listing import Listing
from analysis.scales import MEAN, SHARE
from analysis.units import estimate, estimated
from scaling.results.records import Results
from scaling.seeds import stream
from scaling.settings import Trial

__all__ = ["results"]  # the fixture

CLASSES = ("cat", "dog", "rain")
VIEWS = ("devices", "classes", "classes_by_device", "confusion", "calibration", "hardest_clips")
Row = tuple[str, str, str, str, str]  # split, clip, device, label, predicted


def surely(predicted: str, logit: float = 4.0) -> list[float]:
    return [logit if name == predicted else 0.0 for name in CLASSES]


def answer(results: Results, of: Trial, rows: Iterable[Row], logit: float = 4.0) -> None:
    """Write these answers, with the metrics and the outcome that go with them."""
    told = [
        {"trial": of.id, "epoch": 3, "split": s, "clip": c, "device": d, "label": y,
         "predicted": p, "logits": surely(p, logit)}
        for s, c, d, y, p in rows
    ]  # fmt: skip
    results.write("predictions", of.id, told)
    frame = pd.DataFrame(told)
    frame = frame.assign(value=(frame["label"] == frame["predicted"]).astype(float))
    means = frame.groupby("split")["value"].mean().rename("value").reset_index()
    named = frame[frame["device"] != ""].groupby(["split", "device"])["value"].mean()
    both = pd.concat([means.assign(device="all"), named.reset_index()])
    rows_ = [{"trial": of.id, "epoch": 3, "metric": "accuracy"} | row
             for row in both.to_dict("records")]  # fmt: skip
    results.write("metrics", of.id, rows_)
    end(results, of)


def study(results: Results, trials: Mapping[Trial, list[Row]], logit: float = 4.0) -> Data:
    plan(results, "launch", [*trials])
    for one, rows in trials.items():
        answer(results, one, rows, logit)
    return Data(results)


def speakers(rights: Mapping[str, int], of: int = 10) -> list[Row]:
    """Clips of unseen speakers, so many of ten right of each; a cat is heard, or taken for rain."""
    return [
        ("unseen", f"{name}/{k}", name, "cat", "cat" if k < right else "rain")
        for name, right in rights.items()
        for k in range(of)
    ]


def random_study(results: Results, folds: int = 3, seeds: int = 2) -> tuple[Data, pd.DataFrame]:
    """Two widths; other clips in each fold, three devices, one of them seen; and all its rows."""
    trials, frames = {}, []
    for width in (8, 16):
        for fold in range(1, folds + 1):
            for seed in range(seeds):
                one = trial(network__width=width, split__fold=fold, seed=seed)
                draw = stream(7, "answers", width, fold, seed)
                rows: list[Row] = []
                for k in range(12):
                    label = CLASSES[k % 3]
                    for split, device in (("seen", "a"), ("unseen", "b"), ("unseen", "c")):
                        right = draw.random() < {"a": 0.9, "b": 0.7, "c": 0.4}[device]
                        other = label if right else str(draw.choice(CLASSES))
                        rows.append((split, f"{fold}/{k}", device, label, other))
                trials[one] = rows
                about = {"width": width, "split.fold": fold, "seed": seed}
                columns = ["split", "clip", "device", "label", "predicted"]
                frames.append(pd.DataFrame(rows, columns=columns).assign(trial=one.id, **about))
    return study(results, trials), pd.concat(frames, ignore_index=True)


def twin(rows: pd.DataFrame, keys: list[str], right: "pd.Series[bool]") -> pd.DataFrame:
    """Plain pandas: the share of each training, then units.estimate of each model's trainings."""
    frame = rows.assign(right=right.astype(float))
    training = ["width", *keys, "split.fold", "seed"]
    cells = frame.groupby(training).agg(value=("right", "mean"), clips=("clip", "nunique"))
    made = [
        dict(zip(["width", *keys], key, strict=True))
        | estimate(runs.assign(metric="accuracy").drop(columns="split"))._asdict()
        for key, runs in cells.reset_index().groupby(["width", *keys])
    ]
    return pd.DataFrame(made).rename(columns={"mean": "value"})


def alike(found: pd.DataFrame, expected: pd.DataFrame, keys: list[str]) -> None:
    columns = ["width", *keys, "value", "low", "high", "n", "unit"]
    one, other = (f[columns].sort_values(columns[: len(keys) + 1]).reset_index(drop=True)
                  for f in (found, expected))  # fmt: skip
    pd.testing.assert_frame_equal(one, other, check_dtype=False)


def test_devices_and_classes_are_as_plain_pandas_has_them(results: Results) -> None:
    data, rows = random_study(results)
    right = rows["label"] == rows["predicted"]
    for view, keys in [
        (failures.by_device, ["split", "device"]),
        (failures.by_class, ["split", "label"]),
        (failures.by_device_and_class, ["split", "device", "label"]),
    ]:
        found = view(data)
        alike(found, twin(rows, keys, right), keys)
        assert set(found["unit"]) == {"folds"}
        assert set(found["n"]) == {3}, "six trainings are three folds"


def test_confusions_are_as_plain_pandas_has_them(results: Results) -> None:
    data, rows = random_study(results)
    found = failures.confusion(data)
    for answer_ in CLASSES:
        expected = twin(rows, ["split", "label"], rows["predicted"] == answer_)
        given = expected[expected["value"] > 0]
        alike(found[found["predicted"] == answer_], given, ["split", "label"])
    pairs = rows.groupby(["width", "split", "label", "predicted"]).size()
    keys = list(zip(*(found[name] for name in pairs.index.names), strict=True))
    assert list(found["answers"]) == [pairs[key] for key in keys]
    sums = found.groupby(["width", "split", "label"])["value"].sum()
    assert sums.to_numpy() == pytest.approx(1)


def test_confusions_by_hand(results: Results) -> None:
    asked = [("cat", "cat"), ("cat", "cat"), ("cat", "dog"), ("cat", "rain"), ("dog", "cat")]
    rows = [("test", str(k), "", *pair) for k, pair in enumerate(asked)]
    found = failures.confusion(study(results, {trial(): rows}))
    shares = found.set_index(["label", "predicted"])["value"].to_dict()
    assert shares == {
        ("cat", "cat"): 0.5, ("cat", "dog"): 0.25, ("cat", "rain"): 0.25, ("dog", "cat"): 1.0,
    }  # fmt: skip
    assert list(found["answers"]) == [2, 1, 1, 1]
    assert set(zip(found["n"], found["unit"], strict=True)) == {
        (4, "clips of one run"), (1, "clips of one run"),
    }  # fmt: skip


def test_the_fast_estimate_is_the_plain_one() -> None:
    draw = stream(3, "estimates")
    for folds, seeds, clips in [(5, 3, 40), (1, 3, 40), (3, 1, None), (1, 1, 40), (2, 2, 9)]:
        runs = pd.DataFrame(
            [{"value": draw.random(), "split.fold": f, "seed": s} for f in range(folds)
             for s in range(seeds)]
        )  # fmt: skip
        if clips:
            runs = runs.assign(clips=clips)
        plain = estimate(runs, SHARE)
        fast = estimated(
            runs["value"], runs["split.fold"], runs["seed"], runs["clips"] if clips else None
        )
        assert fast[3:] == plain[3:]
        assert fast[:3] == pytest.approx(plain[:3], nan_ok=True)
    with pytest.raises(ValueError, match="3 trainings on one split say nothing of other splits"):
        estimated([0.1, 0.2, 0.3], [1, 1, 1], [0, 1, 2], scale=MEAN, unit="folds")


def result_of(name: str, data: Data) -> Listing:
    return FIGURES[name].listing(name, FIGURES[name].points(data))


def test_a_pooled_accuracy_hides_no_device(results: Results) -> None:
    """Three speakers of 66.7, 18.4 and 15.9 %, as a new user met them; here 7, 2 and 1 of 10."""
    data = study(results, {trial(): speakers({"ann": 7, "bob": 2, "cy": 1})})
    (row,) = summaries(failures.by_device(data), "device").to_dict("records")
    assert (row["worst"], row["best"], row["places"]) == ("cy", "ann", 3)
    shares = (row["value"], row["mean"], row["highest"], row["tenth"])
    assert shares == pytest.approx((0.1, 1 / 3, 0.7, 0.12))
    assert result_of("devices", data).result.startswith(
        "worst device on unseen devices: cy, 10.0 % (1.8 to 40.4), 23.3 points below the mean of 3 "
        "devices; 10th percentile 12.0 %; best ann, 70.0 %"
    )
    accuracy = result_of("accuracy_vs_parameters", data)
    assert accuracy.result == (
        "accuracy on unseen devices: 33.3 % (3.3 to 88.1), 10.0 % on its worst device, cy"
    )
    assert ("cy 10.0",) in [c.cells for c in accuracy.values if c.heading == "worst device"]


def test_the_worst_device_is_that_of_folds_not_of_runs(results: Results) -> None:
    """Seeds are averaged within a fold first; devices that only some folds have count there."""
    trials = {
        trial(split__fold=1, seed=0): speakers({"a": 0, "b": 5}),
        trial(split__fold=2, seed=0): speakers({"a": 10, "b": 4}),
        trial(split__fold=2, seed=1): speakers({"a": 10, "b": 4, "c": 9}),
    }
    (row,) = FIGURES["accuracy_vs_parameters"].points(study(results, trials)).to_dict("records")
    assert (row["worst_device"], row["worst"]) == ("b", pytest.approx(0.45))


def test_one_device_is_no_worst_device(results: Results) -> None:
    data = study(results, {trial(): speakers({"a": 5})})
    assert "worst_device" not in FIGURES["accuracy_vs_parameters"].points(data)
    assert "worst" not in result_of("accuracy_vs_parameters", data).result
    reason = FIGURES["devices"].obstacle(data)
    assert reason == "no split of these trials was scored on two devices"
    with pytest.raises(ValueError, match=r"^figure devices: no split of these trials was scored"):
        applicable(["devices"], data)


def test_recordings_of_no_named_device_stand_beside_those_of_devices(results: Results) -> None:
    rows = [("seen", str(k), "", "cat", "cat") for k in range(4)]
    found = failures.by_device(study(results, {trial(): rows + speakers({"a": 5, "b": 6})}))
    assert list(zip(found["split"], found["device"], found["value"], strict=True)) == [
        ("seen", "", 1.0), ("unseen", "a", 0.5), ("unseen", "b", 0.6),
    ]  # fmt: skip


def test_a_calibration_error_by_hand() -> None:
    """Twenty answers of a confidence of .8, of which twelve are right, and twenty of .6, all right:
    2/4 x .2 + 2/4 x .4, in whatever order they stand.
    """
    sure = np.r_[np.full(20, 0.8), np.full(20, 0.6)]
    right = np.r_[np.full(12, True), np.full(8, False), np.full(20, True)]
    bins = answers.reliability(sure, right)
    assert bins.answers_B.tolist() == [4] * 10
    assert bins.confidence_B == pytest.approx([0.6] * 5 + [0.8] * 5)
    assert bins.accuracy_B == pytest.approx([1.0] * 5 + [0.6] * 5)
    assert answers.expected_error(bins)[0] == pytest.approx(0.3)


def test_what_chance_alone_would_show_is_what_calibrated_answers_show() -> None:
    draw = stream(5, "calibrated")
    found, told = [], []
    for _ in range(400):
        sure = draw.uniform(0.3, 1.0, 200)
        bins = answers.reliability(sure, draw.random(200) < sure)
        found.append(np.abs(bins.accuracy_B - bins.confidence_B).mean())
        told.append(bins.by_chance_B.mean())
    assert np.mean(told) == pytest.approx(np.mean(found), rel=0.05)


def drawn_answers(truth: float, clips: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their probabilities at this temperature."""
    draw = stream(6, "temperature", str(truth))
    logits = 3 * draw.standard_normal((clips, 5))
    shares = softmax(logits / truth, axis=1).cumsum(axis=1)
    return logits, (draw.random((clips, 1)) > shares).sum(axis=1)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_a_temperature_is_recovered(truth: float) -> None:
    logits, labels = drawn_answers(truth)
    assert answers.temperature(logits, labels) == pytest.approx(truth, rel=0.06)


def test_a_temperature_has_bounds() -> None:
    logits, _ = drawn_answers(1.0, 50)
    best = logits.argmax(axis=1)
    assert answers.temperature(logits, best) == pytest.approx(answers.COOLEST, rel=0.01)
    assert answers.temperature(logits, logits.argmin(axis=1)) == pytest.approx(20, rel=0.01)


def sided(test: int, validation: int | None) -> list[Row]:
    """A hundred clips of the test, and of validation, of which so many are right."""
    given = {"test": test} | ({} if validation is None else {"validation": validation})
    return [
        (split, f"{split}/{k}", "", CLASSES[k % 3], CLASSES[(k + (k >= right)) % 3])
        for split, right in given.items()
        for k in range(100)
    ]


def test_temperatures_are_fitted_on_validation_clips_alone(results: Results) -> None:
    """Ten test clips are right in one trial, all in the other: their temperature is the same."""
    trials = {trial(seed=s): sided(right, 80) for s, right in enumerate((10, 100))}
    found = failures.calibration(study(results, trials))
    (warmth,) = found.loc[found["stage"] == answers.TEMPERED, "temperature"].unique()
    # 80 % right: exp(4 / T) / (exp(4 / T) + 2) = .8
    assert warmth == pytest.approx(4 / math.log(8), rel=0.01)
    after = found[found["stage"] == answers.TEMPERED]
    assert after["confidence"].to_numpy() == pytest.approx(0.8, abs=0.002)
    assert after["sure"].to_numpy() == pytest.approx(0.8, abs=0.002)
    assert set(found.loc[found["stage"] == answers.AS_TRAINED, "temperature"]) == {1.0}


def test_without_validation_clips_there_is_no_temperature(results: Results) -> None:
    data = study(results, {trial(): sided(70, None)})
    assert set(failures.calibration(data)["stage"]) == {answers.AS_TRAINED}
    result = result_of("calibration", data).result
    assert "no temperature: these trials have no validation clips to fit one on" in result
    # sure: e^4 / (e^4 + 2) = 96.5 %
    assert result.startswith(
        "largest calibration error on test clips: 26.5 %, overconfident by 26.5"
    )


def test_a_class_that_nothing_names_leaves_no_temperature(results: Results) -> None:
    """Places in the logits are told by the names of all classes."""
    rows = [row for row in sided(100, 100) if row[3] != "dog"]
    found = failures.calibration(study(results, {trial(): rows}))
    assert set(found["stage"]) == {answers.AS_TRAINED}


def test_a_class_that_is_never_answered_has_an_accuracy_of_nought(results: Results) -> None:
    rows = [("test", str(k), "", CLASSES[k % 3], "cat") for k in range(30)]
    data = study(results, {trial(): rows})
    assert dict(failures.by_class(data)[["label", "value"]].to_numpy()) == {
        "cat": 1.0, "dog": 0.0, "rain": 0.0,
    }  # fmt: skip
    drawn = FIGURES["confusion"].draw(FIGURES["confusion"].points(data))
    assert {*CLASSES} <= set(texts(drawn))


def test_hardest_clips_by_hand(results: Results) -> None:
    """Of four clips: one missed by all trainings, one by one and by half of another, one by one,
    one by none.
    """
    missed = {"x": 3, "y": 2, "z": 1, "right": 0}  # device b hears y well in one training
    trials = {
        trial(seed=s, network__width=8 * (1 + s % 2)): [
            ("unseen", clip, device, "cat", "rain" if s < often - half else "cat")
            for clip, often in missed.items()
            for device, half in (("a", 0), ("b", clip == "y"))
        ]
        for s in range(3)
    }
    data = study(results, trials)
    found = failures.hardest(data)
    assert list(found["clip"]) == ["x", "y", "z"]
    assert list(found["value"]) == pytest.approx([1, 1 / 2, 1 / 3])
    assert list(found["missed"]) == [3, 1, 1]
    first = found.iloc[0].to_dict()
    assert (first["n"], first["unit"], first["models"]) == (3, "trainings", 2)
    assert (first["taken_for"], first["taken"], first["device"]) == ("rain", 1.0, "2 devices")
    assert (first["hard"], first["clips"]) == (1, 4)
    assert result_of("hardest_clips", data).result == (
        "1 of 4 clips are missed by most trainings that were tested on them; hardest: x (cat), "
        "missed by 3 of 3, mostly taken for rain"
    )


def test_no_clip_is_missed(results: Results) -> None:
    data = study(results, {trial(): [("test", "x", "", "cat", "cat")]})
    assert failures.hardest(data).empty
    assert result_of("hardest_clips", data).result == "no clip is missed"
    assert result_of("confusion", data).result == "no clip is taken for one of another class"
    for name in ("hardest_clips", "confusion"):
        assert FIGURES[name].draw(FIGURES[name].points(data))


def test_trials_without_predictions_are_said(results: Results) -> None:
    data = study(
        results, {trial(): speakers({"a": 5, "b": 6}), trial(seed=1): speakers({"a": 6, "b": 7})}
    )
    results.remove("predictions", f"{trial(seed=1).id}.parquet")
    with pytest.warns(UserWarning, match="^1 of 2 trials have no predictions: they are in no"):
        found = failures.by_class(data)
    assert set(found["trials"]) == {1}
    assert set(failures.by_device(data)["trials"]) == {2}


def test_without_predictions_only_devices_are_drawn(results: Results) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    data = Data(results)
    for name in VIEWS[1:]:
        assert FIGURES[name].obstacle(data) == "no complete trial has predictions"
    with pytest.raises(ValueError, match=r"^no complete trial has predictions: nothing tells"):
        failures.confusion(data)


def texts(figure: Figure) -> list[str]:
    found = figure.findobj(matplotlib.text.Text)
    return [t.get_text().replace("\n", " ") for t in found if t.get_text()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [None, 3.3])
def test_every_view_is_drawn(results: Results, width: float | None) -> None:
    rows = [*sided(70, 80), *speakers({"a": 5, "b": 6}), *speakers({"c": 7})]
    data = study(results, {trial(network__width=w): rows for w in (8, 16)})
    for name in VIEWS:
        points = FIGURES[name].points(data)
        said = texts(FIGURES[name].draw(points, Style(width=width)))
        if name != "hardest_clips":
            assert {"width 8", "width 16"} <= set(said), name
        assert FIGURES[name].listing(name, points).result


def test_blocks_of_trials_are_counted_as_each_alone(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = random_study(results)
    trials = data.manifest["trial"].tolist()
    whole = answers.tally(data, trials)
    monkeypatch.setattr(answers, "BLOCK", 1)
    alone = answers.tally(Data(results), trials)
    assert whole.temperatures == alone.temperatures
    for one, other in zip(whole, alone, strict=True):
        if isinstance(one, pd.DataFrame):
            keys = [*one.columns]
            pd.testing.assert_frame_equal(
                one.sort_values(keys, ignore_index=True), other.sort_values(keys, ignore_index=True)
            )


def test_of_many_models_the_largest_are_drawn_and_read(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = {
        trial(network__width=w, network__damping=d): speakers({"a": 5, "b": 7})
        for w in (4, 8, 16, 32)
        for d in (0.0, 0.9)
    }
    data = study(results, trials)
    read: list[str] = []
    counted = answers._counted
    monkeypatch.setattr(
        answers, "_counted", lambda block: (read.extend(t for t, _ in block), counted(block))[1]
    )
    points = FIGURES["classes"].points(data)
    assert set(points["width"]) == {32}
    assert len(read) == 2
    devices = FIGURES["devices"].points(data)
    assert len(devices) == 16, "all are written"
    said = texts(FIGURES["devices"].draw(devices))
    assert (
        "2 of 8 models: the largest of each family; mean and 95 % interval over 10 clips of "
        in (" ".join(said))
    )
    assert {"base, width 32", "damped 0.9, width 32"} <= set(said)


def test_of_many_devices_the_lowest_are_drawn(results: Results) -> None:
    heard = {f"d{k:03}": k % 11 for k in range(places.MOST_NAMES + 10)}
    data = study(results, {trial(): speakers(heard)})
    said = texts(FIGURES["devices"].draw(FIGURES["devices"].points(data)))
    assert any("the 30 lowest of 40 devices" in text for text in said)
    assert "d000" in said
    assert "d010" not in said, "10 of 10 are right"


def test_answers_are_read_once(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    data = study(results, {trial(): [*sided(70, 80), *speakers({"a": 5, "b": 6})]})
    points: dict[str, Any] = {name: FIGURES[name].points(data) for name in VIEWS}
    monkeypatch.setattr(answers, "_counted", None)  # would fail
    for name in VIEWS:
        pd.testing.assert_frame_equal(FIGURES[name].points(data), points[name])


def test_a_single_unit_is_asked_for(results: Results) -> None:
    random_study(results, folds=1, seeds=3)
    found = failures.by_class(Data(results, unit="devices"))
    assert set(found["unit"]) == {"seeds on one split"}, "of one class there are no devices"
    with pytest.raises(ValueError, match=r"^--unit folds: 3 trainings on one split"):
        failures.by_class(Data(results, unit="folds"))


def test_names_are_escaped_where_they_are_drawn(results: Results) -> None:
    hostile = "\x1b[31mred"
    data = study(results, {trial(): speakers({hostile: 5, "b": 7})})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = " ".join(texts(FIGURES["devices"].draw(FIGURES["devices"].points(data))))
    assert "\x1b" not in said
    assert r"\x1b[31mred" in said
