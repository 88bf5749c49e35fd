"""Fields: how large the effective receptive fields (ERF) of trials are, and which are of no use.

A network that collapsed, as some do from which too much is cut, has a field that says nothing of
those that work. It counts as collapsed where its accuracy on the clips of its map is no better than
guessing: below what guesses exceed in one case in twenty (binomial).
Contents: COLLAPSED, sizes, collapsed.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binom

from analysis.squares import SQUARES, squares

KIND = "feature"  # what is differentiated, as the paper of these fields does
GUESSED = 0.05
COLLAPSED = "collapsed (accuracy no better than guessing)"


def sizes(scores: pd.DataFrame, maps: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of table.scores' accuracies over all devices, `accuracy`, with the size of the
    trial's field on these clips as `value`: one of scaling.results.claims.FIELDS, nan without map.
    """
    rows = scores[scores["device"] == "all"]
    here = maps[maps["kind"] == KIND]
    if metric in SQUARES:
        told = [_square(row, metric) for row in here.to_dict("records")]
    else:
        told = here[metric].tolist()
    known = dict(zip(zip(here["trial"], here["split"], strict=True), told, strict=True))
    keys = zip(rows["trial"], rows["split"], strict=True)
    value = [float(known.get(key, np.nan)) for key in keys]
    found = rows.assign(accuracy=rows["value"], value=value, metric=metric, by_device=None)
    return found.reset_index(drop=True)


def collapsed(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which of the rows of `sizes` are of networks that do no better than guess; none of which the
    chance of a right guess, or the number of clips, is not known.
    """
    clips, chance = (rows[name].to_numpy(np.float64) for name in ("clips", "chance"))
    most = binom.isf(GUESSED, clips, chance)  # nan where either is not known
    with np.errstate(invalid="ignore"):
        worse: npt.NDArray[np.bool_] = rows["accuracy"].to_numpy(np.float64) * clips <= most
    return worse


def _square(row: Mapping[Any, Any], metric: str) -> float:
    size = int(row["rows"]), int(row["columns"])
    values_FN = np.asarray(row["values"], np.float64).reshape(size)
    return squares(values_FN, (row["row"], row["column"]))[metric]
