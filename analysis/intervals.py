"""Intervals: how far a mean of few units may be off, by itself, crossed, and near 0 and 1.

Three pieces, each the only one of its kind:

- over_units: independent units. Student's t.
- crossed: rows x columns, both of which another draw would change, as folds and devices.
- of_share: the same error near 0 and 1, where the error of another true share is another one. It
  is Wilson's score interval, widened by how much the units differ (their dispersion).

Sources: Student 1908; Satterthwaite 1946 (degrees of freedom of a sum of mean squares); Owen 2007,
The pigeonhole bootstrap (both rows and columns are drawn again); Wilson 1927; Korn and Graubard
1998, Dean and Pagano 2015 (intervals of shares by clusters: the effective number of answers, by t).
Conventions: units come first, all axes after them are taken one by one; half is half the width of
a symmetric interval; nan where there is none. Contents: FEWEST, Limits, Error; over_units,
half_over_units, crossed, half_crossed, crossed_error, joined; of_share, binomial, Answers, least.
"""

# R rows, C columns, U units

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

CONFIDENCE = 0.95
FEWEST = 3  # units that an interval needs: two say next to nothing of how units differ
NARROWER = 1 / 3  # of the way between two crossed intervals: half misses 7.5 % over three rows
FEW = 4.0  # wrong answers (or right ones) so few that how units differ does not show in them
GIVEN = 0.8  # of the binomial deviation, where all units answer the same clips

Array = npt.NDArray[np.float64]


class Limits(NamedTuple):
    """Both ends of an interval."""

    low: Any  # float, or an array of several
    high: Any


class Error(NamedTuple):
    """The standard error of a mean, and its degrees of freedom."""

    size: Any
    freedom: Any


class Answers(NamedTuple):
    """What a share was counted from."""

    clips: float  # different ones
    each: float = 1.0  # answers to each: of trainings, through devices
    given: bool = False  # all units answer the same clips, and no others are meant


def over_units(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Limits:
    """Student's t interval of the mean of independent values (U, ...): none for fewer than 3."""
    value_U = np.asarray(values, dtype=np.float64)
    return _around(value_U.mean(axis=0), half_over_units(value_U, confidence))


def half_over_units(value_U: Array, confidence: float = CONFIDENCE) -> Any:
    """Half the width of `over_units`."""
    if len(value_U) < FEWEST:
        return np.full(value_U.shape[1:], np.nan)
    return _t(len(value_U) - 1, confidence) * value_U.std(axis=0, ddof=1) / np.sqrt(len(value_U))


def crossed(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Limits:
    """The interval of the mean of values (R, C, ...), where another draw would have other rows and
    other columns; of one row, t over columns.

    The error, and why it is this one: `joined`.
    """
    value_RC = np.asarray(values, dtype=np.float64)
    return _around(value_RC.mean(axis=(0, 1)), half_crossed(value_RC, confidence))


def half_crossed(value_RC: Array, confidence: float = CONFIDENCE) -> Any:
    """Half the width of `crossed`."""
    rows, columns = value_RC.shape[:2]
    if rows == 1:
        return half_over_units(value_RC[0], confidence)
    if min(rows, columns) < FEWEST:
        return np.full(value_RC.shape[2:], np.nan)
    error = crossed_error(value_RC, confidence)
    return stdtrit(error.freedom, (1 + confidence) / 2) * error.size


def crossed_error(value_RC: Array, confidence: float = CONFIDENCE) -> Error:
    """What the mean of values (R, C, ...) may be off by, of three or more rows and columns."""
    rows, columns = value_RC.shape[:2]
    mean_R, mean_C = value_RC.mean(axis=1), value_RC.mean(axis=0)
    left = value_RC - mean_R[:, None] - mean_C[None] + mean_C.mean(axis=0)
    over = (left**2).sum(axis=(0, 1)) / ((rows - 1) * (columns - 1) * rows * columns)
    of_rows, of_columns = (each.var(axis=0, ddof=1) / len(each) for each in (mean_R, mean_C))
    return joined(of_rows, of_columns, over, rows - 1, columns - 1, confidence)


def joined(
    of_rows: Any,
    of_columns: Any,
    over: Any,
    row_freedom: Any,
    column_freedom: Any,
    confidence: float = CONFIDENCE,
) -> Error:
    """The error by the variances of the mean over rows alone and over columns alone, of which what
    is left `over` is in both; its size is right at this confidence.

    Satterthwaite's error takes what is left over off once. Where few rows are alike by luck, its
    degrees of freedom are those of the columns, and at 95 % up to 8 % miss, at 99.9 % up to 16
    times what they promise. The widest of it, of t over rows alone and of t over columns alone
    misses no more than it promises, but where neither rows nor columns differ, 99 % hold the truth.
    So the interval lies between: at 95 % a third of the way from the widest to Satterthwaite's, and
    nearer to the widest where more is promised. Over five rows or more by four columns or more, 3.5
    to 6 % miss whatever matters; over three rows, 2 to 6.5 %.
    """
    both = of_rows + of_columns
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = both**2 / (of_rows**2 / row_freedom + of_columns**2 / column_freedom)
    variances = (np.maximum(both - over, 0.0), of_rows, of_columns)
    freedoms = (np.where(both > 0, freedom, column_freedom), row_freedom, column_freedom)
    parts = np.broadcast_arrays(*np.sqrt(variances), *freedoms)
    size_W, freedom_W = np.stack(parts[:3]), np.stack(parts[3:])
    half_W = stdtrit(freedom_W, (1 + confidence) / 2) * size_W
    widest = half_W.argmax(axis=0)[None]
    size, freedom, half = (
        np.take_along_axis(each, widest, 0)[0] for each in (size_W, freedom_W, half_W)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        narrower = np.where(half > 0, 1 - half_W[0] / half, 0.0)
    spared = NARROWER * min((1 - confidence) / (1 - CONFIDENCE), 1.0) ** 2
    return Error(size * (1 - spared * narrower), freedom)


def of_share(mean: Any, half: Any, floor: Any = 0.0) -> Limits:
    """The interval of a share, or of a mean of shares, whose symmetric one has this half width: all
    true ones from which `mean` is no farther off than `half` would be, if they were it.

    The variance of a share p goes with p (1 - p). Near 1 a few wrong answers less make folds look
    alike: t holds .85 of true shares of .99, this .94 to .96. `floor` is the least half width at
    one half: see `least`.
    """
    spread = mean * (1 - mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        square = np.where(spread > 0, half**2 / spread, half)  # half is 0 or nan
    square = np.maximum(square, 4 * np.square(floor))
    middle = mean + square / 2
    inner = np.sqrt(np.maximum(square * (spread + square / 4), 0.0))
    low, high = (middle - inner) / (1 + square), (middle + inner) / (1 + square)
    return Limits(np.minimum(low, mean), np.maximum(high, mean))  # which rounding may leave outside


def binomial(share: Any, clips: float, confidence: float = CONFIDENCE) -> Any:
    """Half the width of the interval of a share of so many independent clips; nan for what is no
    share, as a difference.
    """
    with np.errstate(invalid="ignore"):
        return ndtri((1 + confidence) / 2) * np.sqrt(share * (1 - share) / clips)


def least(mean: Any, answers: Answers, confidence: float = CONFIDENCE) -> Any:
    """The least half width, at one half, of the interval of a share of so many clips.

    With few wrong answers (or few right ones) in all, what units differ by does not show, and the
    binomial interval is needed in full. With more, t over units is right, and half of that of as
    many answers guards against units that are equal by luck; in full it would hold 98 to 100 %.
    Answers to given clips vary less than the binomial says, as some clips are hard, others easy: of
    means near 99 % over three seeds of one split, it would hold 98 to 99 % in full, and 88 without.
    """
    few = np.minimum(mean, 1 - mean) * answers.clips * answers.each <= FEW
    full = binomial(0.5, answers.clips, confidence)
    needed = GIVEN * full if answers.given else full
    return np.where(few, needed, full / (2 * np.sqrt(answers.each)))


def _around(mean: Any, half: Any) -> Limits:
    return Limits(mean - half, mean + half)


def _t(freedom: float, confidence: float) -> float:
    return float(stdtrit(freedom, (1 + confidence) / 2))
