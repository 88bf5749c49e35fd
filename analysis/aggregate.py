"""From scores to points: mean, interval and spread of the runs of each size and condition.

Conventions: a run is a trial (a seed of a fold); accuracies are fractions, losses nats. Runs are
grouped by the columns of analysis.conditions; the labels `family` (the condition in words),
`unpruned` (the same but for pruning) and `pruning` are made from these columns for readers.
Contents: SPLITS, DIMENSIONS, COSTS, Measure and MEASURES, on_splits, judged, means, told,
split_order, in_order, other_dimensions, varying, models, as_many.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.conditions import PRUNING, SIZE, labels, prunings
from analysis.phrasing import phrases
from analysis.scales import SCALES, scale_of
from analysis.spread import spread
from analysis.units import estimate

SPLITS = ("seen", "unseen", "test", "validation", "train_clean", "train")  # from left to right
NOT_HELD_OUT = ("validation", "train_clean", "train")  # drawn only when asked for
DIMENSIONS = tuple(name.removeprefix("network.") for name in SIZE)
AS_MANY = 0.01  # of the weights kept: a target in numbers need not be a width's exactly
COSTS = ("parameters", "kept_parameters", "kept_weights", "macs", "receptive_field")


class Measure(NamedTuple):
    """How the values of a metric are said."""

    metric: str  # as recorded on evaluated splits
    label: str  # of an axis
    heading: str  # of a printed column
    unit: str  # of spreads and differences
    factor: float  # from what is recorded to what is said
    digits: int  # behind the point, printed
    larger_is_better: bool = False

    def text(self, value: float, sign: str = "") -> str:
        """The value as printed, without its unit."""
        # 78.75 may be 78.7499999999999 by the order of a sum: equal means are to be said alike
        return f"{round(self.factor * value, self.digits + 5):{sign}z.{self.digits}f}"


ACCURACY = Measure("accuracy", "Accuracy (%)", "accuracy %", "points", 100, 1, True)
# evaluation records it as `loss`; the `loss` of split train is all that training minimizes
CROSS_ENTROPY = Measure("loss", "Cross-entropy alone (nats)", "cross-entropy, nats", "nats", 1, 3)
DISAGREEMENT = Measure(
    "disagreement",
    "Jensen-Shannon divergence\n(nats, at most ln 3 = 1.10)",
    "divergence, nats",
    "nats",
    1,
    4,
)
MEASURES = {
    "cross_entropy": CROSS_ENTROPY,
    "accuracy": ACCURACY,
    "disagreement": DISAGREEMENT,
}


def on_splits(scores: pd.DataFrame, splits: Sequence[str] | None = None) -> pd.DataFrame:
    """The rows of `scores` (table.scores') that are means over all clips of these splits.

    `splits` None: all that are held out, validation excepted.
    Raises ValueError for a split that no complete trial scored.
    """
    recorded = scores["split"].unique()
    wanted = [s for s in recorded if s not in NOT_HELD_OUT] if splits is None else list(splits)
    absent = [f"the split {s}" for s in wanted if s not in recorded]
    if absent or not wanted:
        raise ValueError(
            f"no accuracy of {', '.join(absent) or 'held-out clips'} to draw: "
            f"the complete trials scored {', '.join(recorded) or 'nothing'}"
        )
    found = scores[(scores["device"] == "all") & scores["split"].isin(wanted)]
    if found.empty:
        raise ValueError(
            f"no accuracy over all devices of {', '.join(wanted)} to draw: the metrics are of "
            "single devices only; sweep again"
        )
    return found


def judged(splits: Iterable[str]) -> list[str]:
    """The splits that tell how training goes: validation where it is one of these, else all that
    are held out; in order of SPLITS.
    """
    known = set(splits)
    chosen = known & {"validation"} or known - set(NOT_HELD_OUT)
    return sorted(chosen, key=split_order)


def means(
    scores: pd.DataFrame,
    conditions: Sequence[str],
    also: Sequence[str] = (),
    but: Sequence[str] = (),
    within: Sequence[str] = (),
) -> pd.DataFrame:
    """Mean, 95 % interval and spread over the runs of each size and condition on each split.

    `scores` is what `on_splits` gives, `conditions` what conditions.varied makes of it, with the
    same `but` and `within`; `also` names columns of it that tell points apart, too.
    Columns: family, unpruned, pruning, `conditions`, width, depth, pointwise, COSTS, `also`, split;
    mean, low, high (fractions; low and high nan where there is no interval), n, unit (what n
    counts: see analysis.units); between_runs, within_runs,
    pooled (standard deviations of the runs' means, over the epochs of a run, and of all epochs of
    all runs at once, which is the papers'; nan for one run or epoch), epochs
    (averaged in each run, the fewest), trials (ids of the runs), chance (accuracy of guessing, nan
    where it is not known); where a split was scored on several devices, worst_device and worst (the
    one with the worst mean; "" and nan on splits of one device). Splits come in order of SPLITS.
    """
    named = scores.rename(columns=dict(zip(SIZE, DIMENSIONS, strict=True)))
    keys = [*conditions, *DIMENSIONS, *COSTS, *also, "split"]
    rows = []
    for key, runs in named.groupby(keys, dropna=False):
        scatter = spread(runs)
        about = {
            "between_runs": scatter.between_runs,
            "within_runs": scatter.within_runs,
            "pooled": scatter.pooled,
            "epochs": int(runs["epochs"].min()),
            "trials": " ".join(runs["trial"]),
            "chance": float(runs["chance"].max()),
            **dict(zip(("worst_device", "worst"), _worst_device(runs), strict=True)),
        }
        rows.append(dict(zip(keys, key, strict=True)) | estimate(runs)._asdict() | about)
    frame = told(pd.DataFrame(rows), but, within)
    if (frame["worst_device"] == "").all():
        frame = frame.drop(columns=["worst_device", "worst"])
    return (
        frame.assign(
            order=frame["split"].map(split_order),
            place=frame["family"].map(in_order(frame["family"]).index),
        )
        .sort_values(["order", "place", "kept_parameters", *DIMENSIONS])
        .drop(columns=["order", "place"])
        .reset_index(drop=True)
    )


def _worst_device(runs: pd.DataFrame) -> tuple[str, float]:
    """The device that these runs do worst on, and its mean: of seeds within a fold, then of folds;
    "" and nan where the split was not scored on several devices.
    """
    heard = [each if isinstance(each, Mapping) else {} for each in runs.get("by_device", [])]
    devices = pd.DataFrame(heard, index=runs["split.fold"][: len(heard)])
    if devices.shape[1] < 2:
        return "", float("nan")
    means = devices.groupby(level=0).mean().mean()
    place = int(means.argmin() if scale_of(runs) in SCALES.values() else means.argmax())
    return str(means.index[place]), float(means.iloc[place])


def told(points: pd.DataFrame, but: Sequence[str] = (), within: Sequence[str] = ()) -> pd.DataFrame:
    """The points with the labels that readers know them by: family, unpruned, pruning."""
    made = {
        "family": labels(points, but, within),
        "unpruned": labels(points, (*but, *PRUNING), within),
        "pruning": prunings(points),
    }
    rest = [name for name in points if name not in made]
    return points.assign(**made)[[*made, *rest]]


def split_order(split: str) -> tuple[int, str]:
    """What splits are sorted by: their place in SPLITS; others behind, by name."""
    return SPLITS.index(split) if split in SPLITS else len(SPLITS), split


def in_order(texts: Iterable[str]) -> list[str]:
    """Each text once, sorted, where numbers within are compared as such: 9 % is before 10 %,
    and 1,000 after both.
    """

    def key(text: str) -> list[str | float]:
        parts: list[str | float] = [*re.split(r"(\d+(?:,\d{3})*(?:\.\d+)?)", text)]
        return [
            float(str(part).replace(",", "")) if place % 2 else part
            for place, part in enumerate(parts)
        ]

    return sorted(set(texts), key=key)


def other_dimensions(points: pd.DataFrame, dimension: str) -> "pd.Series[str]":
    """What tells sizes apart besides this dimension, as text; empty where only that varies."""
    rest = [name for name in DIMENSIONS if name != dimension and points[name].nunique() > 1]
    return phrases([points[name].map(f"{name} {{}}".format) for name in rest], points.index)


def varying(points: pd.DataFrame, columns: Sequence[str]) -> "pd.Series[str]":
    """What tells points apart in these columns of texts; columns that do not vary are left out."""
    parts = [points[name] for name in columns if points[name].nunique() > 1]
    return phrases(parts, points.index)


def models(points: pd.DataFrame) -> "pd.Series[str]":
    """Each row's model in words: its condition and size, as far as rows differ in these; where none
    do, its condition. Sizes are columns of DIMENSIONS, or under their settings' names.
    """
    sizes = points.rename(columns=dict(zip(SIZE, DIMENSIONS, strict=True)))
    families = points["family"] if "family" in points else labels(points)
    parts = {name: sizes[name].map(f"{name} {{}}".format) for name in DIMENSIONS}
    said = varying(pd.DataFrame({"family": families, **parts}), ["family", *DIMENSIONS])
    return said.mask(said == "", families)


def as_many(kept: "pd.Series[int]", dense: "pd.Series[int]") -> "pd.Series[bool]":
    """Whether a dense network has as many weights as pruning keeps in another, to AS_MANY."""
    return (kept / dense - 1).abs() <= AS_MANY
