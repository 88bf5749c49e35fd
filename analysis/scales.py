"""Where values may lie: shares of clips, differences of them, means of shares, losses.

Conventions: shares stay within 0 and 1, differences of shares within -1 and 1, differences of two
of these within -2 and 2. Contents: Scale and its values, SCALES, scale_of.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Scale(NamedTuple):
    """Where values may lie, and how little an interval of so many clips may say."""

    least: float
    most: float
    share: bool  # of clips, or a difference of two such shares


SHARE = Scale(0.0, 1.0, True)
DIFFERENCE = Scale(-1.0, 1.0, True)
OF_DIFFERENCES = Scale(-2.0, 2.0, True)  # a difference of two differences
MEANS_APART = Scale(-1.0, 1.0, False)  # a difference of two macro F1
MEAN = Scale(0.0, 1.0, False)  # macro F1: a mean of such shares
LOSS = Scale(0.0, np.inf, False)
FREE = Scale(-np.inf, np.inf, False)  # a difference of losses
SCALES = {"accuracy": SHARE, "macro_f1": MEAN}  # by metric; all others are losses


def scale_of(runs: pd.DataFrame) -> Scale:
    """The scale of what was measured, by the column `metric`."""
    return SCALES.get(str(runs["metric"].iloc[0]), LOSS) if "metric" in runs else SHARE
