"""From scores to points: mean, interval and spread of the runs of one size and family on a split.

Conventions: a run is a trial (a seed of a fold); accuracies are fractions.
Contents: SPLITS, DIALS, COSTS, on_splits, means, split_order, sizes_beside, as_many.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.families import SIZE
from analysis.intervals import mean_interval, spread

SPLITS = ("seen", "unseen", "test", "validation", "train_clean", "train")  # from left to right
NOT_HELD_OUT = ("validation", "train_clean", "train")  # drawn only when asked for
DIALS = tuple(name.removeprefix("network.") for name in SIZE)
AS_MANY = 0.01  # of the weights kept: a target in numbers need not be a width's exactly
COSTS = ("parameters", "kept_parameters", "kept_weights", "macs", "receptive_field")


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
    return scores[(scores["device"] == "all") & scores["split"].isin(wanted)]


def means(scores: pd.DataFrame, also: Sequence[str] = ()) -> pd.DataFrame:
    """Mean, 95 % t interval and spread over the runs of each size of each family on each split.

    `scores` is what `on_splits` gives; `also` names columns of it that tell points apart, too.
    Columns: family, unpruned, pruning, width, depth, pointwise, COSTS, `also`, split; mean, low,
    high (fractions; low and high nan where n is 1), n; between_runs, within_runs (standard
    deviations of the runs' means, and over the epochs of a run; nan for one run or epoch), epochs
    (averaged in each run, the fewest), trials (ids of the runs). Splits come in order of SPLITS.
    """
    named = scores.rename(columns=dict(zip(SIZE, DIALS, strict=True)))
    keys = ["family", "unpruned", "pruning", *DIALS, *COSTS, *also, "split"]
    rows = []
    for key, runs in named.groupby(keys, dropna=False):
        scatter = spread(runs)
        about = {
            "between_runs": scatter.between_runs,
            "within_runs": scatter.within_runs,
            "epochs": int(runs["epochs"].min()),
            "trials": " ".join(runs["trial"]),
        }
        estimate = mean_interval(runs["value"])._asdict()
        rows.append(dict(zip(keys, key, strict=True)) | estimate | about)
    frame = pd.DataFrame(rows)
    return (
        frame.assign(order=frame["split"].map(split_order))
        .sort_values(["order", "family", "kept_parameters", *DIALS])
        .drop(columns="order")
        .reset_index(drop=True)
    )


def split_order(split: str) -> tuple[int, str]:
    """What splits are sorted by: their place in SPLITS; others behind, by name."""
    return SPLITS.index(split) if split in SPLITS else len(SPLITS), split


def sizes_beside(points: pd.DataFrame, dial: str) -> "pd.Series[str]":
    """What tells sizes apart besides the dial, as text; empty where only the dial is varied."""
    rest = [name for name in DIALS if name != dial and points[name].nunique() > 1]
    texts = [", ".join(f"{name} {row[name]}" for name in rest) for _, row in points.iterrows()]
    return pd.Series(texts, index=points.index, dtype="str")


def as_many(kept: "pd.Series[int]", dense: "pd.Series[int]") -> "pd.Series[bool]":
    """Whether a dense network has as many weights as pruning keeps in another, to AS_MANY."""
    return (kept / dense - 1).abs() <= AS_MANY
