"""Means with their intervals and their n; differences of pairs; spread over runs and epochs.

Source: Student 1908, The probable error of a mean (t interval of a mean of n normal values).
Conventions: a value is one run's (a trial's) score; standard deviations divide by n - 1, and are
nan where there are fewer than two values. An interval never comes without its mean and n.
Contents: mean_interval, paired_difference, last_epochs, spread.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit


class Estimate(NamedTuple):
    """A mean over n runs and the interval that covers the true mean at the stated confidence."""

    mean: float
    low: float  # nan when n is 1: one run says nothing of how runs differ
    high: float
    n: int


class Spread(NamedTuple):
    """Standard deviations of one condition's values over its runs and their epochs."""

    between_runs: float  # of the runs' means: what another seed or fold would change
    within_runs: float  # over epochs around each run's own mean, pooled over runs
    pooled: float  # over all runs x epochs at once: the literal reading of the papers' "std"
    runs: int


def mean_interval(values: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """Mean of one value per run with its Student t interval.

    `values` is (n,), any unit. For n = 1 there is no interval: low and high are nan.
    Raises ValueError for no values, values that are not finite, confidence outside (0, 1).
    """
    value_N = np.asarray(values, dtype=np.float64)
    assert value_N.ndim == 1, "one value per run"
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence:g} must lie between 0 and 1, as in 0.95")
    if not value_N.size:
        raise ValueError("no values to average: at least one run must be complete")
    if not np.isfinite(value_N).all():
        run = int(np.flatnonzero(~np.isfinite(value_N))[0])
        raise ValueError(
            f"value {run + 1} of {value_N.size} is {value_N[run]}: leave out runs without a score"
        )
    mean = float(value_N.mean())
    if value_N.size == 1:
        return Estimate(mean, float("nan"), float("nan"), 1)
    error = float(value_N.std(ddof=1)) / np.sqrt(value_N.size)
    half = float(stdtrit(value_N.size - 1, (1 + confidence) / 2)) * error
    return Estimate(mean, mean - half, mean + half, value_N.size)


def paired_difference(a: npt.ArrayLike, b: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """Mean of a - b with its t interval over pairs; a[i] and b[i] share seed and fold.

    Both are (n,). Raises ValueError for unequal lengths, and as `mean_interval`.
    """
    a_N, b_N = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a_N.shape != b_N.shape:
        raise ValueError(
            f"{a_N.size} and {b_N.size} values make no pairs: give both of the same seeds"
        )
    return mean_interval(a_N - b_N, confidence)


def last_epochs(frame: pd.DataFrame, last: int, by: Sequence[str]) -> pd.DataFrame:
    """The rows of each group's `last` last epochs; `frame` has one row per group and `epoch`."""
    return frame.sort_values("epoch", kind="stable").groupby(list(by), sort=False).tail(last)


def spread(scores: pd.DataFrame) -> Spread:
    """How values scatter between runs and over epochs.

    `scores` has one row per run of one condition (a split, a device), as from table.scores:
    `value`, the mean over its `epochs`, and `spread_over_epochs`, their standard deviation.
    """
    mean_N, epochs_N = scores["value"].to_numpy(), scores["epochs"].to_numpy()
    squares_N = scores["spread_over_epochs"].fillna(0.0).to_numpy() ** 2 * (epochs_N - 1)
    within, total = int((epochs_N - 1).sum()), int(epochs_N.sum())
    grand = float((mean_N * epochs_N).sum()) / total
    every = float((squares_N + epochs_N * (mean_N - grand) ** 2).sum())
    return Spread(
        between_runs=float(mean_N.std(ddof=1)) if len(mean_N) > 1 else float("nan"),
        within_runs=float(np.sqrt(squares_N.sum() / within)) if within else float("nan"),
        pooled=float(np.sqrt(every / (total - 1))) if total > 1 else float("nan"),
        runs=len(mean_N),
    )
