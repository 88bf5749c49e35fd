"""Laws: error = E + A N^-alpha, fitted to the sizes of one condition, with what it predicts.

Sources: variable projection (Golub and Pereyra 1973): for a given alpha, E and A are a non-negative
least-squares fit, so that only alpha is searched for. Parabolas in log space are biased even
without noise (arXiv 2603.22339). Resamples are of units (folds, else repeats), the same for all
sizes; their percentiles would be far too narrow for few units, so bands are Student's t times their
deviation (Hesterberg 2015, What teachers should know about the bootstrap). Percentiles of 3 to 5
folds hold the truth in 67 to 88 % of simulations; these as analysis.coverage.LAWS says.
Conventions: N is what a network costs, or how many clips it learns from. The cross-entropy is
fitted rather than the accuracy wherever both were recorded: it has no ceiling and less noise.
Contents: SIZES, RESAMPLES, Law, fit, fits, values_of, Runs, runs_by, runs_of, Predicted,
predicted.
"""

# M sizes, U units, B resamples, K values of alpha, X places to predict at

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from analysis.aggregate import ACCURACY, CROSS_ENTROPY, DIMENSIONS, Measure, on_splits, varying
from analysis.conditions import REPEAT, SIZE, labels, varied
from analysis.data import Data
from analysis.designs import FOLD, SEED
from analysis.intervals import CONFIDENCE, FEWEST
from analysis.metrics import Unrecorded
from analysis.phrasing import phrases
from analysis.remembered import remembered
from scaling import settings

SIZES = 4  # that a fit of three numbers needs
# what pruning leaves
TARGETS = ("pruning.target", "pruning.target_width", "pruning.keep", "pruning.limit")
RESAMPLES = 1000
DRAW = 14  # seed of the resamples
LEAST = 1e-9  # error whose logarithm is taken
ALPHA = (0.01, 4.0)  # where the exponent is looked for
GRID, ZOOMS = 48, 5  # values of alpha at a time, and how often around the best: to 1e-6
Floats = npt.NDArray[np.float64]


class Law(NamedTuple):
    """error = floor + scale N^-exponent; arrays for several fits."""

    floor: Any  # E, of the error
    scale: Any  # A
    exponent: Any  # alpha

    def at(self, size: npt.ArrayLike) -> Floats:
        """The error at these sizes (X,): (X,), of several fits (B, X)."""
        floor, scale, exponent = (np.asarray(each, np.float64)[..., None] for each in self)
        made: Floats = floor + scale * np.asarray(size, np.float64) ** -exponent
        return made

    @property
    def determined(self) -> bool:
        """Whether these errors say anything about the exponent of a single fit."""
        return bool(self.scale > 0 and ALPHA[0] < self.exponent < ALPHA[1])


def fit(size_M: npt.ArrayLike, error_M: npt.ArrayLike) -> Law:
    """The law nearest to these errors by least squares, E and A at least 0.

    Raises ValueError for fewer than SIZES different sizes.
    """
    found = fits(size_M, np.asarray(error_M, np.float64)[None])
    return Law(*(float(each[0]) for each in found))


def fits(size_M: npt.ArrayLike, error_BM: npt.ArrayLike) -> Law:
    """The same for each row of errors (B, M) at once. Raises ValueError likewise."""
    size, error = np.asarray(size_M, np.float64), np.asarray(error_BM, np.float64)
    if (distinct := len(np.unique(size))) < SIZES:
        raise ValueError(f"{distinct} sizes make no law of three numbers: it takes {SIZES}")
    if not ((size > 0).all() and np.isfinite(error).all() and (error >= 0).all()):
        raise ValueError("a law takes sizes above 0 and errors that are finite and at least 0")
    relative = size / size.min()  # else the powers of large numbers vanish beside the 1s of E
    grid = np.broadcast_to(np.geomspace(*ALPHA, GRID), (len(error), GRID))
    rows = np.arange(len(error))
    for zoom in range(ZOOMS):
        floor_BK, scale_BK, squares_BK = _given(grid, relative, error)
        best = squares_BK.argmin(axis=1)
        found = floor_BK[rows, best], scale_BK[rows, best], grid[rows, best]
        if zoom < ZOOMS - 1:
            low = grid[rows, np.maximum(best - 1, 0)]
            high = grid[rows, np.minimum(best + 1, GRID - 1)]
            grid = np.linspace(low, high, GRID, axis=1)
    floor, scale, exponent = found
    return Law(floor, scale * size.min() ** exponent, exponent)


def _given(alpha_BK: Floats, size_M: Floats, error_BM: Floats) -> tuple[Floats, Floats, Floats]:
    """E, A (at least 0) and the sum of squares that is left, for given alpha: each (B, K).

    Non-negative least squares of two columns, in closed form: both, or either one alone.
    """
    # sizes come first: there are few, and numpy adds long rows faster than many short ones
    x_MBK = size_M[:, None, None] ** -alpha_BK
    y_MB1 = error_BM.T[..., None]
    mean_x, mean_y = x_MBK.mean(axis=0), y_MB1.mean(axis=0)
    apart = x_MBK - mean_x
    slope = (apart * y_MB1).sum(axis=0) / np.maximum((apart**2).sum(axis=0), 1e-300)
    through = (x_MBK * y_MB1).sum(axis=0) / (x_MBK**2).sum(axis=0)  # E = 0
    flat = np.broadcast_to(mean_y, slope.shape)  # A = 0
    none = np.zeros_like(slope)
    both = (flat - slope * mean_x, slope)
    choices = [both, (none, through), (flat, none)]
    fitted = (both[0] + slope * x_MBK, through * x_MBK, mean_y)
    left = [((each - y_MB1) ** 2).sum(axis=0) for each in fitted]
    squares = np.stack(np.broadcast_arrays(*left))
    squares[0] = np.where((both[0] >= 0) & (both[1] >= 0), squares[0], np.inf)
    which = squares.argmin(axis=0)[None]
    floor, scale, left = (
        np.take_along_axis(each, which, axis=0)[0]
        for each in (*(np.stack([c[k] for c in choices]) for k in (0, 1)), squares)
    )
    return floor, scale, left


class Runs(NamedTuple):
    """One condition's errors on one split, by size."""

    about: dict[str, Any]  # family, its condition columns, dataset, split
    key: str  # of the condition's settings, as text
    size_M: Floats  # ascending
    error_MU: Floats  # of units that all sizes have; of one column where these are fewer than three
    unit: str  # "" where there are too few for a band
    trials: tuple[str, ...]

    @property
    def error_M(self) -> Floats:
        """The mean error of each size."""
        means: Floats = self.error_MU.mean(axis=1)
        return means

    def resampled(self) -> Floats:
        """Mean errors (B, M) of units that are drawn again, the same for all sizes."""
        units = self.error_MU.shape[1]
        draws = np.random.default_rng(DRAW)
        weight_BU = draws.multinomial(units, np.full(units, 1 / units), RESAMPLES) / units
        made: Floats = weight_BU @ self.error_MU.T
        return made


@remembered
def values_of(data: Data) -> tuple[pd.DataFrame, Measure]:
    """The held-out scores as errors in `value`, and what they are: the cross-entropy where it was
    recorded, else 1 - accuracy.
    """
    accuracy = data.scores()
    try:
        scores, measure = data.scores(CROSS_ENTROPY.metric), CROSS_ENTROPY
    except Unrecorded:
        scores, measure = accuracy.assign(value=1 - accuracy["value"]), ACCURACY
    return on_splits(scores[scores["split.labels"] == "true"]), measure


@remembered
def runs_by(data: Data, size: str) -> list[Runs]:
    """`runs_of` all held-out scores; made once, as several figures ask for them."""
    return [*runs_of(values_of(data)[0], size, data.unit)]


def runs_of(scores: pd.DataFrame, size: str, unit: str = "") -> Iterator[Runs]:
    """The errors of each condition and split by `size`, a column of the scores; those of too few
    sizes, too. A condition is what trials share besides the dimensions of the network, or, where
    the size is an amount of clips, besides that. By kept weights, pruned networks are of one
    condition whatever pruning leaves of them, if they have the same dimensions before it.
    """
    by_weights = size == "kept_weights"
    named = (size, *TARGETS) if by_weights else (size,)
    told = scores.assign(dataset=scores["sound.dataset"])
    told = told.assign(family=labels(told, named, ("dataset",)))
    pruned = told["pruning.kind"] != "none"
    parts: list[tuple[pd.DataFrame, tuple[str, ...]]]
    parts = [(told, () if size in settings.leaves() else SIZE)]
    if by_weights:
        parts = [(told[~pruned], SIZE), (told[pruned], TARGETS)]
    for rows, but in parts:
        if len(rows):
            yield from _by_condition(_named(rows, but), (*but, size), named, unit)


def _named(rows: pd.DataFrame, but: Sequence[str]) -> pd.DataFrame:
    """The rows, whose families tell the dimensions, too, where these belong to a condition."""
    if SIZE[0] in but:
        return rows
    dials = zip(SIZE, DIMENSIONS, strict=True)
    said = {dial: rows[name].map(f"{dial} {{}}".format) for name, dial in dials}
    if but:  # of pruned networks, how they are pruned is told, too
        sizes = varying(pd.DataFrame(said), [*said])
        return rows.assign(family=phrases([rows["family"], sizes], rows.index))
    family = pd.DataFrame({"family": rows["family"], **said})
    return rows.assign(family=varying(family, [*family]))


def _by_condition(
    told: pd.DataFrame, but: Sequence[str], named: Sequence[str], unit: str
) -> Iterator[Runs]:
    conditions = ["dataset", *varied(told, named, ("dataset",))]
    conditions += [name for name in SIZE if name not in but and told[name].nunique() > 1]
    known = settings.settings()
    names = [name for name in known if name not in (*REPEAT, *but)]
    for key, rows in told.groupby(["split", *conditions], dropna=False):
        about = dict(zip(["split", *conditions], key, strict=True))
        about |= {"family": rows["family"].iloc[0]}
        stated = {name: rows[name].iloc[0] for name in names}
        # what is off is not said: a setting that is younger than a record changes no key
        on = {name: value for name, value in stated.items() if value != known[name].column}
        said = "\n".join(f"{name}={value}" for name, value in on.items() if not pd.isna(value))
        yield _runs(rows, about, said, but[-1], unit)


def _runs(rows: pd.DataFrame, about: dict[str, Any], key: str, size: str, unit: str) -> Runs:
    rows = rows.rename(columns={size: "size"})
    cells = rows.pivot_table(index="size", columns=[FOLD, SEED], values="value", dropna=False)
    by_fold = cells.T.groupby(level=FOLD).mean().T.dropna(axis="columns")
    of_all_folds = (
        cells.T.groupby(level=SEED).mean().where(cells.T.isna().groupby(level=SEED).sum() == 0)
    )
    by_seed = of_all_folds.T.dropna(axis="columns")
    tables = {"folds": by_fold, "repeats": by_seed}
    wanted = [unit] if unit in tables else [*tables]
    usable = [name for name in wanted if tables[name].shape[1] >= FEWEST]
    trials = tuple(sorted(rows["trial"]))
    if usable:
        chosen = tables[usable[0]]
    else:
        chosen = cells.T.groupby(level=FOLD).mean().T.mean(axis=1).to_frame()
    values = chosen.to_numpy(np.float64)
    return Runs(
        about, key, chosen.index.to_numpy(np.float64), values, usable[0] if usable else "", trials
    )


class Predicted(NamedTuple):
    """What a law says at some sizes, and how sure it is."""

    law: Law
    mean_X: Floats
    low_X: Floats  # nan without a band
    high_X: Floats
    exponent: tuple[float, float]  # its interval
    off: tuple[float, float, float] | None  # of the held-out size: predicted - observed


def predicted(
    runs: Runs, at_X: Sequence[float] | Floats, without_largest: bool = False
) -> Predicted:
    """The law of these runs at these sizes, with a band over their units; `without_largest` fits
    all sizes but the largest and says how far off its prediction of that one is.

    Raises ValueError for too few sizes.
    """
    chosen = runs.size_M < runs.size_M.max() if without_largest else np.full(len(runs.size_M), True)
    size_M = runs.size_M[chosen]
    law = fit(size_M, runs.error_M[chosen])
    mean, largest = law.at(at_X), runs.size_M.max()
    held_out = float(law.at([largest])[0] - runs.error_M[-1])
    if not runs.unit:
        none = np.full(len(mean), np.nan)
        off = (held_out, np.nan, np.nan) if without_largest else None
        return Predicted(law, mean, none, none, (np.nan, np.nan), off)
    error_BM = runs.resampled()
    drawn = fits(size_M, error_BM[:, chosen])
    units = runs.error_MU.shape[1]
    low, high = _band(drawn.at(at_X), mean, units, True)
    edges = _band(drawn.exponent[:, None], np.array([law.exponent]), units, True)
    exponent = float(edges[0][0]), float(edges[1][0])
    if not without_largest:
        return Predicted(law, mean, low, high, exponent, None)
    apart = drawn.at([largest]) - error_BM[:, -1:]
    edges = _band(apart, np.array([held_out]), units, False)
    off = held_out, float(edges[0][0]), float(edges[1][0])
    return Predicted(law, mean, low, high, exponent, off)


def _band(value_BX: Floats, centre_X: Floats, units: int, positive: bool) -> tuple[Floats, Floats]:
    """The interval around each centre: t times the deviation of the resamples, which n units make
    too small by sqrt(1 - 1 / n). What is positive is judged by its logarithm.
    """
    reach = stdtrit(units - 1, (1 + CONFIDENCE) / 2) * np.sqrt(units / (units - 1))
    if not positive:
        half = reach * value_BX.std(axis=0)
        return centre_X - half, centre_X + half
    factor = np.exp(reach * np.log(np.maximum(value_BX, LEAST)).std(axis=0))
    return centre_X / factor, centre_X * factor
