"""Every shipped study's claims, by design: 95 % intervals hold the truth as often as they say."""

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from drawn_studies import Design, coverage, coverages
from scipy.stats import binom, chi2

from analysis import intervals, units
from analysis.intervals import FEWEST
from scaling.results.claims import FIELDS, GAP, Claim
from scaling.settings import Trial, flat
from sweeps.study import Study, shipped

# Devices left out of training: TAU 2020's and the synthetic set's all but a; TAU 2022's s4 to s6.
UNSEEN = {"tau2020_mobile": 8, "tau2022_mobile": 3, "synthetic": 4}
AT_MOST = 2  # trainings simulated of a fold among several: more make its mean surer, no other unit
TRUTHS, DRAWS = (0.5, 0.8, 0.95, 0.99), 2_000


def beside(share: float) -> float:
    """How much farther off such a share may be by chance: one of a hundred at its very bound is."""
    return 2.3 * math.sqrt(share * (1 - share) / DRAWS)


def compared(claim: Claim, rows: list[tuple[Trial, dict[str, Any]]]) -> list[Trial]:
    """The trials of either side, of these with their settings."""
    found = []
    for selector in claim.sides.values():
        wanted = {n: v if isinstance(v, tuple) else (v,) for n, v in selector.items()}
        found += [t for t, row in rows if all(row[n] in values for n, values in wanted.items())]
    return found


def designs(study: Study) -> Iterator[Design]:
    """What the paired differences of its claims are over; fields have no clips to simulate."""
    rows = [(trial, flat(trial)) for trial in study.trials()] if study.claims else []
    for claim in study.claims:
        if claim.metric in FIELDS or claim.level:
            continue
        sides = compared(claim, rows)
        devices = {len(t.microphones.test) or UNSEEN.get(_set(t), 0) for t in sides}
        folds, seeds = {t.split.fold for t in sides}, {t.seed for t in sides}
        each = len(sides) // len(claim.sides) // len(folds)  # trainings of a side: sizes x seeds
        yield Design(
            folds=len(folds),
            seeds=len(seeds) if len(folds) == 1 else min(AT_MOST, each),
            devices=min(devices) if claim.on in ("unseen", GAP) else 1,
            clips=40 if sides[0].sound.classes else 80,
            apart=0.0,
            than=0.0 if claim.on == GAP or claim.than else None,
        )


def _set(trial: Trial) -> str:
    """A dataset's name without the part of it."""
    return "_".join(trial.sound.dataset.split("_")[:2])


@cache
def studies() -> dict[str, set[Design]]:
    return {study.name: {*designs(study)} for study in shipped()}


def test_the_designs_are_those_of_the_studies():
    assert studies()["width_esc10"] == {
        Design(5, 1, 12, apart=0.0),
        Design(5, 2, 12, apart=0.0, than=0.0),  # base and damped
    }
    assert Design(1, 5, 3, apart=0.0) in studies()["low_complexity"]
    # at 1 and 2, or at 1 to 20 clips a class: no claim is of one training a fold
    assert studies()["few_data_esc10"] == {Design(5, 2, clips=40, apart=0.0)}


def test_intervals_of_every_shipped_design_hold_the_truth():
    """Claims' differences and the means of their sides, by both models. Seen red: the widest
    crossed interval, the full floor everywhere, folds x seeds counted as independent.
    """
    claimed = set().union(*studies().values())
    alone = {each._replace(apart=None, than=None) for each in claimed}
    found = {}
    for design in sorted(claimed | alone, key=str):
        if max(design[:2]) < FEWEST:
            continue  # no verdict
        for made in (design, design._replace(skewed=True)):
            for truth, (share, _) in zip(TRUTHS, coverages(made, TRUTHS, DRAWS), strict=True):
                found[made, truth] = share
                assert 0.93 - beside(0.93) <= share <= 0.975 + beside(0.975), (made, truth)
    assert 0.945 <= np.mean([*found.values()]) <= 0.965


def test_t_itself_holds_as_many_where_few_answers_differ(monkeypatch: pytest.MonkeyPatch):
    """Of differences over five folds of 40 clips near 99 %, the floor plays no part in it."""
    for skewed in (False, True):
        of_few = Design(5, clips=40, apart=0.0, skewed=skewed)
        with_floor = coverage(of_few, 0.99, DRAWS).share
        with monkeypatch.context() as without:
            without.setattr(units, "least", lambda *_: 0.0)
            assert coverage(of_few, 0.99, DRAWS).share == with_floor > 0.975


def test_given_clips_need_less_of_the_binomial_floor(monkeypatch: pytest.MonkeyPatch):
    """Near 99 %, means over three seeds on one split: t alone holds far too few truths, the floor
    of clips that are drawn again too many.
    """
    held = {0.0: (0.8, 0.9), intervals.GIVEN: (0.93, 0.975), 1.0: (0.98, 1.0)}
    for part, (fewest, most) in held.items():
        monkeypatch.setattr(intervals, "GIVEN", part)
        for skewed in (False, True):
            assert fewest < coverage(Design(1, 3, skewed=skewed), 0.99, DRAWS).share < most, part


def test_a_sign_test_holds_as_many_where_few_answers_differ():
    """Computed exactly for 200 clips at 99 %, without an effect: the mid-p sign test contains zero
    as often as t over five folds; McNemar's, which takes folds as alike, less often.
    """
    clips, apart = 200, 2 * 0.99 * 0.01
    sign = mcnemar = 0.0
    for differ in range(40):  # more do not happen
        better = np.arange(differ + 1)
        fewer = np.minimum(better, differ - better)
        p = 2 * (binom.cdf(fewer - 1, differ, 0.5) + binom.pmf(fewer, differ, 0.5) / 2)
        shares = binom.pmf(differ, clips, apart) * binom.pmf(better, differ, 0.5)
        sign += shares[p > 0.05].sum()
        mcnemar += shares[(2 * better - differ) ** 2 <= chi2.ppf(0.95, 1) * differ].sum()
    assert (sign, mcnemar) == pytest.approx((0.9835, 0.9588), abs=1e-4)


def test_two_units_have_no_interval():
    assert coverage(Design(2, apart=0.0), 0.8, 20).share == 0.0
