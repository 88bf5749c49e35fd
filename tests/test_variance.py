"""analysis.variance: components are what was put in, and power says how many runs are needed."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from test_units import heard, runs

from analysis import remedies, variance
from analysis.scales import DIFFERENCE
from analysis.units import estimate
from analysis.variance import (
    Components,
    DesignSize,
    Error,
    components,
    expected,
    measured,
    needed,
    power,
)
from scaling.seeds import stream

LAYOUT = DesignSize(5, 3, 4)


def drawn(purpose: str, layout: DesignSize = LAYOUT, **deviations: float) -> pd.DataFrame:
    """One row per training of a crossed study with these standard deviations."""
    draw, (folds, seeds, devices) = stream(1, purpose), layout
    kept = {"fold": (0,), "device": (2,), "both": (0, 2), "seed": (0, 1), "rest": (0, 1, 2)}
    values = np.zeros((folds, seeds, devices))
    for name, axes in kept.items():
        shape = [n if axis in axes else 1 for axis, n in enumerate(values.shape)]
        values = values + deviations.get(name, 0.0) * draw.standard_normal(shape)
    return runs(values[..., 0]) if devices == 1 else heard(values)


@pytest.mark.parametrize(
    ("effect", "deviation", "needed"),
    [(5.1, 5.6, 12), (5.1, 4.3, 8), (5, 6.0, 14), (5, 5.2, 11), (3, 6.0, 34), (3, 5.2, 26),
     (4.6, 2.5, 5), (1.6, 2.5, 22), (0.61, 1.25, 35), (10, 3, 3), (3, 5, 24)],
)  # fmt: skip
def test_runs_needed_are_those_of_the_power_table(effect: float, deviation: float, needed: int):
    assert variance.runs_needed(effect, deviation) == needed


def test_power_is_how_often_a_t_test_finds_the_effect():
    draw = stream(2, "power")
    values = 0.05 + 0.04 * draw.standard_normal((4_000, 6))
    found = (scipy.stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05).mean()
    assert found == pytest.approx(float(power(0.05, Error(0.04 / 6**0.5, 5))), abs=0.02)


def test_what_is_detectable_is_found_four_times_in_five():
    error = Error(0.01, 4)
    assert power(variance.detectable(error), error) == pytest.approx(0.8)
    # more than the normal approximation says: (1.96 + 0.84) standard errors
    assert variance.detectable(error) > 1.3 * 2.8 * 0.01
    assert math.isnan(variance.detectable(Error(math.nan, 0)))


def test_components_are_those_that_were_put_in():
    put = {"fold": 0.04, "device": 0.05, "both": 0.02, "seed": 0.03, "rest": 0.01}
    found = [components(drawn(f"draw {k}", **put)) for k in range(200)]
    for name, deviation in put.items():
        mean = np.mean([getattr(each, name) for each in found])
        assert mean == pytest.approx(deviation**2, rel=0.2), name


def test_components_of_folds_and_seeds_by_hand():
    values = np.array([[1.0, 3.0], [4.0, 6.0], [7.0, 9.0]])  # fold means 2, 5, 8; seeds +-1
    found = components(runs(values))
    assert found.seed == pytest.approx(2.0)
    assert found.fold == pytest.approx(9.0 - 2.0 / 2)
    assert found.repeat == pytest.approx(2.0)
    assert math.isnan(found.device) or found.layout.devices == 1


@pytest.mark.parametrize(
    ("layout", "unit"),
    [
        (DesignSize(5, 3, 4), "devices"),
        (DesignSize(5, 3, 1), "folds"),
        (DesignSize(5, 1, 6), "devices"),
        (DesignSize(1, 4, 5), "devices"),
        (DesignSize(4, 3, 1), "repeats"),
    ],
)
def test_the_error_expected_of_the_same_design_is_the_one_measured(layout: DesignSize, unit: str):
    """Components, put together again, give back the interval that they were taken from."""
    put = {"fold": 0.05, "device": 0.05, "both": 0.03, "seed": 0.04, "rest": 0.02}
    frame = drawn(f"again {unit}", layout, **put)
    found = components(frame)
    assert not found.cut
    asked = estimate(frame.assign(unit=unit), DIFFERENCE)
    own = expected(found, unit, found.layout)
    was = measured(frame, unit, asked._replace(low=0.0, high=0.0), 0.95)
    assert float(own.size) == pytest.approx(float(was.size))
    assert float(own.freedom) == pytest.approx(float(was.freedom))
    if layout.folds > 1:
        edge = scipy.stats.t.ppf(0.975, float(own.freedom))
        assert (asked.high - asked.low) / 2 == pytest.approx(edge * float(own.size))


def test_folds_that_lack_seeds_count_by_their_harmonic_mean():
    frame = drawn("holes", DesignSize(3, 2, 1), fold=0.1, seed=0.1)
    lacking = frame[(frame["split.fold"] != 2) | (frame["seed"] == 0)]
    found = components(lacking)
    assert found.layout.seeds == pytest.approx(3 / (1 / 2 + 1 + 1 / 2))
    assert found.seed > 0


def parts(layout: DesignSize, **deviations: float) -> Components:
    names = ("fold", "device", "both", "seed", "rest", "repeat")
    return Components(*(deviations.get(name, 0.0) ** 2 for name in names), layout, ())


def test_no_number_of_seeds_decides_where_folds_differ():
    found = needed(parts(DesignSize(3, 3, 1), fold=0.04, seed=0.02), "folds", 0.03)
    assert found["seeds"] == math.inf
    total = 3 + found["folds"]
    assert total == variance.runs_needed(0.03, math.sqrt(0.04**2 + 0.02**2 / 3))


def test_seeds_decide_where_seeds_differ():
    found = needed(parts(DesignSize(5, 1, 1), fold=0.001, seed=0.05), "folds", 0.03)
    assert 1 <= found["seeds"] < 20


def test_only_devices_decide_where_devices_differ():
    found = needed(parts(DesignSize(5, 3, 4), device=0.05, fold=0.005), "devices", 0.03)
    assert found["folds"] == found["seeds"] == math.inf
    assert 10 < found["devices"] < 60


def test_where_no_unit_alone_decides_more_of_each_may():
    found = parts(DesignSize(3, 3, 4), fold=0.04, seed=0.01, device=0.04)
    assert set(needed(found, "devices", 0.04).values()) == {math.inf}
    count, kinds = variance.of_each(found, "devices", 0.04)
    assert kinds == ("folds", "seeds", "devices")
    grown = DesignSize(3 + count, 3 + count, 4 + count)
    assert power(0.04, expected(found, "devices", grown)) >= 0.8
    row = {"published": math.nan, "effect": 0.04, "at_least": 0.0, "metric": "accuracy"}
    row["within"] = math.nan
    said = remedies.needed(row, found, "devices", 0.05)["remedy"]
    assert said == (
        f"{count:g} more folds, seeds and devices each would decide, if the effect is the observed "
        "4.0 points; none alone would"
    )


def test_one_seed_does_not_tell_what_more_would_do():
    found = needed(components(drawn("one", DesignSize(5, 1, 1), fold=0.05)), "folds", 0.03)
    assert math.isnan(found["seeds"])
    assert found["folds"] > 0


def test_what_came_out_negative_is_cut_and_named():
    values = np.array([[0.1, -0.1], [-0.1, 0.1], [0.1, -0.1]])  # folds agree better than by chance
    found = components(runs(values))
    assert found.cut == ("fold",)
    assert found.fold == 0.0


def test_the_clips_part_is_binomial():
    frame: dict[str, Any] = {"p": pd.Series([0.5, 0.5]), "n": pd.Series([100.0, 100.0])}
    assert variance.of_clips(frame["p"], frame["n"]) == pytest.approx(0.25 / 100)
