"""What the runs of one condition share: folds, seeds, devices and clips.

Runs are arranged by fold and seed, and by device where all heard the same ones. Which of these an
interval is over, analysis.units decides. Contents: Design, designed, of_runs, heard,
means_over_folds, by_device, same_devices.
"""

# F folds, S seeds, R rows (folds, or the seeds of a single one), D devices, N runs, E estimates

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.intervals import FEWEST, Answers
from analysis.scales import Scale

FOLD, SEED = "split.fold", "seed"


class Design(NamedTuple):
    """One condition's runs on one split, by what they share; of E such at once, (..., E)."""

    value_FS: npt.NDArray[np.float64]  # nan where a fold was not trained from a seed
    value_RD: npt.NDArray[np.float64] | None  # by device; None: not the same devices in all
    answers: Answers | None  # of the clips that all folds scored; None: not known
    split: str
    scale: Scale

    @property
    def value_F(self) -> npt.NDArray[np.float64]:
        """The mean of each fold's runs."""
        means: npt.NDArray[np.float64] = np.nanmean(self.value_FS, axis=1)
        return means

    @property
    def repeats(self) -> npt.NDArray[np.float64]:
        """The mean over folds of each seed that was trained on all of them."""
        return means_over_folds(self.value_FS)


def designed(runs: pd.DataFrame, scale: Scale) -> Design:
    """The design of runs as analysis.units.estimate takes them: one row per training. Raises
    ValueError for values that are not finite.
    """
    fold_N = runs[FOLD].to_numpy(dtype=np.int64)
    known = "clips" in runs and runs["clips"].notna().all()
    clips_N = runs["clips"].to_numpy(dtype=np.float64) if known else None
    value_N, seed_N = runs["value"].to_numpy(dtype=np.float64), runs[SEED].to_numpy(dtype=np.int64)
    made = of_runs(value_N, fold_N, seed_N, clips_N, scale)
    split = str(runs["split"].iloc[0]) if "split" in runs else ""
    by_device = [*runs["by_device"]] if "by_device" in runs else []
    if not (names := same_devices(by_device)):
        return made._replace(split=split)
    value_ND = np.array([[each[name] for name in names] for each in by_device])
    return heard(made._replace(split=split), value_ND, fold_N, seed_N)


def of_runs(
    value_N: npt.NDArray[np.float64],
    fold_N: npt.NDArray[np.int64],
    seed_N: npt.NDArray[np.int64],
    clips_N: npt.NDArray[np.float64] | None,
    scale: Scale,
) -> Design:
    """The design of these runs, as far as it is the same for one device and for several; values are
    (N,), or (N, E) of E epochs.
    """
    if len(odd := value_N[~np.isfinite(value_N)]):
        raise ValueError(f"value={odd[0]}: leave out runs without a score")
    folds, place_N = np.unique(fold_N, return_inverse=True)
    seeds, among_N = np.unique(seed_N, return_inverse=True)
    shape = len(folds), len(seeds)
    cell_N = place_N * len(seeds) + among_N
    count_C = np.bincount(cell_N, minlength=len(folds) * len(seeds))
    value_FS = np.zeros((*shape, *value_N.shape[1:]))
    np.add.at(value_FS, (place_N, among_N), value_N)
    with np.errstate(invalid="ignore"):
        value_FS /= count_C.reshape((*shape, *(1 for _ in value_N.shape[1:])))
    answers = None
    if clips_N is not None:
        clips_F = np.zeros(len(folds))
        np.maximum.at(clips_F, place_N, clips_N)
        answers = Answers(float(clips_F.sum()), len(value_N) / len(folds))
    return Design(value_FS, None, answers, "", scale)


def heard(
    design: Design,
    value_ND: npt.NDArray[np.float64],
    fold_N: npt.NDArray[np.int64],
    seed_N: npt.NDArray[np.int64],
) -> Design:
    """The design with its values by device: rows are folds, seeds averaged, or the seeds of a
    single fold, where they are enough.
    """
    rows, place_N = np.unique(fold_N, return_inverse=True)
    seeds, among_N = np.unique(seed_N, return_inverse=True)
    if len(rows) == 1 and len(seeds) >= FEWEST:
        rows, place_N = seeds, among_N
    there = [place_N == row for row in range(len(rows))]
    value_RD = np.stack([_over_seeds(value_ND[each], seed_N[each]) for each in there])
    answers = design.answers
    if answers is not None:
        answers = answers._replace(each=answers.each * value_ND.shape[1])
    return design._replace(value_RD=value_RD, answers=answers)


def _over_seeds(
    value_ND: npt.NDArray[np.float64], seed_N: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The mean over seeds of each one's runs: several sizes in one claim share a seed."""
    of_seeds = [value_ND[seed_N == seed].mean(axis=0) for seed in np.unique(seed_N)]
    means: npt.NDArray[np.float64] = np.mean(of_seeds, axis=0)
    return means


def same_devices(by_device: Sequence[Any]) -> list[str]:
    """The devices of which each run has a value; none where they are fewer than FEWEST, or not the
    same in all runs.
    """
    if not by_device or not all(isinstance(each, Mapping) for each in by_device):
        return []
    names = sorted(by_device[0])
    same = all(each.keys() == by_device[0].keys() for each in by_device)
    return names if same and len(names) >= FEWEST else []


def means_over_folds(value_FS: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean over folds of each seed that was trained on all of them (S, ...)."""
    means: npt.NDArray[np.float64] = value_FS.mean(axis=0)
    return means[~np.isnan(means.reshape(len(means), -1)[:, 0])]


def by_device(one: Any, other: Any) -> dict[str, float] | None:
    """One run's values by device less another's; None where they did not hear the same devices."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)) or one.keys() != other.keys():
        return None
    return {device: one[device] - other[device] for device in one}
