"""analysis.units and analysis.intervals: do intervals hold the truth as often as they say, for
every design that studies have? By simulation (drawn_studies), against scipy, and by hand.
"""

import math
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from drawn_studies import Design, coverage

from analysis import intervals, units
from analysis.coverage import conservative
from analysis.scales import DIFFERENCE, FREE, LOSS, SHARE
from analysis.units import Estimate, estimate, estimates
from scaling.seeds import stream

DRAWS = 2_000  # one standard error of a coverage of 95 % is half a point


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


# 1,200 draws: one standard error is .6 points, which is granted twice; LOG.md has 4,000 a cell
@pytest.mark.parametrize(
    ("design", "truth", "over"),
    [
        (Design(folds=5), 0.5, "5 folds"),
        (Design(folds=10), 0.99, "10 folds"),
        (Design(folds=3, seeds=3), 0.7, "3 folds"),
        (Design(folds=5, seeds=3), 0.99, "5 folds"),
        (Design(folds=5, seeds=5, skewed=True), 0.95, "5 folds"),
        (Design(folds=3, seeds=5, clips=40), 0.5, "3 folds"),  # few data: draws are seeds
        (Design(folds=5, seeds=3, apart=0.0, skewed=True), 0.7, "5 folds"),
        (Design(folds=3, devices=12, device=0.3, skewed=True), 0.9, "12 devices x 3 folds"),
        (Design(folds=3, devices=12, apart=0.05), 0.7, "12 devices x 3 folds"),
        (Design(folds=5, devices=4), 0.7, "4 devices x 5 folds"),
        (Design(folds=5, seeds=3, devices=4, device=0.3), 0.99, "4 devices x 5 folds"),
        (Design(folds=1, clips=200), 0.5, "200 clips of one run"),
        (Design(folds=5, seeds=3, devices=4, skewed=True), 0.9, "4 devices x 5 folds"),
    ],
    ids=str,
)
def test_intervals_hold_the_truth_as_often_as_they_say(design: Design, truth: float, over: str):
    found, said = coverage(design, truth, draws := 1_200)
    assert said == {over}
    twice = 2 * math.sqrt(0.95 * 0.05 / draws)
    assert 0.93 - twice <= found <= 0.975 + twice


@pytest.mark.parametrize("clips", [200, 400, 800])
def test_over_clips_wilsons_interval_holds_its_share_exactly(clips: int):
    """Summed over all numbers of right answers, so by no draw: Jeffreys' holds 88 to 99 %."""
    hits = np.arange(clips + 1)
    wilson = [estimate(runs(np.full((1, 1), each / clips), clips=clips)) for each in hits]
    low, high = (np.array([getattr(each, edge) for each in wilson]) for edge in ("low", "high"))
    for truth in (0.5, 0.7, 0.9, 0.95, 0.975, 0.985, 0.99):
        held = scipy.stats.binom.pmf(hits, clips, truth)[(low <= truth) & (truth <= high)].sum()
        assert 0.93 <= held <= 0.975


@pytest.mark.parametrize(
    ("design", "truth"),
    [
        (Design(folds=3, seeds=3, devices=3, skewed=True), 0.99),
        (Design(folds=3, devices=3, apart=0.0, skewed=True), 0.95),
        (Design(folds=1, seeds=3, devices=3, apart=0.0), 0.99),
        (Design(folds=3, clips=40), 0.975),
        (Design(folds=1, seeds=3, clips=40), 0.99),
    ],
    ids=str,
)
def test_what_holds_more_than_it_says_is_said(design: Design, truth: float):
    found, over = coverage(design, truth, 1_200)
    assert 0.965 <= found <= 0.997
    n, _, unit = next(iter(over)).partition(" ")
    points = pd.DataFrame({"mean": [truth], "low": [0.1], "n": [int(n)], "unit": [unit]})
    said = conservative(points, design.apart is not None)
    assert re.fullmatch(rf"conservative .*over {n} {unit}: up to 99 % hold the truth", said)


def test_of_other_designs_nothing_is_said():
    points = pd.DataFrame(
        {
            "mean": [0.8, 0.96, 0.99, 0.5, 0.99],
            "low": [0.1, 0.1, 0.1, math.nan, 0.1],
            "n": [4, 3, 5, 3, 3],
            "unit": [f"devices x {k} folds" if k else "folds" for k in (3, 0, 0, 3, 5)],
        }
    )
    assert conservative(points) == ""
    assert conservative(points, apart=True) == ""
    near = points[1:2].assign(mean=0.98)
    assert conservative(near).startswith("conservative above 97 % over 3 folds:")
    assert conservative(near, apart=True) == conservative(near.assign(metric="loss")) == ""


def test_near_one_students_t_would_hold_far_less():
    """The plain twin: t over folds, where many folds have no wrong answer."""
    values = stream(8, "near one").binomial(40, 0.99, (3, 1, DRAWS)) / 40
    low, high = intervals.over_units(values[:, 0])
    assert ((low <= 0.99) & (high >= 0.99)).mean() < 0.8
    found = estimates(values[:, 0], [1, 2, 3], [0, 0, 0], SHARE, [40, 40, 40])
    assert ((found["low"] <= 0.99) & (found["high"] >= 0.99)).mean() >= 0.93


PARTS = [(1, 0, 0.3), (1, 0.3, 0.3), (1, 1, 0.3), (0.3, 1, 0.3), (1, 0, 1), (1, 0.5, 2)]


@pytest.mark.parametrize(
    ("shape", "most"),
    [((3, 12), 0.975), ((5, 4), 0.975), ((5, 12), 0.97), ((3, 3), 0.982)],
    ids=str,
)
@pytest.mark.parametrize("parts", PARTS, ids=str)
def test_crossed_intervals_hold_the_truth_whatever_matters(
    shape: tuple[int, int], most: float, parts: tuple[float, float, float]
):
    """Folds, devices, or neither: Satterthwaite's t alone misses 8 % over 3 x 12, the widest of it
    and both alone 1.7 % over 5 x 12 where neither matters.
    """
    draw = stream(9, "crossed", *shape)
    (rows, columns), draws = shape, 8_000
    of_row, of_column, over = parts
    values = of_row * draw.standard_normal((rows, 1, draws)) + over * draw.standard_normal(
        (rows, columns, draws)
    )
    values += of_column * draw.standard_normal((1, columns, draws))
    for confidence in (0.95, 0.99):  # of .01, 80 are to be missed
        low, high = intervals.crossed(values, confidence)
        missed = 1 - ((low <= 0) & (high >= 0)).mean()
        assert missed <= 1.35 * (1 - confidence)
        assert confidence == 0.99 or missed >= 1 - most


def test_folds_times_seeds_counted_as_runs_would_hold_far_less():
    """What this module exists for: the plain twin that counts every training."""
    draw = stream(10, "flat")
    values = 0.7 + 0.06 * draw.standard_normal((5, 1, DRAWS))
    values = values + 0.01 * draw.standard_normal((5, 3, DRAWS))
    low, high = intervals.over_units(values.reshape(15, DRAWS))
    assert ((low <= 0.7) & (high >= 0.7)).mean() < 0.8
    folds, seeds = (each.ravel() for each in np.indices((5, 3)))
    found = estimates(values.reshape(15, DRAWS), folds, seeds, SHARE)
    assert ((found["low"] <= 0.7) & (found["high"] >= 0.7)).mean() >= 0.93


def test_devices_left_out_of_the_count_would_hold_far_less():
    draw = stream(11, "left out")
    values = 0.7 + 0.1 * draw.standard_normal((1, 4, DRAWS))
    values = values + 0.01 * draw.standard_normal((5, 4, DRAWS))
    low, high = intervals.over_units(values.mean(axis=1))
    assert ((low <= 0.7) & (high >= 0.7)).mean() < 0.5
    low, high = intervals.crossed(values)
    assert ((low <= 0.7) & (high >= 0.7)).mean() >= 0.93


def test_several_at_once_are_what_each_is_alone():
    draw = stream(12, "alone")
    values = draw.uniform(0.4, 0.9, (5, 3, 4))
    folds, seeds = (each.ravel() for each in np.indices((5, 3)))
    many = np.repeat(values.reshape(15, 4, 1), 2, axis=2)
    both = estimates(many, folds, seeds, SHARE, np.full(15, 80), "unseen")
    alone = estimate(heard(values).assign(clips=80))
    for row in both.itertuples(index=False):
        assert tuple(row)[:3] == pytest.approx(alone[:3])
        assert tuple(row)[3:] == alone[3:]


def test_repeats_hold_the_mean_of_their_own_folds():
    """Fixed folds: the truth is that of these folds, not of others."""
    draw, draws = stream(2, "repeats"), 400
    fold_DF = 0.7 + 0.05 * draw.standard_normal((draws, 5, 1))
    values_DFS = fold_DF + 0.02 * draw.standard_normal((draws, 5, 6))
    found = [estimate(runs(v).assign(unit="repeats")) for v in values_DFS]
    assert {(each.n, each.unit) for each in found} == {(6, "repeats of 5 folds")}
    own = fold_DF.mean(axis=(1, 2))
    held = [e.low <= truth <= e.high for e, truth in zip(found, own, strict=True)]
    assert 0.91 <= np.mean(held) <= 0.985
    assert np.mean([e.low <= 0.7 <= e.high for e in found]) < 0.6


def test_over_folds_is_students_t_of_the_folds_means():
    values = stream(4, "values").normal(0.0, 0.05, (5, 3))
    found = estimate(runs(values), DIFFERENCE)
    means = values.mean(axis=1)
    low, high = scipy.stats.t.interval(0.95, 4, loc=means.mean(), scale=scipy.stats.sem(means))
    assert found == pytest.approx(Estimate(means.mean(), low, high, 5, "folds"))


def test_of_a_share_the_ends_are_those_that_t_just_allows():
    """Each end p is as far from the mean as t times its own error: the folds' error, by
    p (1 - p) instead of mean (1 - mean).
    """
    values = stream(4, "shares").normal(0.9, 0.04, (5, 1))
    found = estimate(runs(values))
    error = scipy.stats.t.ppf(0.975, 4) * scipy.stats.sem(values[:, 0])
    for end in (found.low, found.high):
        own = error * math.sqrt(end * (1 - end) / (found.mean * (1 - found.mean)))
        assert abs(end - found.mean) == pytest.approx(own)
    assert found.mean - found.low > found.high - found.mean


def test_crossed_by_hand():
    # rows 1, 3, 5 and columns 0, 0, 3 around them: variances 12/9 and 9/9 of the mean, none left
    values = np.array([[1.0], [3.0], [5.0]]) + np.array([[-1.0, -1.0, 2.0]])
    rows_alone = scipy.stats.t.ppf(0.975, 2) * math.sqrt(12 / 9)
    freedom = (12 / 9 + 1) ** 2 / ((12 / 9) ** 2 / 2 + 1 / 2)
    together = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(12 / 9 + 1)
    half = rows_alone - max(rows_alone - together, 0) / 3
    assert intervals.crossed(values) == pytest.approx((3 - half, 3 + half))
    # of ten of each with variances .1 and .1, less what is left over: Satterthwaite
    draw = stream(13, "ten")
    values = draw.standard_normal((10, 1)) + draw.standard_normal((1, 10))
    values = values + 0.5 * draw.standard_normal((10, 10))
    rows, columns = (values.mean(axis=k).var(ddof=1) / 10 for k in (1, 0))
    left = values - values.mean(axis=1)[:, None] - values.mean(axis=0) + values.mean()
    over = (left**2).sum() / 81 / 100
    freedom = (rows + columns) ** 2 / ((rows**2 + columns**2) / 9)
    half = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(rows + columns - over)
    low, high = intervals.crossed(values)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half))
    # the more is promised, the nearer to the widest
    values = np.array([[1.0, 1.5, 0.9], [1.1, 1.4, 0.8], [1.2, 1.6, 1.3]])
    columns_alone = scipy.stats.t.ppf(0.9995, 2) * values.mean(axis=0).std(ddof=1) / math.sqrt(3)
    low, high = intervals.crossed(values, 0.999)
    assert high - low == pytest.approx(2 * columns_alone, rel=1e-3)


def test_the_interval_of_clips_is_wilsons():
    for hits, clips in ((0, 40), (117, 120), (80, 80), (31, 77)):
        exact = scipy.stats.binomtest(hits, clips).proportion_ci(0.95, method="wilson")
        found = estimate(runs(np.full((1, 1), hits / clips), clips=clips))
        assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_equal_runs_have_the_interval_of_their_clips():
    """.975 three times was 97.5 to 97.5; 117 of 120 clips are 92.9 to 99.1."""
    found = estimate(runs(np.full((3, 1), 0.975), clips=40))
    assert (round(found.low, 3), round(found.high, 3), found.n) == (0.929, 0.991, 3)
    apart = estimate(runs(np.zeros((3, 1)), clips=40), DIFFERENCE)
    assert (apart.low, apart.high) == pytest.approx((-0.031, 0.031), abs=1e-4)


def test_few_mistakes_scored_by_several_seeds_count_once():
    once = estimate(runs(np.full((3, 1), 0.99), clips=40))
    twice = estimate(runs(np.full((3, 2), 0.99), clips=40))
    assert (once.low, once.high) == (twice.low, twice.high)


def test_trainings_on_one_split_answer_the_same_clips_each_by_itself():
    """Of the binomial deviation of their answers .8 is left: the clips are given."""
    found = estimate(runs(np.full((1, 3), 0.99)).assign(clips=100))
    narrower = scipy.stats.norm.cdf([-0.8 * 1.959964, 0.8 * 1.959964])
    exact = scipy.stats.binomtest(297, 300).proportion_ci(np.diff(narrower)[0], method="wilson")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))


def test_equal_runs_of_many_mistakes_are_still_uncertain():
    """By half of what the answers of all runs would be, were they independent."""
    found = estimate(runs(np.full((3, 2), 0.7), clips=40))
    half = 1.96 / 2 * math.sqrt(0.7 * 0.3 / 240)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.01)


@pytest.mark.parametrize("clips", range(1, 400))
def test_intervals_hold_their_own_mean_to_the_last_digit(clips: int):
    """Else a class that is always right has an interval below it, which no figure can draw."""
    share = np.arange(clips + 1) / clips
    floor = intervals.least(share, intervals.Answers(float(clips)))
    low, high = intervals.of_share(share, np.zeros_like(share), floor)
    assert (low <= share).all()
    assert (share <= high).all()


def test_intervals_stay_within_bounds():
    values = np.array([[0.2], [0.99], [0.99]])
    found = estimate(runs(values))
    assert 0.0 < found.low < 0.1
    assert 0.98 < found.high < 1.0
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


def test_devices_on_one_split_are_crossed_with_its_seeds():
    values = stream(14, "one split").normal(0.7, 0.05, (1, 4, 3))
    found = estimate(heard(values))
    assert (found.n, found.unit) == (3, "devices x 4 seeds on one split")
    low, high = intervals.crossed(values[0])
    assert found.high - found.low == pytest.approx(high - low, rel=0.02)
    assert estimate(heard(values[:, :1])).unit == "devices on one split"


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


def test_over_devices_a_seed_counts_once_however_many_sizes_share_it():
    """As in a claim on all widths, of which one was trained from fewer seeds."""
    rows = [
        {"split.fold": fold, "seed": seed, "split": "unseen", "value": sum(heard) / 3,
         "by_device": dict(zip("abc", heard, strict=True))}
        for fold in (1, 2, 3)
        for seed, sizes in ((0, 3), (1, 1))
        for heard in [(0.5 + fold / 50 + seed / 5, 0.6 - seed / 5, 0.4 + fold / 20)] * sizes
    ]  # fmt: skip
    runs = pd.DataFrame(rows)
    once = runs.drop_duplicates(["split.fold", "seed"])
    assert estimate(runs)[:3] == pytest.approx(estimate(once)[:3])
