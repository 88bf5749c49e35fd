"""What an interval is over: folds, repeats, devices or clips; and how many of them there are.

Runs of one condition are not independent values. Seeds of one fold share its clips, folds of one
seed share their training clips, and all of them share the devices that they are tested on. Counted
as independent, folds x seeds give "95 %" intervals that hold the truth 70 % of the time. So every
estimate first averages what shares a unit, then looks at how units differ:

- folds: seeds averaged within a fold. What another part of these recordings would change.
- repeats: folds averaged within a seed, as the papers' standard errors do. What another training
  would change on the same clips: it says nothing of new recordings.
- devices: devices crossed with folds, seeds averaged. What other devices and recordings would
  change: the unit of a claim about devices that were never heard.
- clips: the test clips of one training. What other clips like these would change.

Sources: Student 1908 (t); Clopper and Pearson 1934 (binomial interval, the least that any interval
of a share may be); Satterthwaite 1946 (degrees of freedom of a sum of mean squares); Owen 2007, The
pigeonhole bootstrap (crossed units: rows and columns must both be drawn again).
Conventions: two units give no interval. Shares stay within 0 and 1, differences of shares within
-1 and 1. Contents: Estimate, UNITS, Scale and its values, scale_of, asked, over, estimate,
estimated, estimates, p_value, over_units, crossed, binomial, by_device, same_devices.
"""

# F folds, S seeds, D devices, U units, N runs, E epochs

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betaincinv, stdtrit

UNITS = ("folds", "repeats", "devices", "clips")
CONFIDENCE = 0.95
SMALLEST = 1e-12  # p that is told from 0
PRECISION = 1e-6  # of the logarithm of p
FEWEST = 3  # units that an interval needs: two say next to nothing of how units differ
CLAIMS_DEVICES = ("unseen", "unseen - seen")  # splits whose claims are about devices
FOLD, SEED = "split.fold", "seed"


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
MEANS_APART = Scale(-1.0, 1.0, False)  # a difference of two macro F1
MEAN = Scale(0.0, 1.0, False)  # macro F1: a mean of such shares
LOSS = Scale(0.0, np.inf, False)
FREE = Scale(-np.inf, np.inf, False)  # a difference of losses
SCALES = {"accuracy": SHARE, "macro_f1": MEAN}  # by metric; all others are losses


class Limits(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float


NONE = Limits(float("nan"), float("nan"))


class Design(NamedTuple):
    """One condition's runs on one split, by what they share."""

    value_FS: npt.NDArray[np.float64]  # nan where a fold was not trained from a seed; or (F, S, E)
    value_FD: npt.NDArray[np.float64] | None  # by device, seeds averaged; None: not the same in all
    clips: float | None  # different clips that all folds scored; None: not known
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
        means: npt.NDArray[np.float64] = self.value_FS.mean(axis=0)
        return means[~np.isnan(means.reshape(len(means), -1)[:, 0])]


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
    values: npt.ArrayLike, folds: npt.ArrayLike, seeds: npt.ArrayLike, scale: Scale
) -> pd.DataFrame:
    """`estimated` of each column of values (N, E), as of E epochs of the same runs (N,): a row for
    each, with the columns of Estimate.
    """
    value_NE = np.asarray(values, dtype=np.float64)
    design = _of_runs(value_NE, np.asarray(folds), np.asarray(seeds), None, scale)
    limits, n, over = _MAKERS[_usual(design)](design, CONFIDENCE)
    low, high = (np.clip(edge, scale.least, scale.most) for edge in limits)
    columns = (design.value_F.mean(axis=0), low, high, n, over)
    return pd.DataFrame(dict(zip(Estimate._fields, columns, strict=True)))


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
    mean = float(design.value_F.mean())
    limits, n, over = _MAKERS[unit](design, confidence)
    if np.isnan(limits.low):
        return Estimate(mean, *NONE, n, over)
    # no narrower than its clips allow, and within what is possible
    least, (lowest, highest, _) = _least(mean, design, confidence), design.scale
    low, high = np.fmin(limits.low, least.low), np.fmax(limits.high, least.high)
    return Estimate(mean, max(float(low), lowest), min(float(high), highest), n, over)


def _design(runs: pd.DataFrame, scale: Scale) -> Design:
    fold_N = runs[FOLD].to_numpy(dtype=np.int64)
    known = "clips" in runs and runs["clips"].notna().all()
    clips_N = runs["clips"].to_numpy(dtype=np.float64) if known else None
    value_N, seed_N = runs["value"].to_numpy(dtype=np.float64), runs[SEED].to_numpy(dtype=np.int64)
    made = _of_runs(value_N, fold_N, seed_N, clips_N, scale)
    by_device = [*runs["by_device"]] if "by_device" in runs else []
    split = str(runs["split"].iloc[0]) if "split" in runs else ""
    place_N = np.unique(fold_N, return_inverse=True)[1]
    return made._replace(value_FD=_by_device(by_device, place_N), split=split)


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
    clips = None
    if clips_N is not None:
        clips_F = np.zeros(len(folds))
        np.maximum.at(clips_F, place_N, clips_N)
        clips = float(clips_F.sum())
    return Design(value_FS, None, clips, "", scale)


def _by_device(
    by_device: list[Any], fold_N: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64] | None:
    """Folds x devices, seeds averaged; None where devices are too few, or not the same in all."""
    if not (names := same_devices(by_device)):
        return None
    value_ND = np.array([[each[name] for name in names] for each in by_device])
    return np.stack([value_ND[fold_N == fold].mean(axis=0) for fold in range(fold_N.max() + 1)])


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
    if design.split in CLAIMS_DEVICES and design.value_FD is not None and folds != 2:
        return "devices"
    if folds < FEWEST <= len(design.repeats):
        return "repeats"
    if folds == seeds == 1 and design.scale.share and design.clips is not None:
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
    if unit == "devices" and design.value_FD is None:
        raise ValueError(
            "--unit devices: the scores of three devices or more, the same in every fold, are "
            "needed: test through more microphones, or ask for --unit folds"
        )
    if unit == "clips" and (runs > 1 or design.clips is None):
        raise ValueError(
            f"--unit clips: {runs} trainings differ by more than their clips: ask for "
            "--unit folds or --unit repeats"
            if runs > 1
            else "--unit clips: no predictions tell how many clips were scored"
        )


def _over_folds(design: Design, confidence: float) -> tuple[Limits, int, str]:
    folds, seeds = design.value_FS.shape[:2]
    limits = over_units(design.value_F, confidence)
    if folds == 1:
        return limits, seeds, "seeds on one split" if seeds > 1 else "run"
    return limits, folds, "folds"


def _over_repeats(design: Design, confidence: float) -> tuple[Limits, int, str]:
    folds, repeats = len(design.value_FS), design.repeats
    of_what = f"repeats of {folds} folds" if folds > 1 else "seeds on one split"
    return over_units(repeats, confidence), len(repeats), of_what


def _over_devices(design: Design, confidence: float) -> tuple[Limits, int, str]:
    assert design.value_FD is not None
    folds, devices = design.value_FD.shape
    # devices of more clips weigh more in the mean that is shown: the interval goes with it
    apart = float(design.value_F.mean() - design.value_FD.mean())
    limits = Limits(*(edge + apart for edge in crossed(design.value_FD, confidence)))
    return limits, devices, f"devices x {folds} folds" if folds > 1 else "devices on one split"


def _over_clips(design: Design, confidence: float) -> tuple[Limits, int, str]:
    assert design.clips is not None
    limits = _least(float(design.value_F.mean()), design, confidence)
    return limits, int(design.clips), "clips of one run"


_MAKERS = {
    "folds": _over_folds,
    "repeats": _over_repeats,
    "devices": _over_devices,
    "clips": _over_clips,
}


def _least(mean: float, design: Design, confidence: float) -> Limits:
    """The least that an interval of so many clips may be.

    A difference of two shares: at least |mean| of the clips were answered differently.
    """
    if design.clips is None or not design.scale.share:
        return NONE
    low, high = binomial(min(abs(mean), 1.0), design.clips, confidence)
    if design.scale.least == 0 or mean > 0:
        return Limits(low, high)
    return Limits(-high, high) if mean == 0 else Limits(-high, -low)


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


def over_units(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Limits:
    """Student's t interval of the mean of independent values (U,), or of each column of (U, E);
    none for fewer than three.
    """
    value_U = np.asarray(values, dtype=np.float64)
    if len(value_U) < FEWEST:
        return NONE
    half = _t(len(value_U) - 1, confidence) * value_U.std(axis=0, ddof=1) / np.sqrt(len(value_U))
    mean = value_U.mean(axis=0)
    return Limits(mean - half, mean + half)


def crossed(values: npt.ArrayLike, confidence: float = CONFIDENCE) -> Limits:
    """The interval of the mean of values (F, D), where another draw would have other rows and other
    columns.

    The variance is (MS_rows + MS_columns) / (F D), with Satterthwaite's degrees of freedom. The
    mean square of what is left over is not taken off, as an unbiased estimate would: with few rows
    or columns that is off as often as it is right; so is the pigeonhole bootstrap, for the same
    reason. Above 95 % those degrees of freedom are too many (over 3 rows x 12 columns the tail
    beyond 99.7 % has up to 6 times what it should): there each mean square has the t of its own, as
    in Graybill and Wang 1980. One row: t over columns. Two rows, or fewer than three columns: none.
    """
    value_FD = np.asarray(values, dtype=np.float64)
    folds, devices = value_FD.shape
    if folds == 1:
        return over_units(value_FD[0], confidence)
    if folds < FEWEST or devices < FEWEST:
        return NONE
    rows = devices * value_FD.mean(axis=1).var(ddof=1)
    columns = folds * value_FD.mean(axis=0).var(ddof=1)
    if rows + columns == 0:
        return Limits(float(value_FD.mean()), float(value_FD.mean()))
    freedom = (rows + columns) ** 2 / (rows**2 / (folds - 1) + columns**2 / (devices - 1))
    square = _t(freedom, confidence) ** 2 * (rows + columns)
    if confidence > CONFIDENCE:
        own = (_t(count - 1, confidence) ** 2 for count in (folds, devices))
        square = sum(each * part for each, part in zip(own, (rows, columns), strict=True))
    half = np.sqrt(square / value_FD.size)
    return Limits(float(value_FD.mean() - half), float(value_FD.mean() + half))


def binomial(share: float, clips: float, confidence: float = CONFIDENCE) -> Limits:
    """Clopper and Pearson's interval of a share of so many independent clips."""
    hits, tail = share * clips, (1 - confidence) / 2
    low = betaincinv(hits, clips - hits + 1, tail) if hits > 0 else 0.0
    high = betaincinv(hits + 1, clips - hits, 1 - tail) if hits < clips else 1.0
    return Limits(float(low), float(high))


def _t(freedom: float, confidence: float) -> float:
    return float(stdtrit(freedom, (1 + confidence) / 2))


def by_device(one: Any, other: Any) -> dict[str, float] | None:
    """One run's values by device less another's; None where they did not hear the same devices."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)) or one.keys() != other.keys():
        return None
    return {device: one[device] - other[device] for device in one}
