"""Accuracy by class, over all devices and on each: the share of a class's clips answered right.

Conventions: all of the last epoch, which predictions are of. Over all devices, an answer counts
once for each device that the clip was heard through.
Contents: by_class, by_device_and_class.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.data import Data
from analysis.failures.answers import tally
from analysis.failures.models import by_split, models


def by_class(data: Data, trials: Sequence[str] | None = None) -> pd.DataFrame:
    """The accuracy of each model on each class of each held-out split, over all devices.

    `trials` None: all complete ones. Columns: model (number), those of analysis.aggregate.means up
    to `split`, label, value, low, high, n, unit, trials (number). In order of splits, models and
    classes.
    Raises ValueError where no trial has predictions.
    """
    return _accuracies(data, trials, ["split", "label"])


def by_device_and_class(data: Data, trials: Sequence[str] | None = None) -> pd.DataFrame:
    """The same of each class on each device, with the column device; "" for clips of none."""
    return _accuracies(data, trials, ["split", "device", "label"])


def _accuracies(data: Data, trials: Sequence[str] | None, keys: list[str]) -> pd.DataFrame:
    found = models(data)
    counts = tally(data, trials or found.trainings["trial"].tolist())
    right = counts.answers["label"] == counts.answers["predicted"]
    answers = counts.answers.assign(right=counts.answers["answers"].where(right, 0))
    cells = answers.groupby(["trial", *keys])[["right", "answers"]].sum().reset_index()
    clips = counts.clips[counts.clips["everywhere"] == ("device" not in keys)]
    cells = cells.merge(clips[["trial", *keys, "clips"]], on=["trial", *keys])
    cells = cells.assign(value=cells["right"] / cells["answers"])
    return by_split(found.estimates(cells, keys))
