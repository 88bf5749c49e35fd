"""Evidence: from a claim to the runs that it is judged by, as pairs of trials of its two sides.

Conventions: a pair shares its seed, its fold and every setting that varies within a side and that
the claim does not name. What is constant within each side may differ between them, and is told.
Contents: Unjudged, Evidence, evidence.
"""

from typing import Any, NamedTuple

import pandas as pd

from analysis.data import Data
from analysis.selection import select
from analysis.tables.differences import EITHER, apart, gaps
from analysis.units import FOLD, SEED
from scaling import settings
from scaling.results.claims import GAP, Claim, selected
from scaling.spelling import nearest

# what trials take over differs from fold to fold, and from side to side, as it must
NEVER_SHARED = (SEED, FOLD, "transfer.trial", "objective.teachers")
KEPT = ("trial", "value", "by_device", "clips", "metric", "unit", "split", SEED, FOLD)
TOLD = 3  # settings that a note names


class Unjudged(ValueError):
    """Why a claim cannot be judged by these results."""


class Evidence(NamedTuple):
    """The runs that a claim is judged by."""

    runs: pd.DataFrame  # as analysis.units.estimate takes them; of pairs also value_reference
    notes: tuple[str, ...]  # what a reader has to know


def evidence(data: Data, trials: "pd.Series[str]", claim: Claim) -> Evidence:
    """The runs of a claim among these trials: values of its one side, or paired differences, better
    less worse (of a loss, worse less better). Raises Unjudged.
    """
    planned = data.manifest[data.manifest["trial"].isin(trials)]
    names = ("better",) if claim.level else ("better", "worse")
    sides = {name: _planned(planned, claim, name) for name in names}
    datasets = planned[planned["trial"].isin(sides["better"])]["sound.dataset"].unique()
    if len(datasets) > 1:
        raise Unjudged(
            f"better: trials of {len(datasets)} datasets, whose folds are not the same: name one "
            f"in where, as sound.dataset={datasets[0]}"
        )
    if shared := len(set.intersection(*map(set, sides.values()))) if len(sides) > 1 else 0:
        raise Unjudged(
            f"{shared} {_trials(shared)} on both sides ({selected(claim.better)} and "
            f"{selected(claim.worse)}): name what tells the sides apart"
        )
    found = {name: _scored(data, claim, name, side) for name, side in sides.items()}
    lacking = sum(len(side) - len(found[name][1]) for name, side in sides.items())
    notes = [f"{lacking} {_trials(lacking)} not complete"] if lacking else []
    if claim.level:
        return Evidence(found["better"][0][[*KEPT]].reset_index(drop=True), tuple(notes))
    one, other = (found[name][0] for name in names)
    if claim.metric == "loss":
        one, other = other, one
    pairs, told = _paired(one, other, claim)
    return Evidence(pairs, (*notes, *told))


def _planned(manifest: pd.DataFrame, claim: Claim, side: str) -> list[str]:
    """The ids of a side's planned trials, of which there is at least one."""
    left, passed = manifest, ""
    for name, value in {**claim.where, **getattr(claim, side)}.items():
        rows = left[_holds(left[name], value)]
        if rows.empty:
            raise Unjudged(
                f"{side}: no trial has {selected({name: value})}{passed}"
                f"{_nearest(left[name], value)}"
            )
        left, passed = rows, f"{passed or ' where'} {selected({name: value})}"
    return left["trial"].tolist()


def _holds(values: "pd.Series[Any]", wanted: Any) -> "pd.Series[bool]":
    """Whether each value is one of those wanted; None is a missing one."""
    listed = wanted if isinstance(wanted, tuple) else (wanted,)
    held = values.isin([each for each in listed if each is not None])
    return (held.fillna(False) | (values.isna() & (None in listed))).astype(bool)


def _nearest(values: "pd.Series[Any]", wanted: Any) -> str:
    """` (nearest: 64)`, of the values that there are."""
    known = values.dropna().unique().tolist()
    first = next((each for each in (wanted if isinstance(wanted, tuple) else (wanted,))), None)
    number = isinstance(first, int | float) and not isinstance(first, bool)
    if number and known and not isinstance(known[0], bool):
        close = min(known, key=lambda each: abs(each - first))
        return f" (the nearest is {close})"
    return nearest(str(first), sorted({str(each) if each != "" else "(empty)" for each in known}))


def _scored(
    data: Data, claim: Claim, side: str, trials: list[str]
) -> tuple[pd.DataFrame, set[str]]:
    """A side's rows on the claim's split, of the chosen trials; and which of all are complete."""
    scores = data.scores(claim.metric)
    mine = scores[scores["trial"].isin(trials)]
    complete = set(mine["trial"])
    if not complete:
        raise Unjudged(f"{side}: none of its {len(trials)} trials is complete")
    if claim.choose:
        mine = mine[mine["trial"].isin(_chosen(data, claim, complete))]
    whole = mine[mine["device"] == "all"]
    rows = gaps(whole) if claim.on == GAP else whole[whole["split"] == claim.on]
    if rows.empty:
        known = ", ".join(sorted(set(whole["split"]))) or "single devices only"
        raise Unjudged(f"{side}: no trial was scored on {claim.on} (they were on {known})")
    return rows, complete


def _chosen(data: Data, claim: Claim, trials: set[str]) -> set[str]:
    """Those of a side's trials that validation clips choose; by accuracy, where less loss would
    be better.
    """
    scores = data.scores("accuracy" if claim.metric == "loss" else claim.metric)
    try:
        return set(select(scores[scores["trial"].isin(trials)], claim.choose)["trial"])
    except ValueError as error:
        raise Unjudged(f"choose: {error}") from None


def _paired(one: pd.DataFrame, other: pd.DataFrame, claim: Claim) -> tuple[pd.DataFrame, list[str]]:
    """Each trial of the one side with those of the other that share what pairs share; and what is
    to be told of them.
    """
    open_ = [n for n in settings.leaves() if n not in (*claim.named, *NEVER_SHARED)]
    counts = [side[open_].nunique(dropna=False) for side in (one, other)]
    varying = [name for name in open_ if max(count[name] for count in counts) > 1]
    on = [SEED, FOLD, *varying]
    rest = ["trial", "value", "by_device"]
    kept = one[list(dict.fromkeys([*KEPT, *varying]))]
    pairs = kept.merge(other[[*on, *rest]], on=on, suffixes=EITHER)
    if pairs.empty:
        shared = ", ".join(["seed", "fold", *varying[:TOLD]])
        raise Unjudged(f"no trial of better shares its {shared} with one of worse")
    notes = []
    used = {*pairs["trial"], *pairs["trial_reference"]}
    if alone := len({*one["trial"], *other["trial"]} - used):
        notes.append(f"{alone} {_trials(alone)} without a partner")
    if differing := [n for n in open_ if n not in varying and _differ(one[n], other[n])]:
        sides = (other, one) if claim.metric == "loss" else (one, other)
        said = [f"{n} {sides[0][n].iloc[0]}/{sides[1][n].iloc[0]}" for n in differing[:TOLD]]
        more = f" and {len(differing) - TOLD} more" if len(differing) > TOLD else ""
        notes.append(f"they also differ in {', '.join(said)}{more}")
    return apart(pairs), notes


def _differ(one: "pd.Series[Any]", other: "pd.Series[Any]") -> bool:
    """Whether two constants differ."""
    here, there = one.iloc[0], other.iloc[0]
    return bool(pd.isna(here) != pd.isna(there) or (not pd.isna(here) and here != there))


def _trials(count: int) -> str:
    return "trial is" if count == 1 else "trials are"
