"""Accuracy by device: every recording device or microphone with its interval.

Source: metrics by device, averaged over last epochs as every accuracy is; the clips of a device are
told by predictions. Contents: by_device, obstacle.
"""

import pandas as pd

from analysis.aggregate import NOT_HELD_OUT
from analysis.data import Data
from analysis.failures.answers import clips_by_device
from analysis.failures.models import by_split, models

ALL = "all"  # the mean over a split's clips


def obstacle(data: Data) -> str | None:
    """Why there is nothing to tell apart: no split was scored on two devices."""
    scores = _scores(data)
    several = scores[scores["device"] != ""].groupby("split")["device"].nunique()
    return None if (several > 1).any() else "no split of these trials was scored on two devices"


def by_device(data: Data) -> pd.DataFrame:
    """The accuracy of each model on each device of each held-out split; on all clips, as device "",
    where a split has no named one.

    Columns: model (number), those of analysis.aggregate.means up to `split`, device, value, low,
    high, n, unit, trials (number). In order of splits, models and devices.
    """
    cells = _scores(data)[["trial", "split", "device", "value"]]
    cells = cells.merge(clips_by_device(data), on=["trial", "split", "device"], how="left")
    return by_split(models(data).estimates(cells, ["split", "device"]))


def _scores(data: Data) -> pd.DataFrame:
    scores = data.scores()
    held_out = scores[~scores["split"].isin(NOT_HELD_OUT)]
    named = ~held_out["device"].isin([ALL, ""])
    some = named.groupby([held_out["trial"], held_out["split"]]).transform("any")
    alone = held_out[~some & (held_out["device"] == ALL)].assign(device="")
    return pd.concat([held_out[named], alone], ignore_index=True)
