"""Frontier: the configurations that no other beats in both error and cost, and how sure that is.

A configuration is on the frontier if none is as cheap with a smaller error, or cheaper with as
small a one. Scores are means over few folds, seeds or devices, so the frontier is drawn again from
units that are drawn again: `often` is the share of resamples in which a configuration is on it.
Conventions: errors are 1 - accuracy. Units are drawn crossed, with replacement, the same for all
configurations (pigeonhole bootstrap, Owen 2007): folds and seeds; on unseen devices folds and
devices, where there are three or more. Fewer than three units of either kind say nothing: `often`
is nan.
Contents: RESAMPLES, DRAW, on_frontier, frontier.
"""

# C configurations, R and K units that are crossed (folds x seeds, or folds x devices), B resamples

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.data import Data
from analysis.designs import FOLD, SEED
from analysis.intervals import FEWEST
from analysis.selection import DIGITS
from analysis.units import CLAIMS_DEVICES

RESAMPLES = 1000
DRAW = 14  # seed of the resamples: the same records give the same shares
Floats = npt.NDArray[np.float64]


def on_frontier(cost_C: npt.ArrayLike, error_C: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each configuration (C,) is on the frontier; errors (..., C) are judged row by row.
    Those that differ by rounding are equal.
    """
    cost, error = np.asarray(cost_C, np.float64), np.asarray(error_C, np.float64).round(DIGITS)
    order = np.argsort(cost, kind="stable")
    costs, errors = cost[order], error[..., order]
    lowest = np.minimum.accumulate(errors, axis=-1)
    # of equal costs all share the lowest error of the last, and what is cheaper ends before them
    first = np.searchsorted(costs, costs, side="left")
    last = np.searchsorted(costs, costs, side="right") - 1
    below = np.concatenate([np.full((*errors.shape[:-1], 1), np.inf), lowest], axis=-1)[..., first]
    best = (errors <= lowest[..., last]) & (errors < below)
    made = np.empty_like(best)
    made[..., order] = best
    return made


def frontier(candidates: pd.DataFrame, data: Data, cost: str = "kept_parameters") -> pd.DataFrame:
    """The candidates (analysis.candidates.candidates) with `on_frontier`, `often` (the share of
    RESAMPLES in which each is on it; nan where units are too few) and `drawn` (what was drawn
    again, as `folds and seeds`), from their scores on the split that they were asked for.

    A candidate without this cost is on no frontier.
    """
    known = candidates[cost].notna().to_numpy()
    if not known.any():
        return candidates.assign(on_frontier=False, often=np.nan, drawn="")
    costs = candidates[cost].to_numpy(np.float64)[known]
    value_CRK, units = _values(candidates[known], data)
    found = np.zeros(len(candidates), bool)
    often = np.full(len(candidates), np.nan)
    found[known] = on_frontier(costs, 1 - candidates["value"].to_numpy(np.float64)[known])
    if units:
        error_BC = 1 - _resampled(value_CRK)
        often[known] = on_frontier(costs, error_BC).mean(axis=0)
    return candidates.assign(on_frontier=found, often=often, drawn=units)


def _values(candidates: pd.DataFrame, data: Data) -> tuple[Floats, str]:
    """The scores (C, R, K) by crossed units, nan where one was not trained, and what the units are;
    "" where they are too few to be drawn again.
    """
    scores = data.scores()
    split = str(candidates["on"].iloc[0])
    scores = scores[(scores["device"] == "all") & (scores["split"] == split)]
    owner = {t: c for c, ids in enumerate(candidates["trials"]) for t in ids.split()}
    runs = scores[scores["trial"].isin(owner)].assign(c=scores["trial"].map(owner))
    folds = sorted(runs[FOLD].unique())
    if split in CLAIMS_DEVICES and (heard := _devices(runs)):
        parts = [runs["by_device"].map(lambda each, d=d: each[d]) for d in heard]
        made = _table(pd.concat([runs.assign(k=d, v=v) for d, v in zip(heard, parts, strict=True)]))
        second, names = len(heard), ("folds", "devices")
    else:
        made = _table(runs.assign(k=runs[SEED], v=runs["value"]))
        second, names = runs[SEED].nunique(), ("folds", "seeds")
    if max(len(folds), second) < FEWEST:
        return made, ""
    several = [name for name, n in zip(names, (len(folds), second), strict=True) if n > 1]
    return made, " and ".join(several)


def _devices(runs: pd.DataFrame) -> list[str]:
    """The devices that all of these runs were scored on; none where they are fewer than three."""
    heard = [{*each} if isinstance(each, Mapping) else set() for each in runs["by_device"]]
    shared: set[Any] = set.intersection(*heard) if heard else set()
    return sorted(shared) if len(shared) >= FEWEST else []


def _table(runs: pd.DataFrame) -> Floats:
    """Values (C, R, K): means of what shares configuration, fold and second unit."""
    means = runs.groupby(["c", FOLD, "k"])["v"].mean().unstack(["c"])
    full = pd.MultiIndex.from_product(
        [sorted(runs[FOLD].unique()), sorted(runs["k"].unique())], names=[FOLD, "k"]
    )
    shaped = means.reindex(full).to_numpy(np.float64)
    return np.moveaxis(shaped.reshape(len(full.levels[0]), len(full.levels[1]), -1), -1, 0)


def _resampled(value_CRK: Floats) -> Floats:
    """Means (B, C) over units drawn again; a configuration without a run in a draw keeps the mean
    of all of its runs.
    """
    draws = np.random.default_rng(DRAW)
    _, rows, columns = value_CRK.shape
    weight_BR = draws.multinomial(rows, np.full(rows, 1 / rows), RESAMPLES)
    weight_BK = draws.multinomial(columns, np.full(columns, 1 / columns), RESAMPLES)
    there = ~np.isnan(value_CRK)
    value = np.where(there, value_CRK, 0.0)
    # the mean of each fold first, as the estimates do; then of the folds
    sum_BCR = np.einsum("bk,crk->bcr", weight_BK, value)
    count_BCR = np.einsum("bk,crk->bcr", weight_BK, there)
    with np.errstate(invalid="ignore"):
        fold_BCR = sum_BCR / count_BCR
    heard = weight_BR[:, None, :] * (count_BCR > 0)
    total = heard.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        mean_BC: Floats = (heard * np.nan_to_num(fold_BCR)).sum(axis=-1) / total
    return np.where(total > 0, mean_BC, np.nanmean(value_CRK, axis=(1, 2)))
