"""analysis.sequential: looks at growing results keep their promise, on few units and on units that
do not grow; by simulation, where the effect is zero and any decision is false.
"""

import numpy as np
import pytest
import scipy.stats

from analysis.intervals import crossed
from analysis.sequential import ALPHA, chance, levels, schedule
from scaling.seeds import stream

# D draws, C claims, U units, N repeats, L looks

DRAWS = 12_000  # one standard error of a rate of 5 % is .2 points
# two-sided .05 at five equal looks, of O'Brien and Fleming's kind by Lan and DeMets: as published
BOUNDARIES_FOR_Z = (4.877, 3.357, 2.680, 2.290, 2.031)


def units(kept: float, shape: tuple[int, ...], *more: int) -> np.ndarray:
    """The mean of each unit after 1, 2, ... repeats (D, ..., N): what differs between units for
    good, and noise of deviation 1 a repeat, which averages out.
    """
    draw = stream(5, "looks", *shape, *more, str(kept))
    *of_unit, repeats = shape
    noise = draw.standard_normal(shape).cumsum(axis=-1) / np.arange(1, repeats + 1)
    return noise + kept * draw.standard_normal((*of_unit, 1))


def p_over_units(value_DUN: np.ndarray) -> np.ndarray:
    """Student's t over a fixed number of units, after each repeat (D, N)."""
    count = value_DUN.shape[1]
    error = value_DUN.std(axis=1, ddof=1) / np.sqrt(count)
    return 2 * scipy.stats.t.sf(abs(value_DUN.mean(axis=1)) / error, count - 1)


def p_over_repeats(value_DN: np.ndarray) -> np.ndarray:
    """Student's t over the repeats so far (D, N): their number grows."""
    count_N = np.arange(1, value_DN.shape[1] + 1)
    mean, square = (power.cumsum(axis=1) / count_N for power in (value_DN, value_DN**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt((square - mean**2) / (count_N - 1))
        return 2 * scipy.stats.t.sf(abs(mean) / error, count_N - 1)


def crossed_excludes_zero(value_DFMN: np.ndarray, confidence: float) -> np.ndarray:
    """Whether the interval over folds crossed with microphones does (D, ...)."""
    low, high = crossed(np.moveaxis(value_DFMN, 0, 2), confidence)
    return (low > 0) | (high < 0)


def false_decisions(p_DNC: np.ndarray, counts: tuple[int, ...]) -> float:
    """The share of courses that decide any claim: Holm at each look, over those undecided."""
    decided = np.zeros((len(p_DNC), p_DNC.shape[2]), dtype=bool)
    for count, level in zip(counts, levels(counts), strict=True):
        for _ in range(p_DNC.shape[2]):  # a step of Holm's: the smallest p among what is left
            p_DC = np.where(decided, np.inf, p_DNC[:, count - 1])
            left = np.maximum((~decided).sum(axis=1), 1)
            smallest = p_DC.argmin(axis=1)
            found = p_DC.min(axis=1) <= level / left
            decided[np.flatnonzero(found), smallest[found]] = True
    return float(decided.any(axis=1).mean())


def test_looks_are_few_and_end_at_the_budget():
    assert schedule(3, 12) == (3, 5, 8, 12)
    assert schedule(3, 3) == (3,)
    assert schedule(3, 4) == (3, 4)
    assert schedule(3, 13) == (3, 5, 8, 13)  # no look for one more repeat
    assert schedule(5, 30) == (5, 8, 12, 18, 30)
    for first in range(1, 9):
        for most in range(first, 200):
            counts = schedule(first, most)
            assert (counts[0], counts[-1]) == (first, most)
            assert list(counts) == sorted(set(counts))


def test_a_budget_reaches_the_first_look():
    with pytest.raises(ValueError, match="--at-most 2: the first look needs 3 repeats"):
        schedule(3, 2)


def test_levels_add_up_to_the_promise():
    """By hand: (5^3 - 3^3) / 12^3 of .05 at the second look."""
    assert levels((3, 5, 8, 12)) == pytest.approx([0.00078125, 0.00283565, 0.01119792, 0.03518519])
    for counts in ((3,), (3, 4), (1, 2, 3, 5, 8, 13)):
        assert sum(levels(counts)) == pytest.approx(ALPHA)
        assert min(levels(counts)) > 0
    assert levels((7,)) == (ALPHA,)  # a single look is a usual test


COUNTS = schedule(3, 12)


@pytest.mark.parametrize("kept", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("folds", [3, 5])
def test_folds_do_not_grow_and_keep_the_promise(folds: int, kept: float):
    p = p_over_units(units(kept, (DRAWS, folds, 12)))
    assert 0.01 < false_decisions(p[..., None], COUNTS) < ALPHA


def test_repeats_keep_the_promise():
    p = p_over_repeats(stream(6, "repeats").standard_normal((DRAWS, 12)))
    assert 0.03 < false_decisions(p[..., None], COUNTS) < ALPHA


@pytest.mark.parametrize("kept", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("folds", "devices"), [(3, 3), (3, 12), (5, 9)])
def test_devices_keep_the_promise(folds: int, devices: int, kept: float):
    """Folds and devices differ for good, and each repeat adds less: its noise is mostly the same
    through all devices.
    """
    draws = 4_000
    value = units(1.0, (draws, folds, 1, 12)) + 0.3 * units(0.0, (draws, folds, devices, 12))
    value += kept * stream(7, "devices", devices).standard_normal((draws, 1, devices, 1))
    decided = np.zeros(draws, dtype=bool)
    for count, level in zip(COUNTS, levels(COUNTS), strict=True):
        decided |= crossed_excludes_zero(value[..., count - 1], 1 - level)
    assert decided.mean() < ALPHA


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_several_claims_keep_the_promise_together(shared: float):
    """Four claims on the same folds, some of whose effects hang together."""
    draws = DRAWS // 2
    common = shared * units(0.5, (draws, 5, 12))
    p = [p_over_units(common + units(0.5, (draws, 5, 12), claim)) for claim in range(4)]
    assert false_decisions(np.stack(p, axis=-1), COUNTS) < ALPHA


def test_a_test_at_each_look_and_boundaries_for_z_break_it():
    """Why levels are not the usual ones: over three folds, t is far from normal."""
    p = p_over_units(units(0.0, (4 * DRAWS, 3, 10)))[:, 1::2]
    assert (p <= ALPHA).any(axis=1).mean() > 2 * ALPHA
    usual = 2 * scipy.stats.norm.sf(BOUNDARIES_FOR_Z)
    assert (p <= usual).any(axis=1).mean() > 1.15 * ALPHA
    assert (p <= levels((2, 4, 6, 8, 10))).any(axis=1).mean() < ALPHA


def test_the_chance_of_a_decision_is_how_often_one_comes():
    """After 3 of 12 repeats, by the courses whose true effect is what was seen, give or take its
    error: here of known error, so that the plain answer can be drawn.
    """
    now, then, level = np.sqrt(1 / 3), np.sqrt(1 / 12), 0.03
    draw = stream(9, "chance")
    true = 0.5 + now * draw.standard_normal(200_000)
    rest = true + draw.standard_normal(200_000) / 3
    last = (3 * 0.5 + 9 * rest) / 12
    plain = (2 * scipy.stats.norm.sf(abs(last) / then) <= level).mean()
    assert chance(0.5, now, then, 1e9, level) == pytest.approx(plain, abs=0.005)


def test_where_repeats_add_nothing_the_end_is_known():
    assert chance(0.5, 0.2, 0.2, 4, 0.05) == 0.0  # t = 2.5; 2.78 is needed
    assert chance(-0.6, 0.2, 0.2, 4, 0.05) == 1.0
