"""Claims judged: supported, contradicted or undecided, with the error of the whole family bounded.

A claim is supported where its effect exceeds `at_least` by more than chance explains, contradicted
where it falls short likewise; that both sides are alike, where the interval lies within the margin,
or outside. All else is undecided, and says what would decide. Sources: Holm 1979, over all claims
of a study, those that cannot be judged yet among them; Schuirmann 1987 (two one-sided tests: here
of alpha / 2 each, as the same interval also contradicts).
Conventions: effects are better - worse, in what the metric is in (of a loss, worse - better);
intervals are of one claim, p_holm of its family; units are those of analysis.units, but clips, as
one training says nothing of another. Contents: Verdict, COLUMNS, judge, assessed, decided, sided,
holm, recorded.
"""

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis import remedies, variance
from analysis.data import Data
from analysis.designs import SEED
from analysis.evidence import Evidence, Unjudged, evidence
from analysis.metrics import Unrecorded
from analysis.scales import DIFFERENCE, FREE, LOSS, MEAN, MEANS_APART, OF_DIFFERENCES, SHARE, Scale
from analysis.units import ON_ONE_SPLIT, Estimate, estimate, p_value
from scaling.results.claims import GAP, SHARES, Claim, selected
from scaling.results.statements import Stated, stated

NAN = math.nan
COLUMNS = [
    *("study", "claim", "verdict", "effect", "low", "high", "n", "unit", "pairs", "p", "p_holm"),
    *("detectable", "needed", "needed_unit", "at_least", "within", "on", "metric"),
    *("better", "worse", "than"),
    *("published", "source", "note", "remedy"),
    *("fold", "device", "device_in_fold", "seed", "clips"),
]
# standard deviations of components, as analysis.variance names them
PARTS = {"fold": "fold", "device": "device", "device_in_fold": "both", "seed": "seed"}
KINDS = ("folds", "devices", "repeats")


class Verdict(StrEnum):
    """What the records say of a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


def judge(
    data: Data,
    claims: Mapping[str, Sequence[Claim | Stated]] | None = None,
    alpha: float = variance.ALPHA,
) -> pd.DataFrame:
    """One row per claim, by study; columns as in COLUMNS.

    `claims` None: those that the results folder holds. `detectable` is the smallest effect beyond
    what is claimed that this design finds with power .8; of a claim `within` a margin, the smallest
    margin that it confirms where both sides are equal. `needed` is how many more of `needed_unit`
    would decide with power .8, `remedy` the same in words; `fold` to `clips` are standard
    deviations of one pair. Raises ValueError where there are no claims,
    for an alpha that is none, and where not one of the claims can be judged.
    """
    if not 0 < alpha <= 0.5:
        raise ValueError(f"--alpha {alpha:g}: above 0, at most 0.5")
    families: Mapping[str, Sequence[Claim | Stated]] = recorded(data) if claims is None else claims
    if not any(families.values()):
        raise ValueError(
            f"{data.snapshot.results.where} holds no claims: name the study that states them with "
            "--study"
        )
    judged, reasons = [], list[str]()
    for study, family in families.items():
        trials = _trials(data, study)
        rows = []
        for each in family:
            claim = each.claim if isinstance(each, Stated) else each
            row = {"study": study, **_about(claim)}
            notes = _history(each) if isinstance(each, Stated) else []
            try:
                found = evidence(data, trials, claim)
                row |= assessed(found, claim, data.unit, alpha)
                notes += found.notes
            except (Unjudged, Unrecorded) as error:
                reasons.append(f"{claim.said}: {error}")
                notes.append(str(error))
            row["note"] = "; ".join(filter(None, [*notes, row["note"]]))
            rows.append(row)
        judged += decided(rows, alpha)
    if len(reasons) == len(judged):
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        raise ValueError(f"no claim can be judged: {reasons[0]}{more}")
    return pd.DataFrame(judged)[COLUMNS].assign(verdict=[str(row["verdict"]) for row in judged])


def assessed(found: Evidence, claim: Claim, unit: str = "", alpha: float = 0.05) -> dict[str, Any]:
    """What one claim's runs say: effect, interval, p and components; a verdict needs its family.

    `unit` is what a person asks for where the claim states none. Raises Unjudged where the design
    lacks the unit.
    """
    runs = found.runs.assign(unit=claim.unit or unit, split=claim.on)
    scale = _scale(claim)
    try:
        effect = estimate(runs, scale, 1 - alpha)
    except ValueError as error:
        raise Unjudged(str(error)) from None
    if effect.unit == ON_ONE_SPLIT:  # too few seeds: devices alone tell of these trainings
        seeds = runs[SEED].nunique()
        effect = effect._replace(
            low=NAN, high=NAN, n=seeds, unit=f"seed{'s' * (seeds > 1)} on one split"
        )
    row = effect._asdict() | {"effect": effect.mean, "pairs": len(runs)}
    parts = variance.components(runs)
    row |= {name: math.sqrt(getattr(parts, part)) for name, part in PARTS.items()}
    row["clips"] = _of_clips(runs, claim)
    kind = _kind(effect)
    if math.isnan(effect.low) or not kind:
        return row | remedies.too_few(effect.n, kind, parts.layout)
    # a margin is decided where the interval excludes both of its ends
    edges = (claim.at_least,) if claim.within is None else (-claim.within, claim.within)
    row["p"] = max(p_value(runs, edge, scale) for edge in edges)
    spread = variance.measured(runs, kind, effect, 1 - alpha)
    find = variance.detectable if claim.within is None else variance.confirmable
    row["detectable"] = find(spread, alpha)
    return row | {"parts": parts, "kind": kind}


def decided(rows: Sequence[dict[str, Any]], alpha: float = 0.05) -> list[dict[str, Any]]:
    """The rows of one family with their verdicts, and what would decide the undecided ones."""
    corrected = holm([row["p"] for row in rows])
    sure = [p <= alpha for p in corrected]
    left = sum(not each for each in sure)
    made = []
    for row, p, known in zip(rows, corrected, sure, strict=True):
        full = {**row, "p_holm": p if row["p"] == row["p"] else NAN}
        full["verdict"] = sided(row) if known else Verdict.UNDECIDED
        if not known and "parts" in row:
            full |= remedies.needed(row, row["parts"], row["kind"], alpha / left)
        made.append(full)
    return made


def sided(row: Mapping[Any, Any]) -> Verdict:
    """What a row says where its test is sure."""
    alike = not math.isnan(row["within"])
    holds = abs(row["effect"]) < row["within"] if alike else row["effect"] > row["at_least"]
    return Verdict.SUPPORTED if holds else Verdict.CONTRADICTED


def holm(p: Sequence[float]) -> npt.NDArray[np.float64]:
    """p values corrected for their number; one that is nan counts as 1."""
    known = np.nan_to_num(np.asarray(p, dtype=np.float64), nan=1.0)
    order = np.argsort(known, kind="stable")
    raised = known[order] * np.arange(len(known), 0, -1)
    corrected = np.empty_like(known)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return corrected


def recorded(data: Data) -> dict[str, list[Stated]]:
    """The claims that the results folders hold, by study; of the studies that are looked at. What
    several folders state counts once.
    """
    found: dict[str, list[Stated]] = {}
    known = set(data.manifest["study"])
    for each in stated(*data.snapshot.results.parts):
        if each.study in known:
            found.setdefault(each.study, []).append(each)
    return found


def _history(each: Stated) -> list[str]:
    """What is to be told of when a claim was stated."""
    notes = []
    if each.ended:
        trials = "trial" if each.ended == 1 else "trials"
        notes.append(f"stated after {each.ended} {trials} had ended")
    if each.earlier:
        notes.append(f"stated otherwise before ({each.earlier} x)")
    return notes


def _trials(data: Data, study: str) -> "pd.Series[str]":
    """The trials that a study planned; of a study that the folder does not name, all."""
    planned = data.manifest
    if study not in set(planned["study"]) or planned["study"].nunique() == 1:
        return planned["trial"]
    # of a trial that several studies planned, the manifest names the last one alone
    theirs: set[str] = set()
    for folder in data.snapshot.results.parts:
        rows = folder.read("manifest").select(["trial", "study"]).to_pandas()
        theirs |= set(rows.loc[rows["study"] == study, "trial"])
    return planned.loc[planned["trial"].isin(theirs), "trial"]


def _about(claim: Claim) -> dict[str, Any]:
    """A claim's own columns, and the others as they are before it is judged."""
    named = ("at_least", "on", "metric", "source")
    numbers = ("effect", "low", "high", "p", "detectable", "needed", *PARTS, "clips")
    return {
        **dict.fromkeys(numbers, NAN),
        **{name: getattr(claim, name) for name in named},
        "claim": claim.text,
        "within": NAN if claim.within is None else float(claim.within),
        **{name: selected(claim.sides.get(name, {})) for name in ("better", "worse")},
        "than": selected(claim.than),
        "published": NAN if claim.published is None else float(claim.published),
        "n": 0,
        "unit": "",
        "pairs": 0,
        "needed_unit": "",
        "note": "",
        "remedy": "",
    }


def _scale(claim: Claim) -> Scale:
    """Where an effect may lie."""
    apart = not claim.level or claim.on == GAP
    if claim.metric not in SHARES:
        return FREE if apart else LOSS
    if not apart:
        return SHARE if claim.metric == "accuracy" else MEAN
    if claim.than:
        return OF_DIFFERENCES._replace(share=claim.metric == "accuracy")
    return DIFFERENCE if claim.metric == "accuracy" else MEANS_APART


def _kind(effect: Estimate) -> str:
    """The unit of an estimate in one word; "" for clips and single runs."""
    if effect.unit.startswith("seed"):
        return "repeats"
    return next((kind for kind in KINDS if effect.unit.startswith(kind)), "")


def _of_clips(runs: pd.DataFrame, claim: Claim) -> float:
    """The standard deviation that the draw of a fold's clips gives to an effect, at most; nan where
    it is not of shares.
    """
    if claim.metric != "accuracy" or claim.on == GAP:
        return NAN
    sides = (pd.Series(side, runs.index) for side in zip(*runs["shares"], strict=True))
    return math.sqrt(sum(variance.of_clips(side, runs["clips"]) for side in sides))
