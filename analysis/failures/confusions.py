"""Confusions: which class is taken for which, as shares of the true class's clips.

Conventions: those of analysis.failures.classes. Contents: confusion.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.data import Data
from analysis.failures.answers import tally
from analysis.failures.models import MODEL, by_split, models


def confusion(data: Data, trials: Sequence[str] | None = None) -> pd.DataFrame:
    """The share of each class's answers that name each class, for each model and held-out split.

    `trials` None: all complete ones. Pairs of classes that no training of a model ever gave have no
    row. Columns: model (number), those of analysis.aggregate.means up to `split`, label, predicted,
    value, low, high, n, unit, trials (number), answers (of all trainings). In order of splits,
    models and classes.
    Raises ValueError where no trial has predictions.
    """
    found = models(data)
    counts = tally(data, trials or found.trainings["trial"].tolist())
    keys, pair = ["split", "label"], ["split", "label", "predicted"]
    given = counts.answers.groupby(["trial", *pair])["answers"].sum().reset_index()
    numbered = given.merge(found.trainings[["trial", MODEL]], on="trial")
    pairs = numbered.groupby([MODEL, *pair])["answers"].sum().rename("given").reset_index()
    total = numbered.groupby(["trial", MODEL, *keys])["answers"].sum().rename("total").reset_index()
    # a training that never gave a pair gave it to none of its clips
    cells = total.merge(pairs, on=[MODEL, *keys]).merge(given, on=["trial", *pair], how="left")
    cells = cells.assign(value=cells["answers"].fillna(0) / cells["total"])
    clips = counts.clips[counts.clips["everywhere"]]
    cells = cells.merge(clips[["trial", *keys, "clips"]], on=["trial", *keys])
    made = found.estimates(cells.drop(columns=MODEL), pair)
    made = made.merge(pairs.rename(columns={"given": "answers"}), on=[MODEL, *pair])
    return by_split(made)
