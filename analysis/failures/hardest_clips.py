"""Hardest clips: those that most trainings miss, with their paths below the dataset's root.

Conventions: a training misses the share of its answers to a clip that are wrong, over the held-out
devices that it heard the clip through. Paths are
those of the records: where a dataset's root is, is known to the machine that has it only.
Contents: MOST, hardest.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.data import Data
from analysis.failures.answers import Tally, tally
from analysis.failures.models import MODEL, Models, models

MOST = 100  # clips that are listed
CLIP = ["sound.dataset", "clip"]

COLUMNS = [
    *("dataset", "clip", "label", "device", "value", "low", "high", "n", "unit"),
    *("missed", "models", "taken_for", "taken", "hard", "clips"),
]


def hardest(data: Data, trials: Sequence[str] | None = None, most: int = MOST) -> pd.DataFrame:
    """The `most` clips that are missed most, over all models, hardest first; those that are never
    missed are left out.

    `trials` None: all complete ones. Columns: dataset, clip (path below the dataset's root), label,
    device (where there is one) or `12 devices`, value (share of the answers that miss it, mean over
    trainings), low, high (nan: trainings of one clip tell nothing of others), n, unit (trainings
    that were tested on it), missed (those that miss it on more than half of its devices), models,
    taken_for (the commonest wrong class), taken (its share of the wrong answers); hard and clips,
    of the whole dataset: how many clips most trainings miss, and how many were tested.
    Raises ValueError where no trial has predictions.
    """
    found = models(data)
    counts = tally(data, trials or found.trainings["trial"].tolist())
    heard = counts.heard.merge(found.trainings, on="trial")
    by_training = heard.groupby([*CLIP, "label", MODEL, "trial"], sort=False).agg(
        devices=("devices", "sum"),
        device=("device", "first"),
        heard=("heard", "sum"),
        missed=("missed", "sum"),
    )
    share = by_training["missed"] / by_training["heard"]
    by_training = by_training.assign(share=share, most=share > 0.5).reset_index()
    clips = by_training.groupby(CLIP, as_index=False).agg(
        label=("label", "first"),
        devices=("devices", "max"),
        device=("device", "first"),
        value=("share", "mean"),
        missed=("most", "sum"),
        n=("trial", "size"),
        models=(MODEL, "nunique"),
    )
    by_dataset = clips.assign(hard=2 * clips["missed"] > clips["n"]).groupby("sound.dataset")
    totals = by_dataset.agg(hard=("hard", "sum"), clips=("clip", "size")).reset_index()
    clips = clips.sort_values(["value", *CLIP], ascending=[False, True, True])
    # what is never missed is taken for nothing
    clips = clips.head(most).merge(_taken_for(counts, found), on=CLIP)
    clips = clips.merge(totals, on="sound.dataset")
    several = clips["devices"].astype(str) + " devices"
    clips = clips.assign(
        device=clips["device"].where(clips["devices"] == 1, several), unit="trainings",
        low=np.nan, high=np.nan,
    )  # fmt: skip
    return clips.rename(columns={"sound.dataset": "dataset"})[COLUMNS]


def _taken_for(counts: Tally, found: Models) -> pd.DataFrame:
    """For each clip the commonest wrong answer, and its share of the wrong ones."""
    wrong = counts.mistaken.merge(found.trainings[["trial", "sound.dataset"]], on="trial")
    given = wrong.groupby([*CLIP, "predicted"])["answers"].sum().reset_index()
    total = given.groupby(CLIP)["answers"].transform("sum")
    given = given.assign(taken=given["answers"] / total)
    given = given.sort_values("answers", ascending=False, kind="stable").drop_duplicates(CLIP)
    return given.rename(columns={"predicted": "taken_for"}).drop(columns="answers")
