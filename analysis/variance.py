"""What makes a mean uncertain: how folds, devices and seeds differ, and how many more would decide.

Runs of F folds x S seeds x D devices are taken apart by the method of moments,

    value = mean + fold + device + fold:device + seed(fold) + seed(fold):device,

from which follows the error of designs that were not run. A component that comes out negative, as
one near 0 often does, is cut at 0 and named. Sources: Searle, Casella and McCulloch 1992, Variance
Components (unweighted means); Cohen 1988 (power, here by the non-central t).
Conventions: variances are squares of what `value` is in; an error is of the mean over the units of
analysis.units, on one split over devices crossed with seeds. Contents: DesignSize, Components,
components, of_clips; Error, expected, measured; power, detectable, confirmable, runs_needed,
needed, of_each.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import nct, t

from analysis.designs import FOLD, SEED, means_over_folds, same_devices
from analysis.intervals import Error, crossed_error, joined
from analysis.units import Estimate

# F folds, S seeds, D devices, C candidates

ALPHA, POWER = 0.05, 0.8
MOST = 1_000  # units that may be added: what needs more is out of reach
ADDABLE = {
    "folds": ("folds", "seeds"),
    "repeats": ("seeds",),
    "devices": ("folds", "seeds", "devices"),
}

Array = npt.NDArray[np.float64]


class DesignSize(NamedTuple):
    """How many there are; as arrays, those of several designs."""

    folds: Any
    seeds: Any  # of a fold: the harmonic mean where folds have not equally many
    devices: Any  # 1 where they are not told apart


class Components(NamedTuple):
    """Variances of one run's value by where they come from; nan where the design cannot tell."""

    fold: float  # where each fold has one seed, that of the seed is in it
    device: float
    both: float  # of a device in a fold
    seed: float  # of a training
    rest: float  # of a training on a device
    repeat: float  # of the mean over these very folds, from seed to seed
    layout: DesignSize
    cut: tuple[str, ...]  # those that came out negative, and are 0 here


def components(runs: pd.DataFrame) -> Components:
    """The components of runs as analysis.units.estimate takes them: one row per training."""
    value_FSD = _cube(runs)
    folds, _, devices = value_FSD.shape
    value_FS, value_FD = value_FSD.mean(axis=2), np.nanmean(value_FSD, axis=1)
    seeds_F = (~np.isnan(value_FS)).sum(axis=1)
    seeds = float(folds / (1 / seeds_F).sum())
    spare = int((seeds_F - 1).sum())  # degrees of freedom among seeds
    value_F, value_D = value_FD.mean(axis=1), value_FD.mean(axis=0)
    of_seed = _mean_square(value_FS - value_F[:, None], spare)
    inner = value_FSD - value_FS[:, :, None] - (value_FD - value_F[:, None])[:, None]
    rest = _mean_square(inner, spare * (devices - 1))
    left = value_FD - value_F[:, None] - value_D + value_FD.mean()
    mixed = _mean_square(left, (folds - 1) * (devices - 1))
    seed, noise, cross = (np.nan_to_num(each) for each in (of_seed, rest, mixed))
    of_a_seed = of_seed - noise / devices
    found = {
        "fold": _variance(value_F) - cross / devices - (seed - noise / devices) / seeds,
        "device": _variance(value_D) - (cross / folds if folds > 1 else noise / seeds),
        "both": mixed - noise / seeds,
        "seed": of_a_seed,
        "rest": rest,
        "repeat": _variance(means_over_folds(value_FS)),
    }
    cut = tuple(name for name, value in found.items() if value < 0)
    kept = {name: max(float(value), 0.0) for name, value in found.items()}
    kept |= {name: math.nan for name, value in found.items() if math.isnan(value)}
    return Components(**kept, layout=DesignSize(folds, seeds, devices), cut=cut)


def of_clips(shares: "pd.Series[float]", clips: "pd.Series[float]") -> float:
    """The variance that the draw of a fold's clips gives to a share of so many: the binomial one.

    Of a difference of two it is the sum of both, at most: shared clips are often answered alike.
    """
    return float((shares * (1 - shares) / clips).mean())


def expected(found: Components, unit: str, layout: DesignSize) -> Error:
    """The error of the mean of another design, over folds, repeats or devices."""
    fold, device, both, seed, rest, repeat = (float(np.nan_to_num(part)) for part in found[:6])
    folds, seeds, devices = layout
    if unit == "repeats":
        return Error(np.sqrt(repeat / seeds), seeds - 1)
    of_folds = (fold + both / devices + (seed + rest / devices) / seeds) / folds
    if unit == "folds":
        return Error(np.sqrt(of_folds), folds - 1)
    of_devices = (device + both / folds + rest / (folds * seeds)) / devices
    both_ways = (both / folds + rest / (folds * seeds)) / devices
    rows = np.where(np.asarray(folds) > 1, folds, seeds)
    return joined(of_folds, of_devices, both_ways, rows - 1, devices - 1)


def measured(runs: pd.DataFrame, unit: str, interval: Estimate, confidence: float) -> Error:
    """The error of the mean of these runs; no smaller than its interval is wide."""
    value_FSD = _cube(runs)
    folds = len(value_FSD)
    value_FS, value_FD = value_FSD.mean(axis=2), np.nanmean(value_FSD, axis=1)
    if unit == "devices":
        value_RD = value_FD if folds > 1 else value_FSD[0][~np.isnan(value_FS[0])]
        error = crossed_error(value_RD, confidence)
    else:
        values = np.nanmean(value_FS, axis=1) if unit == "folds" else means_over_folds(value_FS)
        error = Error(math.sqrt(_variance(values) / len(values)), len(values) - 1)
    half = (interval.high - interval.low) / 2
    return error._replace(size=max(error.size, half / float(_edge(error.freedom, 1 - confidence))))


def power(effect: float, error: Error, alpha: float = ALPHA, within: float = 0.0) -> Any:
    """How often a two-sided t test finds a true effect of this size; of a margin `within` which two
    sides are alike, how often the interval lies inside it, or outside.

    That it lies inside takes that it excludes both ends: by Bonferroni's inequality, at least as
    often as here.
    """
    size, freedom = np.broadcast_arrays(*map(np.asarray, error))
    edge, size = _edge(freedom, alpha), np.where(size > 0, size, np.nan)
    above, below = (np.abs(effect) - within) / size, (np.abs(effect) + within) / size
    found = _exceeds(above, freedom, edge) + _exceeds(-below, freedom, edge)
    if within:
        inside = _exceeds(-above, freedom, edge) + _exceeds(below, freedom, edge) - 1
        found = found + np.maximum(inside, 0.0)
    return np.where(np.isnan(size), float(abs(effect) != within), found)


def _exceeds(away: Any, freedom: Any, edge: Any) -> Any:
    """How often t exceeds an edge where the true mean is so many errors away from 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = nct.sf(edge, freedom, away)
    # so far away that scipy's series gives up
    return np.where(np.isnan(found), np.where(away > edge, 1.0, 0.0), found)


def detectable(error: Error, alpha: float = ALPHA, chance: float = POWER) -> float:
    """The smallest true effect that a two-sided t test finds this often."""
    return _smallest(error, alpha, lambda far, unit: power(far, unit, alpha) - chance)


def confirmable(error: Error, alpha: float = ALPHA, chance: float = POWER) -> float:
    """The smallest margin within which equal sides are found alike this often."""
    return _smallest(error, alpha, lambda far, unit: power(0.0, unit, alpha, far) - chance)


def _smallest(error: Error, alpha: float, excess: Callable[[float, Error], float]) -> float:
    """Where this excess, which grows with the distance in errors, is 0."""
    if not (error.size >= 0 and error.freedom > 0):
        return math.nan
    unit = Error(1.0, float(error.freedom))
    most = 2.0 * float(_edge(unit.freedom, alpha)) + 2.0
    while excess(most, unit) < 0:
        most *= 2
    return float(error.size) * float(brentq(lambda far: excess(far, unit), 0, most))


def runs_needed(
    effect: float, deviation: float, alpha: float = ALPHA, chance: float = POWER
) -> float:
    """How many independent values of this deviation find the effect; inf above MOST."""
    count_C = np.arange(2, MOST + 1)
    found = power(effect, Error(deviation / np.sqrt(count_C), count_C - 1), alpha) >= chance
    return float(count_C[found.argmax()]) if found.any() else math.inf


def needed(
    found: Components,
    unit: str,
    effect: float,
    alpha: float = ALPHA,
    chance: float = POWER,
    within: float = 0.0,
) -> dict[str, float]:
    """How many more of each kind of unit would find an effect of this size this often, or decide
    whether it is `within` a margin.

    inf: no number of it up to MOST would; nan: one of it does not tell what more would change.
    """
    return {
        kind: _more(found, unit, (kind,), (effect, within), alpha, chance)
        if _told(found, unit, kind)
        else math.nan
        for kind in ADDABLE[unit]
    }


def of_each(
    found: Components,
    unit: str,
    effect: float,
    alpha: float = ALPHA,
    chance: float = POWER,
    within: float = 0.0,
) -> tuple[float, tuple[str, ...]]:
    """How many more of all kinds at once would find it, and of which: where none alone would."""
    kinds = tuple(kind for kind in ADDABLE[unit] if _told(found, unit, kind))
    return _more(found, unit, kinds, (effect, within), alpha, chance), kinds


def _told(found: Components, unit: str, kind: str) -> bool:
    """Whether the design tells what more units of this kind would change."""
    parts = {"folds": found.fold, "seeds": found.seed, "devices": found.device}
    if unit == "repeats":
        parts["seeds"] = found.repeat
    return not math.isnan(parts[kind]) and (kind != "folds" or found.layout.folds > 1)


def _more(
    found: Components,
    unit: str,
    kinds: tuple[str, ...],
    claimed: tuple[float, float],
    alpha: float,
    chance: float,
) -> float:
    """How many more of each of these kinds would find the effect; inf above MOST."""

    def enough(more: int) -> bool:
        grown = {kind: getattr(found.layout, kind) + more for kind in kinds}
        layout = found.layout._replace(**grown)
        effect, within = claimed
        return bool(power(effect, expected(found, unit, layout), alpha, within) >= chance)

    if not kinds or not enough(MOST):
        return math.inf
    return float(bisect_left(range(MOST), True, lo=1, key=enough))


def _cube(runs: pd.DataFrame) -> Array:
    """Values (F, S, D), nan where a fold was not trained from a seed."""
    by_device = [*runs["by_device"]] if "by_device" in runs else []
    names = same_devices(by_device)
    value_N = runs["value"].to_numpy(np.float64)
    value_ND = (
        np.array([[each[name] for name in names] for each in by_device])
        if names
        else value_N[:, None]
    )
    folds, fold_N = np.unique(runs[FOLD].to_numpy(np.int64), return_inverse=True)
    seeds, seed_N = np.unique(runs[SEED].to_numpy(np.int64), return_inverse=True)
    sum_FSD = np.zeros((len(folds), len(seeds), value_ND.shape[1]))
    count_FS = np.zeros((len(folds), len(seeds), 1))
    np.add.at(sum_FSD, (fold_N, seed_N), value_ND)
    np.add.at(count_FS, (fold_N, seed_N), 1)
    with np.errstate(invalid="ignore"):
        means: Array = sum_FSD / count_FS
    return means


def _variance(values: Array) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else math.nan


def _mean_square(values: Array, freedom: int) -> float:
    return float(np.nansum(values**2)) / freedom if freedom > 0 else math.nan


def _edge(freedom: Any, alpha: float) -> Any:
    """What |t| must exceed."""
    return t.isf(alpha / 2, freedom)
