"""What an interval is over: folds, repeats, devices or clips; and how many of them there are.

Runs of one condition are not independent values. Seeds of one fold share its clips, folds of one
seed share their training clips, and all of them share the devices that they are tested on. Counted
as independent, folds x seeds give "95 %" intervals that hold the truth 70 % of the time. So every
estimate first averages what shares a unit, then looks at how units differ:

- folds: seeds averaged within a fold. What another part of these recordings would change.
- repeats: folds averaged within a seed, as the papers' standard errors do. What another training
  would change on the same clips: it says nothing of new recordings.
- devices: devices crossed with folds, seeds averaged; on one split, with its seeds. What other
  devices and recordings (trainings) would change: the unit of a claim about devices that were never
  heard.
- clips: the test clips of one training. What other clips like these would change.

How wide an interval over such units is follows from analysis.intervals.
Conventions: two units give no interval. Shares stay within 0 and 1, differences of shares within
-1 and 1, differences of two of these within -2 and 2. Contents: Estimate, Scale and its
values, scale_of, asked, over, estimate, estimated, estimates, p_value, by_device, same_devices.
"""

# F folds, S seeds, R rows (folds, or the seeds of a single one), D devices, N runs, E estimates

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.intervals import (
    CONFIDENCE,
    FEWEST,
    Answers,
    Limits,
    binomial,
    half_crossed,
    half_over_units,
    least,
    of_share,
)
from analysis.unit_names import UNITS

SMALLEST = 1e-12  # p that is told from 0
PRECISION = 1e-6  # of the logarithm of p
CLAIMS_DEVICES = ("unseen", "unseen - seen")  # splits whose claims are about devices
FOLD, SEED = "split.fold", "seed"
ON_ONE_SPLIT, CLIPS = "devices on one split", "clips of one run"


class Estimate(NamedTuple):
    """A mean, the interval that holds the true one 95 % of the time, and what it is over."""

    mean: float
    low: float  # nan where there are too few units for an interval
    high: float
    n: int  # units
    unit: str  # what n counts, as in `over 5 folds`


class Scale(NamedTuple):
    """Where values may lie, and how little an interval of so many clips may say."""

    least: float
    most: float
    share: bool  # of clips, or a difference of two such shares


SHARE = Scale(0.0, 1.0, True)
DIFFERENCE = Scale(-1.0, 1.0, True)
OF_DIFFERENCES = Scale(-2.0, 2.0, True)  # a difference of two differences
MEANS_APART = Scale(-1.0, 1.0, False)  # a difference of two macro F1
MEAN = Scale(0.0, 1.0, False)  # macro F1: a mean of such shares
LOSS = Scale(0.0, np.inf, False)
FREE = Scale(-np.inf, np.inf, False)  # a difference of losses
SCALES = {"accuracy": SHARE, "macro_f1": MEAN}  # by metric; all others are losses


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


def estimate(
    runs: pd.DataFrame, scale: Scale | None = None, confidence: float = CONFIDENCE
) -> Estimate:
    """The mean of one condition's runs on one split, over the units that its claim is about.

    `runs` has one row per training: `value`, `seed`, `split.fold`; where they are known also
    `split`, `clips` (how many were scored, the same through two microphones being one),
    `by_device` (a value for each device), `metric`, from which the scale follows, and `unit`, the
    one that is asked for. Where none is asked for, the design decides: devices for unseen
    devices, where three or more were heard; else folds, where there are three or more; else repeats
    where there are three or more; else clips, where there is one training; else there is no
    interval, and n counts what there is most of.
    Raises ValueError where the unit that is asked for is not in this design, and for values that
    are not finite.
    """
    return _estimate(*_asked(runs, scale), confidence)


def estimated(
    values: npt.ArrayLike,
    folds: npt.ArrayLike,
    seeds: npt.ArrayLike,
    clips: npt.ArrayLike | None = None,
    scale: Scale = SHARE,
    unit: str = "",
) -> Estimate:
    """`estimate` of the runs (N,) with these values, folds, seeds and scored clips, for where there
    are thousands to make: of a device, a class, a cell of a confusion matrix.
    """
    value_N = np.asarray(values, dtype=np.float64)
    clips_N = None if clips is None else np.asarray(clips, dtype=np.float64)
    design = _of_runs(value_N, np.asarray(folds), np.asarray(seeds), clips_N, scale)
    if unit:
        _check(design, unit)
    return _estimate(design, unit or _usual(design), CONFIDENCE)


def estimates(
    values: npt.ArrayLike,
    folds: npt.ArrayLike,
    seeds: npt.ArrayLike,
    scale: Scale,
    clips: npt.ArrayLike | None = None,
    split: str = "",
) -> pd.DataFrame:
    """`estimated` of each column of values (N, E), as of E epochs of the same runs (N,): a row for
    each, with the columns of Estimate. Values (N, D, E) are of D devices, and crossed where the
    claims of `split` are about devices.
    """
    value_N = np.asarray(values, dtype=np.float64)
    clips_N = None if clips is None else np.asarray(clips, dtype=np.float64)
    fold_N, seed_N = np.asarray(folds), np.asarray(seeds)
    whole_N = value_N.mean(axis=1) if value_N.ndim == 3 else value_N
    design = _of_runs(whole_N, fold_N, seed_N, clips_N, scale)._replace(split=split)
    if value_N.ndim == 3:
        design = _heard(design, value_N, fold_N, seed_N)
    mean = design.value_F.mean(axis=0)
    limits, n, over = _limits(mean, design, _usual(design), CONFIDENCE)
    return pd.DataFrame(dict(zip(Estimate._fields, (mean, *limits, n, over), strict=True)))


def p_value(runs: pd.DataFrame, against: float, scale: Scale | None = None) -> float:
    """Two-sided p of the hypothesis that the true mean is `against`: 1 - the largest confidence
    whose interval excludes it, so that p and interval never disagree; nan where there is no
    interval, and no less than SMALLEST. Arguments and errors are those of `estimate`.
    """
    design, unit = _asked(runs, scale)

    def excluded(p: float) -> bool:
        found = _estimate(design, unit, 1 - p)
        return not found.low <= against <= found.high

    if np.isnan(_estimate(design, unit, CONFIDENCE).low):
        return float("nan")
    least, most = np.log(SMALLEST), 0.0
    if excluded(SMALLEST):
        return SMALLEST
    if not excluded(1.0):
        return 1.0
    while most - least > PRECISION:  # intervals grow with confidence: one edge to be found
        middle = (least + most) / 2
        least, most = (least, middle) if excluded(float(np.exp(middle))) else (middle, most)
    return float(np.exp(most))


def _asked(runs: pd.DataFrame, scale: Scale | None) -> tuple[Design, str]:
    """The design of these runs, and the unit that its estimate is over. Raises ValueError."""
    if not len(runs):
        raise ValueError("no values to average: at least one run must be complete")
    design = _design(runs, scale or scale_of(runs))
    unit = str(runs["unit"].iloc[0]) if "unit" in runs else ""
    if unit:
        _check(design, unit)
    return design, unit or _usual(design)


def _estimate(design: Design, unit: str, confidence: float) -> Estimate:
    mean = design.value_F.mean()
    (low, high), n, over = _limits(mean, design, unit, confidence)
    return Estimate(float(mean), float(low), float(high), n, over)


def _limits(mean: Any, design: Design, unit: str, confidence: float) -> tuple[Limits, int, str]:
    """The interval: no narrower than its clips allow, and within what is possible."""
    half, n, over = _HALVES[unit](design, confidence)
    lowest, highest, share = design.scale
    known = _answers(design, unit) if share else None
    if (lowest, highest) == (0.0, 1.0):
        floor = 0.0 if known is None else least(mean, known, confidence)
        return of_share(mean, half, floor), n, over
    low, high = mean - half, mean + half
    if known is not None:
        # as many clips, at least, were answered differently
        away = np.abs(mean) / highest
        near, far = (
            highest * edge for edge in of_share(away, 0.0 * half, least(away, known, confidence))
        )
        low = np.minimum(low, np.where(mean > 0, near, -far))
        high = np.maximum(high, np.where(mean < 0, -near, far))
    return Limits(np.maximum(low, lowest), np.minimum(high, highest)), n, over


def _answers(design: Design, unit: str) -> Answers | None:
    """From what a share was counted. Trainings of the same clips, by which alone repeats and rows
    of one split differ, answer each of them independently: they count one by one.
    """
    known, same = design.answers, unit == "repeats" or len(design.value_FS) == 1
    if known is None or unit == "clips" or not same:
        return known
    return Answers(known.clips * known.each, given=True)


def _design(runs: pd.DataFrame, scale: Scale) -> Design:
    fold_N = runs[FOLD].to_numpy(dtype=np.int64)
    known = "clips" in runs and runs["clips"].notna().all()
    clips_N = runs["clips"].to_numpy(dtype=np.float64) if known else None
    value_N, seed_N = runs["value"].to_numpy(dtype=np.float64), runs[SEED].to_numpy(dtype=np.int64)
    made = _of_runs(value_N, fold_N, seed_N, clips_N, scale)
    split = str(runs["split"].iloc[0]) if "split" in runs else ""
    by_device = [*runs["by_device"]] if "by_device" in runs else []
    if not (names := same_devices(by_device)):
        return made._replace(split=split)
    value_ND = np.array([[each[name] for name in names] for each in by_device])
    return _heard(made._replace(split=split), value_ND, fold_N, seed_N)


def _of_runs(
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


def _heard(
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


def _usual(design: Design) -> str:
    """The unit of the widest claim that the design allows."""
    folds, seeds = design.value_FS.shape[:2]
    if design.split in CLAIMS_DEVICES and design.value_RD is not None and folds != 2:
        return "devices"
    if folds < FEWEST <= len(design.repeats):
        return "repeats"
    if folds == seeds == 1 and design.scale.share and design.answers is not None:
        return "clips"
    return "folds"


def _check(design: Design, unit: str) -> None:
    folds, seeds = design.value_FS.shape[:2]
    runs = int((~np.isnan(design.value_FS)).sum())
    if unit == "folds" and folds == 1 and runs > 1:
        raise ValueError(
            f"--unit folds: {runs} trainings on one split say nothing of other splits: "
            "sweep several folds, or ask for --unit repeats"
        )
    if unit == "repeats" and seeds == 1 and folds > 1:
        raise ValueError(
            f"--unit repeats: {folds} folds were trained from one seed: sweep with --repeats 3"
        )
    if unit == "devices" and design.value_RD is None:
        raise ValueError(
            "--unit devices: the scores of three devices or more, the same in every fold, are "
            "needed: test through more microphones, or ask for --unit folds"
        )
    if unit == "clips" and (runs > 1 or design.answers is None):
        raise ValueError(
            f"--unit clips: {runs} trainings differ by more than their clips: ask for "
            "--unit folds or --unit repeats"
            if runs > 1
            else "--unit clips: no predictions tell how many clips were scored"
        )


def _over_folds(design: Design, confidence: float) -> tuple[Any, int, str]:
    folds, seeds = design.value_FS.shape[:2]
    half = half_over_units(design.value_F, confidence)
    if folds == 1:
        return half, seeds, "seeds on one split" if seeds > 1 else "run"
    return half, folds, "folds"


def _over_repeats(design: Design, confidence: float) -> tuple[Any, int, str]:
    folds, repeats = len(design.value_FS), design.repeats
    of_what = f"repeats of {folds} folds" if folds > 1 else "seeds on one split"
    return half_over_units(repeats, confidence), len(repeats), of_what


def _over_devices(design: Design, confidence: float) -> tuple[Any, int, str]:
    assert design.value_RD is not None
    rows, devices = design.value_RD.shape[:2]
    half = half_crossed(design.value_RD, confidence)
    if len(design.value_FS) > 1:
        return half, devices, f"devices x {rows} folds"
    return half, devices, ON_ONE_SPLIT if rows == 1 else f"devices x {rows} seeds on one split"


def _over_clips(design: Design, confidence: float) -> tuple[Any, int, str]:
    assert design.answers is not None
    share = design.value_F.mean(axis=0)
    return binomial(share, design.answers.clips, confidence), int(design.answers.clips), CLIPS


_HALVES = {
    "folds": _over_folds,
    "repeats": _over_repeats,
    "devices": _over_devices,
    "clips": _over_clips,
}


def means_over_folds(value_FS: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The mean over folds of each seed that was trained on all of them (S, ...)."""
    means: npt.NDArray[np.float64] = value_FS.mean(axis=0)
    return means[~np.isnan(means.reshape(len(means), -1)[:, 0])]


def asked(unit: str) -> str:
    """The unit that a person asks for; "" where the design decides. Raises ValueError."""
    if unit and unit not in UNITS:
        raise ValueError(f"--unit {unit}: no such unit, one of {', '.join(UNITS)}")
    return unit


def over(points: pd.DataFrame) -> str:
    """What points are over: `5 folds`, `3 to 5 folds`, `5 folds or 12 devices x 5 folds`."""
    ranges = points.groupby("unit", sort=False)["n"].agg(["min", "max"])
    return " or ".join(
        f"{fewest} {unit}" if fewest == most else f"{fewest} to {most} {unit}"
        for unit, fewest, most in ranges.itertuples()
    )


def scale_of(runs: pd.DataFrame) -> Scale:
    """The scale of what was measured, by the column `metric`."""
    return SCALES.get(str(runs["metric"].iloc[0]), LOSS) if "metric" in runs else SHARE


def by_device(one: Any, other: Any) -> dict[str, float] | None:
    """One run's values by device less another's; None where they did not hear the same devices."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)) or one.keys() != other.keys():
        return None
    return {device: one[device] - other[device] for device in one}
