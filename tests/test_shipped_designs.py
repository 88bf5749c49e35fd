"""Every shipped study's claims, by design: 95 % intervals hold the truth as often as they say."""

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import pandas as pd
from drawn_studies import Design, coverage

from analysis.coverage import FEW, conservative
from analysis.intervals import FEWEST
from scaling.results.claims import FIELDS, GAP, Claim
from scaling.settings import Trial, flat
from sweeps.study import Study, shipped

# Devices left out of training: TAU 2020's and the synthetic set's all but a; TAU 2022's s4 to s6.
UNSEEN = {"tau2020_mobile": 8, "tau2022_mobile": 3, "synthetic": 4}
AT_MOST = 2  # seeds simulated of several folds: more make a fold's mean surer, no other unit
TRUTH, DRAWS = 0.8, 600
ERROR = 2.5 * math.sqrt(0.95 * 0.05 / DRAWS)  # one of eighty numbers is farther off by chance


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
        yield Design(
            folds=len(folds),
            seeds=len(seeds) if len(folds) == 1 else min(AT_MOST, len(seeds)),
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
        Design(5, 1, 12, apart=0.0, than=0.0),
    }
    assert Design(1, 5, 3, apart=0.0) in studies()["low_complexity"]
    assert studies()["few_data_esc10"] == {Design(5, clips=40, apart=0.0)}


def test_at_cpu_scale_no_design_is_known_to_be_conservative():
    """Five folds, and devices enough: more are a matter of minutes there."""
    for name, found in studies().items():
        for design in found if name.endswith("_esc10") else ():
            several = design.folds >= 5 and (design.devices == 1 or design.devices > FEW)
            assert design.folds == 1 or several, name


def test_intervals_of_every_shipped_design_hold_the_truth():
    """Where devices are too few, which no sweep can change, the caption says so."""
    for design in sorted(set().union(*studies().values()), key=str):
        if max(design[:2]) < FEWEST:
            continue  # no verdict
        found, over = coverage(design, TRUTH, DRAWS)
        n, _, unit = next(iter(over)).partition(" ")
        points = pd.DataFrame({"effect": [0.0], "low": [-0.1], "n": [int(n)], "unit": [unit]})
        said = conservative(points, apart=True).startswith("conservative over")
        assert unit.endswith("on one split") or not said, design
        assert 0.93 - ERROR <= found <= (0.99 if said else 0.975) + ERROR, design
