"""analysis.units: do intervals hold the truth as often as they say, for every design that studies
have? By simulation, against scipy, and by hand.

A simulated run is right on a share of its fold's clips: the truth, moved by what its fold, its
device and its training change, then as many clips as a binomial draw says.
"""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analysis import units
from analysis.units import DIFFERENCE, FREE, LOSS, SHARE, Estimate, estimate
from scaling.seeds import stream

DRAWS = 2_000  # of each design: one standard error of a coverage of 95 % is half a point


def runs(values: np.ndarray, **columns: object) -> pd.DataFrame:
    """One row per training of values (folds, seeds)."""
    folds, seeds = np.indices(values.shape)
    return pd.DataFrame(
        {
            "value": values.ravel(),
            "split.fold": 1 + folds.ravel(),
            "seed": seeds.ravel(),
            "split": "test",
            **columns,
        }
    )


def heard(values: np.ndarray, split: str = "unseen") -> pd.DataFrame:
    """One row per training of values (folds, seeds, devices)."""
    of_device = [
        {f"m{d}": float(v) for d, v in enumerate(of_run)} for row in values for of_run in row
    ]
    return runs(values.mean(axis=2), by_device=pd.Series(of_device, dtype=object)).assign(
        split=split
    )


class Design:
    """Values (DRAWS, folds, seeds, devices) of a study of this design, all at once: the share of a
    fold's clips that can be got right, with what its training and each device add.
    """

    def __init__(
        self,
        truth: float,
        folds: int,
        seeds: int = 1,
        devices: int = 1,
        clips: int = 80,
        **points: float,
    ) -> None:
        draw = stream(1, "design", folds, seeds, devices, clips, str(truth), str(points))
        shape = (DRAWS, folds, seeds, devices)
        of = {name: value / 100 for name, value in points.items()}  # standard deviations

        def effect(name: str, *kept: int) -> np.ndarray:
            size = [n if axis in kept else 1 for axis, n in enumerate(shape)]
            return of.get(name, 0.0) * draw.standard_normal(size)

        share = np.clip(truth + effect("fold", 0, 1), 0, 1)
        got = draw.binomial(clips, share) / clips + effect("seed", 0, 1, 2)
        values = got + effect("device", 0, 3) + effect("both", 0, 1, 3)
        self.values = np.clip(np.broadcast_to(values, shape), 0, 1)
        self.truth, self.clips = truth, clips


def coverage(design: Design, **columns: object) -> tuple[float, set[str]]:
    """How often the interval holds the truth, and what it is over."""
    held, over = [], set()
    for values in design.values:
        if values.shape[2] > 1:
            found = estimate(heard(values).assign(clips=design.clips))
        else:
            found = estimate(runs(values[..., 0], clips=design.clips, **columns))
        held.append(found.low <= design.truth <= found.high)
        over.add(f"{found.n} {found.unit}")
    return float(np.mean(held)), over


@pytest.mark.parametrize(
    ("design", "over"),
    [
        (Design(0.7, folds=5, seeds=3, fold=4, seed=2), "5 folds"),
        (Design(0.5, folds=3, seeds=3, fold=4, seed=6), "3 folds"),  # few data: draws are seeds
        (Design(0.85, folds=5, seeds=1, fold=3, seed=1), "5 folds"),
        (Design(0.93, folds=5, seeds=3, clips=80, fold=3, seed=1), "5 folds"),
        (Design(0.7, folds=5, devices=12, fold=4, device=6), "12 devices x 5 folds"),
        (Design(0.7, folds=5, seeds=3, devices=4, fold=4, device=6), "4 devices x 5 folds"),
        (Design(0.6, folds=3, devices=12, fold=4, device=5), "12 devices x 3 folds"),
        (Design(0.7, folds=1, devices=6, device=6, clips=2_000), "6 devices on one split"),
        (Design(0.8, folds=1, clips=200), "200 clips of one run"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_intervals_hold_the_truth_as_often_as_they_say(design: Design, over: str):
    found, said = coverage(design)
    assert said == {over}
    assert 0.93 <= found <= 0.975


@pytest.mark.parametrize(
    ("truth", "folds", "clips"), [(0.975, 3, 40), (0.99, 3, 80), (0.99, 5, 80)]
)
def test_near_one_intervals_hold_the_truth_at_least_as_often(truth: float, folds: int, clips: int):
    """Discrete and bounded: some of these must be wider than 95 %; t alone holds .86 to .94."""
    found, _ = coverage(Design(truth, folds, clips=clips))
    assert found >= 0.94


def test_folds_times_seeds_counted_as_runs_would_hold_far_less():
    """What this module exists for: the plain twin that counts every training."""
    design = Design(0.7, folds=5, seeds=3, fold=6, seed=1)
    flat = design.values.reshape(DRAWS, -1)
    low, high = np.array([units.over_units(row) for row in flat]).T
    assert ((low <= 0.7) & (high >= 0.7)).mean() < 0.8
    assert coverage(design)[0] >= 0.93


def test_devices_left_out_of_the_count_would_hold_far_less():
    design = Design(0.7, folds=5, devices=4, clips=2_000, fold=1, device=10)
    over_folds = [units.over_units(row.mean(axis=(1, 2))) for row in design.values]
    assert np.mean([low <= 0.7 <= high for low, high in over_folds]) < 0.5
    assert coverage(design)[0] >= 0.93


def test_repeats_hold_the_mean_of_their_own_folds():
    """Fixed folds: the truth is that of these folds, not of others."""
    draw = stream(2, "repeats")
    fold_DF = 0.7 + 0.05 * draw.standard_normal((DRAWS, 5, 1))
    values_DFS = fold_DF + 0.02 * draw.standard_normal((DRAWS, 5, 6))
    found = [estimate(runs(v).assign(unit="repeats")) for v in values_DFS]
    assert {(each.n, each.unit) for each in found} == {(6, "repeats of 5 folds")}
    own = fold_DF.mean(axis=(1, 2))
    held = [e.low <= truth <= e.high for e, truth in zip(found, own, strict=True)]
    assert 0.93 <= np.mean(held) <= 0.975
    assert np.mean([e.low <= 0.7 <= e.high for e in found]) < 0.6


def test_paired_differences_hold_the_truth():
    """Folds differ in what width is worth; seeds are averaged within them."""
    draw = stream(3, "pairs")
    apart = 0.05 + 0.02 * draw.standard_normal((DRAWS, 5, 1))
    values = apart + 0.02 * draw.standard_normal((DRAWS, 5, 3))
    found = [estimate(runs(v), DIFFERENCE) for v in values]
    assert {(e.n, e.unit) for e in found} == {(5, "folds")}
    assert 0.93 <= np.mean([e.low <= 0.05 <= e.high for e in found]) <= 0.975


def test_over_folds_is_students_t_of_the_folds_means():
    values = stream(4, "values").normal(0.7, 0.05, (5, 3))
    found = estimate(runs(values))
    means = values.mean(axis=1)
    low, high = scipy.stats.t.interval(0.95, 4, loc=means.mean(), scale=scipy.stats.sem(means))
    assert found == pytest.approx(Estimate(means.mean(), low, high, 5, "folds"))


def test_crossed_by_hand():
    # rows 1 and 3 and 5, columns 0 and 0 and 3 around them: MS 3 x 4 and 3 x 3, in nine cells
    values = np.array([[1.0], [3.0], [5.0]]) + np.array([[-1.0, -1.0, 2.0]])
    freedom = (12 + 9) ** 2 / (12**2 / 2 + 9**2 / 2)
    half = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(21 / 9)
    assert units.crossed(values) == pytest.approx((3 - half, 3 + half))


def test_the_binomial_interval_is_the_exact_one():
    for hits, clips in ((0, 40), (117, 120), (80, 80), (31, 77)):
        exact = scipy.stats.binomtest(hits, clips).proportion_ci(0.95, method="exact")
        assert units.binomial(hits / clips, clips) == pytest.approx((exact.low, exact.high))


def test_equal_runs_have_the_interval_of_their_clips():
    """.975 three times was 97.5 to 97.5; 117 of 120 clips are 92.9 to 99.5."""
    found = estimate(runs(np.full((3, 1), 0.975), clips=40))
    assert (round(found.low, 3), round(found.high, 3), found.n) == (0.929, 0.995, 3)
    apart = estimate(runs(np.zeros((3, 1)), clips=40), DIFFERENCE)
    assert (apart.low, apart.high) == pytest.approx((-0.0303, 0.0303), abs=1e-3)


def test_clips_scored_by_several_seeds_or_microphones_count_once():
    once = estimate(runs(np.full((3, 1), 0.9), clips=40))
    twice = estimate(runs(np.full((3, 2), 0.9), clips=40))
    assert (once.low, once.high) == (twice.low, twice.high)


def test_intervals_stay_within_bounds():
    values = np.array([[0.2], [0.99], [0.99]])
    assert estimate(runs(values)).high == 1.0
    assert estimate(runs(values - 1), DIFFERENCE).low == -1.0
    assert estimate(runs(values), LOSS).low == 0.0
    assert estimate(runs(values), FREE).high > 1.0


@pytest.mark.parametrize(
    ("shape", "n", "unit"),
    [
        ((1, 1), 1, "run"),
        ((2, 1), 2, "folds"),
        ((1, 2), 2, "seeds on one split"),
        ((2, 2), 2, "folds"),
    ],
)
def test_two_give_no_interval(shape: tuple[int, int], n: int, unit: str):
    found = estimate(runs(np.full(shape, 0.5)))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert (found.mean, found.n, found.unit) == (0.5, n, unit)


def test_seeds_on_one_split_are_no_claim_about_splits():
    values = np.array([[0.5, 0.6, 0.7]])
    assert estimate(runs(values)).unit == "seeds on one split"
    with pytest.raises(ValueError, match="3 trainings on one split say nothing of other splits"):
        estimate(runs(values).assign(unit="folds"))


def test_a_repeat_that_lacks_a_fold_is_no_repeat():
    whole = runs(np.arange(12).reshape(2, 6) / 20)
    lacking = whole[(whole["seed"] != 5) | (whole["split.fold"] != 2)]
    assert estimate(lacking).n == 5
    assert estimate(lacking).unit == "repeats of 2 folds"


def test_devices_that_differ_between_folds_are_not_crossed():
    values = heard(np.full((3, 1, 4), 0.5))
    values["by_device"] = [{"a": 0.5, "b": 0.5, "c": 0.5, f"d{k}": 0.5} for k in range(3)]
    assert estimate(values).unit == "folds"
    with pytest.raises(ValueError, match="the scores of three devices or more, the same in every"):
        estimate(values.assign(unit="devices"))


@pytest.mark.parametrize(
    ("unit", "shape", "line"),
    [
        ("repeats", (5, 1), "5 folds were trained from one seed: sweep with --repeats 3"),
        ("clips", (5, 1), "5 trainings differ by more than their clips"),
        ("devices", (5, 1), "--unit devices: the scores of three devices"),
    ],
)
def test_a_unit_that_the_design_lacks_is_refused(unit: str, shape: tuple[int, int], line: str):
    with pytest.raises(ValueError, match=line):
        estimate(runs(np.full(shape, 0.5)).assign(unit=unit))


def test_an_unknown_unit_is_refused():
    assert units.asked("folds") == "folds"
    assert units.asked("") == ""
    with pytest.raises(ValueError, match="--unit fold: no such unit, one of folds, repeats"):
        units.asked("fold")


def test_errors_are_one_line():
    with pytest.raises(ValueError, match="no values to average: at least one run"):
        estimate(runs(np.empty((0, 0))))
    with pytest.raises(ValueError, match="value=nan: leave out runs without a score"):
        estimate(runs(np.array([[0.1], [np.nan], [0.2]])))


def test_what_points_are_over_is_said():
    points = pd.DataFrame({"n": [5, 3, 12], "unit": ["folds", "folds", "devices x 5 folds"]})
    assert units.over(points) == "3 to 5 folds or 12 devices x 5 folds"
    assert units.over(points[points["n"] == 5]) == "5 folds"
    assert SHARE.share
