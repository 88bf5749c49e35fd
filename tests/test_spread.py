"""analysis.spread: against plain loops."""

import math

import numpy as np
import pandas as pd
import pytest

from analysis.spread import spread
from scaling.seeds import stream


def scored(runs: list[np.ndarray]) -> pd.DataFrame:
    """One row per run, as table.scores makes it of the run's values by epoch."""
    rows = [
        {"value": v.mean(), "epochs": len(v), "spread_over_epochs": pd.Series(v).std()}
        for v in runs
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("lengths", [(10, 10, 10), (10, 3, 1)])
def test_spread_equals_plain_loops(lengths: tuple[int, ...]) -> None:
    runs = [stream(3, "run", k).normal(k, 0.5, n) for k, n in enumerate(lengths)]
    found = spread(scored(runs))
    everything = [v for values in runs for v in values]
    assert found.between_runs == pytest.approx(np.std([v.mean() for v in runs], ddof=1))
    inside = sum(sum((v - values.mean()) ** 2 for v in values) for values in runs)
    assert found.within_runs == pytest.approx(math.sqrt(inside / (len(everything) - 3)))
    assert found.pooled == pytest.approx(np.std(everything, ddof=1))
    assert found.runs == 3


def test_spread_of_too_few_is_nan() -> None:
    one_epoch_each = spread(scored([np.array([0.0]), np.array([2.0])]))
    assert math.isnan(one_epoch_each.within_runs)
    assert one_epoch_each.between_runs == pytest.approx(math.sqrt(2))
    one_run = spread(scored([np.array([0.0, 2.0])]))
    assert math.isnan(one_run.between_runs)
    assert one_run.within_runs == pytest.approx(math.sqrt(2))
    assert math.isnan(spread(scored([np.array([1.0])])).pooled)
