"""Models: which trainings are of one model, a condition of one size, and estimates over them.

Conventions: labels, conditions and costs are those of analysis.aggregate.means. A cell is a share
that one training has in one place (a device, a class); a model's is the estimate over its
trainings, by analysis.units. That devices are the unit (`--unit devices`) is asked of the mean over
devices: a single one has the unit that its design decides.
Contents: MODEL, Models, models, summaries.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.aggregate import COSTS, DIMENSIONS, in_order, on_splits, split_order, told
from analysis.conditions import SIZE, varied
from analysis.data import Data
from analysis.remembered import remembered
from analysis.scales import SHARE, Scale
from analysis.units import estimated

MODEL = "model"  # number of a model, in order of family and size
LOWEST = 0.1  # the quantile that stands beside the mean and the worst
TRAINING = ["trial", "split.fold", "seed"]


class Models(NamedTuple):
    """The models of a results folder, and their trainings."""

    about: pd.DataFrame  # a row per model, its number as index: labels, conditions, size, costs
    trainings: pd.DataFrame  # trial, split.fold, seed, sound.dataset, MODEL
    unit: str  # that estimates are asked to be over

    def of(self, numbers: Iterable[int]) -> list[str]:
        """The ids of the trainings of these models."""
        chosen = self.trainings[MODEL].isin([*numbers])
        return self.trainings.loc[chosen, "trial"].tolist()

    def few(self, most: int) -> list[int]:
        """All models where there are `most` at most, else the largest of each family, the first
        `most` of them: what a figure has room for.
        """
        if len(self.about) <= most:
            return self.about.index.tolist()
        largest = self.about.groupby("family", sort=False)["kept_parameters"].idxmax()
        return sorted(largest.tolist())[:most]

    def estimates(
        self, cells: pd.DataFrame, keys: Sequence[str], scale: Scale = SHARE
    ) -> pd.DataFrame:
        """The mean of each model's trainings in each place, with its interval.

        `cells` has one row per training and place: trial, `keys`, value, and where the binomial
        bound is wanted clips (different ones scored there). Columns: MODEL, those of `about`,
        `keys`, value, low, high, n, unit, trials (number of trainings).
        """
        unit = "" if self.unit == "devices" else self.unit
        placed = cells.merge(self.trainings[[*TRAINING, MODEL]], on="trial")
        placed = placed.sort_values([MODEL, *keys], kind="stable")
        number = placed.groupby([MODEL, *keys], sort=False, observed=True).ngroup().to_numpy()
        starts: list[int] = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
        values, folds, seeds = (placed[n].to_numpy() for n in ("value", *TRAINING[1:]))
        clips = placed["clips"].to_numpy(float) if "clips" in placed else None
        made = [
            estimated(values[a:b], folds[a:b], seeds[a:b], _known(clips, a, b), scale, unit)
            for a, b in zip(starts, [*starts[1:], len(placed)], strict=True)
        ]
        rows = placed.iloc[starts][[MODEL, *keys]].reset_index(drop=True)
        found = pd.DataFrame(made, columns=["value", "low", "high", "n", "unit"])
        found = found.assign(trials=np.diff([*starts, len(placed)]))
        return self.about.loc[rows[MODEL]].reset_index().join([rows[[*keys]], found])

    def means(self, cells: pd.DataFrame, keys: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
        """The means of these columns by MODEL and `keys`, as `estimates` has them: of a fold's
        trainings, then of folds.
        """
        placed = cells.merge(self.trainings[[*TRAINING, MODEL]], on="trial")
        by_fold = placed.groupby([MODEL, *keys, TRAINING[1]])[[*names]].mean()
        return by_fold.groupby([MODEL, *keys]).mean().reset_index()


@remembered
def models(data: Data) -> Models:
    """The models of the complete trials that were scored on held-out clips.

    Raises ValueError where there are none.
    """
    scores = on_splits(data.scores())
    conditions = varied(scores)
    trials = scores.drop_duplicates("trial").rename(
        columns=dict(zip(SIZE, DIMENSIONS, strict=True))
    )
    keys = [*conditions, *DIMENSIONS, *COSTS]
    about = told(trials[keys].drop_duplicates().reset_index(drop=True))
    place = about["family"].map(in_order(about["family"]).index)
    ordered = about.assign(place=place).sort_values(["place", "kept_parameters", *DIMENSIONS])
    about = ordered.drop(columns="place").reset_index(drop=True).rename_axis(MODEL)
    numbered = about[keys].reset_index()
    wanted = dict.fromkeys([*TRAINING, "sound.dataset", *keys])
    trainings = trials[[*wanted]].merge(numbered, on=keys, how="left", validate="many_to_one")
    return Models(about, trainings[[*TRAINING, "sound.dataset", MODEL]], data.unit)


def summaries(points: pd.DataFrame, place: str) -> pd.DataFrame:
    """For each model and split, the mean over its places (devices, classes) and the worst of them.

    `points` is what `estimates` gives, with `split` and `place`. Columns: those that are no
    estimate; places (how many), mean, tenth (10th percentile over places, interpolated), worst and
    best (their names), highest; value, low, high, n, unit of the worst.
    """
    estimate = ["value", "low", "high", "n", "unit"]
    about = [str(n) for n in points if n not in (*estimate, place, "trials")]
    groups = points.groupby([MODEL, "split"], sort=False)
    rows = []
    for _, here in groups:
        value = here["value"].to_numpy()
        worst, best = (here.iloc[int(at)] for at in (value.argmin(), value.argmax()))
        rows.append(
            {
                **worst[about].to_dict(),
                "places": len(here),
                "mean": here["value"].mean(),
                "tenth": here["value"].quantile(LOWEST),
                "worst": worst[place],
                "best": best[place],
                "highest": best["value"],
                **worst[estimate].to_dict(),
            }
        )
    return pd.DataFrame(rows)


def by_split(points: pd.DataFrame, *then: str) -> pd.DataFrame:
    """The points in order of their splits, then of these columns; models keep their order."""
    order = points["split"].map(split_order)
    ordered = points.assign(order=order).sort_values(["order", *then], kind="stable")
    return ordered.drop(columns="order").reset_index(drop=True)


def _known(clips: "np.ndarray | None", start: int, end: int) -> "np.ndarray | None":
    """The scored clips of these runs, None where they are not all known."""
    if clips is None or np.isnan(clips[start:end]).any():
        return None
    return clips[start:end]
