"""Calibration: whether a network is right as often as it is sure, before and after a temperature.

Conventions: analysis.failures.answers says what bins and temperatures are. Each training has its
own of both; a model's are the means over its trainings, bin by bin.
Contents: calibration.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.data import Data
from analysis.failures.answers import TEMPERED, tally
from analysis.failures.models import MODEL, by_split, models
from analysis.scales import MEAN

ERROR = {"value": "error", "low": "error_low", "high": "error_high"}


def calibration(data: Data, trials: Sequence[str] | None = None) -> pd.DataFrame:
    """A row for each bin of each model, held-out split and stage (as trained, with temperature).

    `trials` None: all complete ones. Columns: model, those of analysis.aggregate.means up to
    `split`, stage, bin (from the least confident), confidence (mean), value (accuracy), low, high,
    n, unit, trials (number), answers (in the bin, mean over trainings); and of the whole split, in
    each of its rows: error (expected calibration error), error_low, error_high, by_chance (what
    that error would be at least if the network were calibrated), accuracy, sure (mean confidence)
    and temperature (1 as trained; geometric mean). Trials without validation clips have no
    temperature, and no rows with one.
    Raises ValueError where no trial has predictions.
    """
    found = models(data)
    counts = tally(data, trials or found.trainings["trial"].tolist())
    keys = ["split", "stage"]
    bins = counts.bins.rename(columns={"accuracy": "value"})
    made = found.estimates(bins, [*keys, "bin"], MEAN)
    means = found.means(bins, [*keys, "bin"], ["confidence", "answers"])
    made = made.merge(means, on=[MODEL, *keys, "bin"])
    errors = found.estimates(counts.errors.rename(columns={"error": "value"}), keys, MEAN)
    errors = errors.rename(columns=ERROR)[[MODEL, *keys, *ERROR.values()]]
    warmth = counts.errors["trial"].map(counts.temperatures)
    logs = np.log(warmth.where(counts.errors["stage"] == TEMPERED, 1.0))
    whole = counts.errors.assign(temperature=logs).rename(columns={"confidence": "sure"})
    about = found.means(whole, keys, ["by_chance", "accuracy", "sure", "temperature"])
    about = about.assign(temperature=np.exp(about["temperature"]))
    made = made.merge(errors, on=[MODEL, *keys]).merge(about, on=[MODEL, *keys])
    return by_split(made)
