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
Conventions: two units give no interval. Contents: Estimate, asked, over, estimate, estimated,
estimates, p_value.
"""

# F folds, S seeds, R rows (folds, or the seeds of a single one), D devices, N runs, E estimates

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.designs import Design, designed, heard, of_runs
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
from analysis.scales import SHARE, Scale, scale_of
from analysis.unit_names import UNITS

SMALLEST = 1e-12  # p that is told from 0
PRECISION = 1e-6  # of the logarithm of p
CLAIMS_DEVICES = ("unseen", "unseen - seen")  # splits whose claims are about devices
ON_ONE_SPLIT, CLIPS = "devices on one split", "clips of one run"


class Estimate(NamedTuple):
    """A mean, the interval that holds the true one 95 % of the time, and what it is over."""

    mean: float
    low: float  # nan where there are too few units for an interval
    high: float
    n: int  # units
    unit: str  # what n counts, as in `over 5 folds`


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
    design = of_runs(value_N, np.asarray(folds), np.asarray(seeds), clips_N, scale)
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
    design = of_runs(whole_N, fold_N, seed_N, clips_N, scale)._replace(split=split)
    if value_N.ndim == 3:
        design = heard(design, value_N, fold_N, seed_N)
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
    design = designed(runs, scale or scale_of(runs))
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
