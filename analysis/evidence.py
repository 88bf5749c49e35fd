"""Evidence: from a claim to the runs that it is judged by, as pairs of trials of its two sides.

Conventions: a pair shares its seed, its fold and every setting that varies within a side and that
the claim does not name; two pairs whose differences are compared share the same. What is constant
within each side may differ between them, and is told. Of fields, trials that collapsed
(analysis.fields) are left out, and counted. Contents: Unjudged, Evidence, evidence.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis import fields
from analysis.data import Data
from analysis.designs import FOLD, SEED
from analysis.selection import select
from analysis.selectors import Selector, Unmet, narrowed
from analysis.tables.differences import EITHER, apart, gaps
from scaling import settings
from scaling.results.claims import GAP, Claim, selected

# what trials take over differs from fold to fold, and from side to side, as it must
NEVER_SHARED = (SEED, FOLD, "transfer.trial", "objective.teachers")
KEPT = ("value", "by_device", "clips", "metric", "unit", "split", SEED, FOLD)
SUMMED = ("trials", "shares")  # tuples: of a difference, those of both
TOLD, LETTERS = 3, 24  # settings that a note names, and letters of their values


class Unjudged(ValueError):
    """Why a claim cannot be judged by these results."""


class Evidence(NamedTuple):
    """The runs that a claim is judged by."""

    # as analysis.units.estimate takes them; `trials` are the ids and `shares` the values that each
    # is made of
    runs: pd.DataFrame
    notes: tuple[str, ...]  # what a reader has to know


class _Scored(NamedTuple):
    """What the trials of a side have to say."""

    rows: pd.DataFrame
    complete: int  # trials
    notes: Mapping[str, int] = {}  # what was left out, by why


def evidence(data: Data, trials: "pd.Series[str]", claim: Claim) -> Evidence:
    """The runs of a claim among these trials: values of its one side, or paired differences, better
    less worse (of a loss, worse less better), or such differences less those of `than`. Raises
    Unjudged.
    """
    planned = data.manifest[data.manifest["trial"].isin(trials)]
    sides = {name: _planned(planned, side, name) for name, side in claim.sides.items()}
    datasets = planned[planned["trial"].isin(sides["better"])]["sound.dataset"].unique()
    if len(datasets) > 1:
        raise Unjudged(
            f"better: trials of {len(datasets)} datasets, whose folds are not the same: name one "
            f"in where, as sound.dataset={datasets[0]}"
        )
    for one, other in itertools.pairwise(sides):
        if shared := len({*sides[one]} & {*sides[other]}):
            raise Unjudged(
                f"{shared} {_trials(shared)} on both sides ({selected(claim.better)} and "
                f"{selected(claim.worse)}): name what tells the sides apart"
            )
    found = {name: _scored(data, claim, name, side) for name, side in sides.items()}
    lacking = sum(len(side) - found[name].complete for name, side in sides.items())
    notes = [f"{lacking} {_trials(lacking)} not complete"] if lacking else []
    for why in dict.fromkeys(why for each in found.values() for why in each.notes):
        count = sum(each.notes.get(why, 0) for each in found.values())
        notes.append(f"{count} {_trials(count)} {why}")
    runs = [_run(each.rows) for each in found.values()]
    varying = _varying([planned[planned["trial"].isin(side)] for side in sides.values()], claim)
    if claim.level:
        return Evidence(runs[0][[*KEPT, *SUMMED]].reset_index(drop=True), tuple(notes))
    pairs, told = _paired(runs, claim, varying)
    return Evidence(pairs, (*notes, *told))


def _run(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of trials with what differences add up."""
    of = {"trials": rows["trial"], "shares": rows["value"]}
    singles = {name: [(each,) for each in values] for name, values in of.items()}
    return rows.assign(**{n: pd.Series(each, rows.index, "object") for n, each in singles.items()})


def _planned(manifest: pd.DataFrame, selector: Selector, side: str) -> list[str]:
    """The ids of a side's planned trials, of which there is at least one."""
    try:
        return narrowed(manifest, selector)["trial"].tolist()
    except Unmet as error:
        raise Unjudged(f"{side}: {error}") from None


def _scored(data: Data, claim: Claim, side: str, trials: list[str]) -> _Scored:
    """A side's rows on the claim's split, of the chosen trials."""
    scores = data.fields(claim.metric) if claim.of_field else data.scores(claim.metric)
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
    if not claim.of_field:
        return _Scored(rows, len(complete))
    return _Scored(*_of_fields(data, claim, side, rows, len(complete)))


def _of_fields(
    data: Data, claim: Claim, side: str, rows: pd.DataFrame, complete: int
) -> tuple[pd.DataFrame, int, dict[str, int]]:
    """Those of these rows that have a field of a network that works."""
    remedy = f"run `overhear erf {data.where} --split {claim.on}`"
    mapped = rows[rows["value"].notna()]
    if mapped.empty:
        raise Unjudged(f"{side}: no ERF map on {claim.on} clips: {remedy}, and judge again")
    working = mapped[~fields.collapsed(mapped)]
    if working.empty:
        raise Unjudged(f"{side}: all {len(mapped)} trials with an ERF map {fields.COLLAPSED}")
    without = f"without an ERF map on {claim.on} clips: {remedy}"
    notes = {
        without: len(rows) - len(mapped),
        f"left out: {fields.COLLAPSED}": len(mapped) - len(working),
        "of an unknown number of classes, so whether they collapsed is not known": int(
            working["chance"].isna().sum()
        ),
    }
    return working, complete, {why: count for why, count in notes.items() if count}


def _chosen(data: Data, claim: Claim, trials: set[str]) -> set[str]:
    """Those of a side's trials that validation clips choose; by accuracy, where less loss would
    be better.
    """
    scores = data.scores("accuracy" if claim.metric == "loss" else claim.metric)
    try:
        return set(select(scores[scores["trial"].isin(trials)], claim.choose)["trial"])
    except ValueError as error:
        raise Unjudged(f"choose: {error}") from None


def _varying(sides: Sequence[pd.DataFrame], claim: Claim) -> list[str]:
    """The settings that vary within a side, as planned: that those of two sides happen to be
    constant where few trials have ended makes them no pair.
    """
    open_ = [n for n in settings.leaves() if n not in (*claim.named, *NEVER_SHARED)]
    counts = [side[open_].nunique(dropna=False) for side in sides]
    return [name for name in open_ if max(count[name] for count in counts) > 1]


def _paired(
    sides: Sequence[pd.DataFrame], claim: Claim, varying: Sequence[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Each trial of better with those of worse that share what pairs share, and of two differences
    likewise each pair with those of `than`; and what is to be told of them.
    """
    found = []
    for better, worse in zip(sides[::2], sides[1::2], strict=True):
        one, other = (worse, better) if claim.metric == "loss" else (better, worse)
        found.append(_joined(one, other, [SEED, FOLD, *varying]))
        if found[-1].empty:
            raise Unjudged(f"no trial of better shares its {_said(varying)} with one of worse")
    pairs, kept = found[0], [name for name in varying if name not in claim.than]
    if claim.than:
        pairs = _joined(found[0], found[1], [SEED, FOLD, *kept])
        if pairs.empty:
            raise Unjudged(f"no pair of where shares its {_said(kept)} with one of than")
    notes = []
    used = set(itertools.chain(*pairs["trials"]))
    if alone := len({each for side in sides for each in side["trial"]} - used):
        notes.append(f"{alone} {_trials(alone)} without a partner")
    told = {*claim.named, *NEVER_SHARED, *varying, *claim.than}
    fixed = [name for name in settings.leaves() if name not in told]
    if said := _differing(sides[0], sides[1], fixed):
        notes.append(f"they also differ in {said}")
    if claim.than and (said := _differing(sides[0], sides[2], fixed)):
        notes.append(f"where and than also differ in {said}")
    return pairs.reset_index(drop=True), notes


def _joined(one: pd.DataFrame, other: pd.DataFrame, on: Sequence[str]) -> pd.DataFrame:
    """The differences of each of the one from those of the other that agree in `on`."""
    kept = one[list(dict.fromkeys([*KEPT, *SUMMED, *on]))]
    pairs = kept.merge(other[[*on, "value", "by_device", *SUMMED]], on=[*on], suffixes=EITHER)
    for name in SUMMED:
        pairs[name] += pairs.pop(name + EITHER[1])
    return apart(pairs).drop(columns=[f"{name}{EITHER[1]}" for name in ("value", "by_device")])


def _said(shared: Sequence[str]) -> str:
    """What pairs share, in words."""
    return ", ".join(["seed", "fold", *shared[:TOLD]])


def _differing(one: pd.DataFrame, other: pd.DataFrame, fixed: Sequence[str]) -> str:
    """`training.batch 32/16 and 2 more`: the constants in which two sides differ."""
    names = [name for name in fixed if _differ(one[name], other[name])]
    said = ", ".join(f"{n} {_short(one[n])}/{_short(other[n])}" for n in names[:TOLD])
    return f"{said} and {len(names) - TOLD} more" if len(names) > TOLD else said


def _short(values: "pd.Series[Any]") -> str:
    """A constant in few letters."""
    text = str(values.iloc[0])
    return f"{text[:LETTERS]}..." if len(text) > LETTERS else text or "(empty)"


def _differ(one: "pd.Series[Any]", other: "pd.Series[Any]") -> bool:
    """Whether two constants differ."""
    here, there = one.iloc[0], other.iloc[0]
    return bool(pd.isna(here) != pd.isna(there) or (not pd.isna(here) and here != there))


def _trials(count: int) -> str:
    return "trial is" if count == 1 else "trials are"
