"""How values scatter over runs and epochs.

Conventions: a value is one run's (a trial's) score; standard deviations divide by n - 1, and are
nan where there are fewer than two values. Intervals are those of analysis.units.
Contents: Spread, spread.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd


class Spread(NamedTuple):
    """Standard deviations of one condition's values over its runs and their epochs."""

    between_runs: float  # of the runs' means: what another seed or fold would change
    within_runs: float  # over epochs around each run's own mean, pooled over runs
    pooled: float  # over all runs x epochs at once: the literal reading of the papers' "std"
    runs: int


def spread(scores: pd.DataFrame) -> Spread:
    """How values scatter between runs and over epochs.

    `scores` has one row per run of one condition (a split, a device), as from table.scores:
    `value`, the mean over its `epochs`, and `spread_over_epochs`, their standard deviation.
    """
    mean_N, epochs_N = scores["value"].to_numpy(), scores["epochs"].to_numpy()
    squares_N = scores["spread_over_epochs"].fillna(0.0).to_numpy() ** 2 * (epochs_N - 1)
    within, total = int((epochs_N - 1).sum()), int(epochs_N.sum())
    grand = float((mean_N * epochs_N).sum()) / total
    every = float((squares_N + epochs_N * (mean_N - grand) ** 2).sum())
    return Spread(
        between_runs=float(mean_N.std(ddof=1)) if len(mean_N) > 1 else float("nan"),
        within_runs=float(np.sqrt(squares_N.sum() / within)) if within else float("nan"),
        pooled=float(np.sqrt(every / (total - 1))) if total > 1 else float("nan"),
        runs=len(mean_N),
    )
