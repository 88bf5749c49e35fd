"""analysis.intervals: against scipy's t, against simulation, and against plain loops."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analysis.intervals import Estimate, last_epochs, mean_interval, paired_difference, spread
from scaling.seeds import stream


@pytest.mark.parametrize("n", [2, 3, 10, 200])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_agrees_with_scipy(n: int, confidence: float) -> None:
    values = stream(0, "values", n).normal(0.8, 0.05, n)
    ours = mean_interval(values, confidence)
    error = scipy.stats.sem(values)
    low, high = scipy.stats.t.interval(confidence, n - 1, loc=values.mean(), scale=error)
    assert ours == pytest.approx(Estimate(values.mean(), low, high, n), rel=1e-12)


def test_known_interval() -> None:
    # t(0.975, 4 degrees) = 2.776445, standard deviation sqrt(2.5), n = 5
    half = 2.7764451052 * math.sqrt(2.5 / 5)
    assert mean_interval([1, 2, 3, 4, 5]) == pytest.approx((3, 3 - half, 3 + half, 5), rel=1e-9)


@pytest.mark.parametrize("n", [3, 6])
def test_covers_the_true_mean_as_often_as_it_says(n: int) -> None:
    draws = stream(1, "coverage", n).normal(0.7, 0.1, (2000, n))
    estimates = [mean_interval(row, 0.9) for row in draws]
    covered = np.mean([e.low <= 0.7 <= e.high for e in estimates])
    assert covered == pytest.approx(0.9, abs=0.02)  # three standard errors of 2000 draws


def test_one_run_has_no_interval() -> None:
    mean, low, high, n = mean_interval([0.5])
    assert (mean, n) == (0.5, 1)
    assert math.isnan(low)
    assert math.isnan(high)


def test_equal_runs_have_an_interval_of_no_width() -> None:
    assert mean_interval([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5, 3)


def test_paired_difference_ignores_what_pairs_share() -> None:
    shared = stream(2, "shared").normal(0, 10, 6)
    gain = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3])
    paired = paired_difference(shared + gain, shared)
    assert paired == pytest.approx(mean_interval(gain), rel=1e-9)
    judge = scipy.stats.ttest_rel(shared + gain, shared).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((judge.low, judge.high), rel=1e-9)


def test_errors_are_one_line() -> None:
    with pytest.raises(ValueError, match="no values to average: at least one run"):
        mean_interval([])
    with pytest.raises(ValueError, match="value 2 of 3 is nan: leave out"):
        mean_interval([0.1, float("nan"), 0.2])
    with pytest.raises(ValueError, match="value 1 of 1 is inf"):
        mean_interval([float("inf")])
    with pytest.raises(ValueError, match="confidence=95 must lie between 0 and 1"):
        mean_interval([0.1, 0.2], 95)
    with pytest.raises(ValueError, match="2 and 3 values make no pairs"):
        paired_difference([1, 2], [1, 2, 3])


def test_last_epochs_are_the_last_ones_whatever_the_order() -> None:
    frame = pd.DataFrame({"trial": list("abab"), "epoch": [9, 1, 5, 2], "value": [1, 2, 3, 4]})
    kept = last_epochs(frame, 1, ["trial"])
    assert dict(zip(kept["trial"], kept["epoch"], strict=True)) == {"a": 9, "b": 2}
    assert len(last_epochs(frame, 10, ["trial"])) == 4


def scored(runs: list[np.ndarray]) -> pd.DataFrame:
    """One row per run, as table.scores makes it of the run's values by epoch."""
    rows = [
        {"value": v.mean(), "epochs": len(v), "spread_over_epochs": pd.Series(v).std()}
        for v in runs
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("lengths", [(10, 10, 10), (10, 3, 1)])
def test_spread_equals_plain_loops(lengths: tuple[int, ...]) -> None:
    runs = [stream(3, "run", k).normal(k, 0.5, n) for k, n in enumerate(lengths)]
    found = spread(scored(runs))
    everything = [v for values in runs for v in values]
    assert found.between_runs == pytest.approx(np.std([v.mean() for v in runs], ddof=1))
    inside = sum(sum((v - values.mean()) ** 2 for v in values) for values in runs)
    assert found.within_runs == pytest.approx(math.sqrt(inside / (len(everything) - 3)))
    assert found.pooled == pytest.approx(np.std(everything, ddof=1))
    assert found.runs == 3


def test_spread_of_too_few_is_nan() -> None:
    one_epoch_each = spread(scored([np.array([0.0]), np.array([2.0])]))
    assert math.isnan(one_epoch_each.within_runs)
    assert one_epoch_each.between_runs == pytest.approx(math.sqrt(2))
    one_run = spread(scored([np.array([0.0, 2.0])]))
    assert math.isnan(one_run.between_runs)
    assert one_run.within_runs == pytest.approx(math.sqrt(2))
    assert math.isnan(spread(scored([np.array([1.0])])).pooled)
