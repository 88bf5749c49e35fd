"""Which model: the best configuration within a budget, chosen by validation clips.

The best of many scores too well on the clips that chose it, so it is chosen by validation clips,
and its scores on held-out clips stand beside. Test clips choose only where that is asked for, and
then the choice says so. Conventions: those of analysis.candidates.
Contents: ModelChoice, choose, amounts.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from analysis.aggregate import NOT_HELD_OUT
from analysis.candidates import LIMITED, PAIRED, RUN, candidates
from analysis.data import Data
from analysis.latency import Latencies
from analysis.scales import DIFFERENCE
from analysis.selection import DIGITS
from analysis.tables.differences import EITHER, apart
from analysis.units import Estimate, estimate
from scaling.spelling import nearest

# settings of how much there is to learn from, which a comparison of models keeps equal
AMOUNTS = {
    "split.fraction": "different shares of the training clips",
    "split.clips_per_class": "different numbers of training clips per class",
}


class ModelChoice(NamedTuple):
    """What was chosen, and from what."""

    best: "pd.Series[Any]"  # a row of the candidates
    cheapest: "pd.Series[Any]"  # the cheapest that cannot be told apart from it; maybe itself
    candidates: pd.DataFrame  # those within the budget, the best first
    on: str  # the split that chose
    reason: str  # sentences: by what, among how many, and what to beware of
    cost: str  # what "cheapest" is about
    apart: Estimate | None  # cheapest - best, paired; None where they are one


def choose(
    data: Data, most: Mapping[str, float], least: Mapping[str, float], on: str = "validation"
) -> ModelChoice:
    """The candidate with the best mean on `on` among those whose costs are at most `most` and whose
    accuracies on splits are at least `least`, and the cheapest that cannot be told apart from it:
    whose paired difference from it has an interval that holds 0.

    Cheap is in the first cost of `most`, else in kept parameters. Of equal scores the cheaper one
    wins, then the one whose label sorts first. Raises ValueError for a limit that nothing can be
    held against, and where nobody is within all limits: it names the nearest candidate.
    """
    _check(most)
    found = candidates(data, on)
    _check_held(found, most, least, data.latencies)
    cost = next(iter(most), "kept_parameters")
    fits = _excess(found, most, least).le(0).all(axis="columns")
    if not fits.any():
        raise ValueError(_nearest(found, most, least))
    ordered = found.assign(tied=-found["value"].round(DIGITS)).sort_values(["tied", cost, "label"])
    within = ordered.loc[fits[ordered.index]].drop(columns="tied").reset_index(drop=True)
    best = within.iloc[0]
    cheapest, apart, why = _cheapest(data, within, cost, on)
    reason = [*_chosen_by(on, len(within), len(found), most, least), why]
    if "latency_ms" in most:
        reason.append(f"Latency: {data.latencies.said}.")
    return ModelChoice(best, cheapest, within, on, " ".join(filter(None, reason)), cost, apart)


def amounts(found: pd.DataFrame, named: Collection[str] = ()) -> Iterator[str]:
    """A line for each setting of AMOUNTS that these candidates differ in, but for those `named` by
    who asks: more clips may be what makes the best one better.
    """
    for name, what in AMOUNTS.items():
        values = sorted(found[name].unique().tolist()) if name in found else []
        if len(values) < 2 or name in named:
            continue
        most = 0 if 0 in values else values[-1]  # 0 clips per class: all of them
        texts = {each: str(each).removesuffix(".0") for each in values}  # as --where finds it
        *others, last = [text + " (all)" * (text == "0") for text in texts.values()]
        yield (
            f"These candidates were trained on {what}, {name}={', '.join(others)} and {last}: "
            f"compare those of one value with --where {name}={texts[most]}."
        )


def _check(most: Mapping[str, float]) -> None:
    for name, limit in most.items():
        if name not in LIMITED:
            raise ValueError(f"--max {name}: no such cost{nearest(name, LIMITED)}")
        if not (math.isfinite(limit) and limit > 0):
            raise ValueError(f"--max {name}={limit:g}: a limit is a number above 0")


def _check_held(
    found: pd.DataFrame,
    most: Mapping[str, float],
    least: Mapping[str, float],
    measured: Latencies,
) -> None:
    """Raise ValueError for a limit that these candidates have nothing to hold against."""
    for name in most:
        if not (lacking := int(found[name].isna().sum())):
            continue
        if name == "latency_ms":
            raise ValueError(f"--max {name}: {measured.lacking(lacking, len(found))}")
        raise ValueError(
            f"--max {name}: not known of {lacking} of {len(found)} candidates (networks with "
            "attention or of your own): leave this limit out, or take --max macs=30e6"
        )
    known = _splits(found)
    for split, share in least.items():
        if split not in known:
            raise ValueError(f"--min {split}: no such split was scored{nearest(split, known)}")
        if not 0 <= share <= 1:
            hint = f" ({share:g} % is {share / 100:g})" if 1 < share <= 100 else ""
            raise ValueError(f"--min {split}={share:g}: an accuracy is a fraction, 0 to 1{hint}")


def _splits(found: pd.DataFrame) -> list[str]:
    """The splits that the candidates have a score on."""
    held_out = [str(n).removesuffix("_unit") for n in found if str(n).endswith("_unit")]
    return [*dict.fromkeys([str(found["on"].iloc[0]), *held_out])]


def _value(found: pd.DataFrame, split: str) -> "pd.Series[float]":
    """The accuracies of all candidates on a split."""
    return found["value" if split == found["on"].iloc[0] else split]


def _excess(
    found: pd.DataFrame, most: Mapping[str, float], least: Mapping[str, float]
) -> pd.DataFrame:
    """By how much each candidate misses each limit, as a share of it; 0 or less: within it."""
    made = {name: found[name] / limit - 1 for name, limit in most.items()}
    made |= {f"on {n}": share - _value(found, n).fillna(-1) for n, share in least.items()}
    return pd.DataFrame(made, index=found.index).astype("float64")


def _nearest(found: pd.DataFrame, most: Mapping[str, float], least: Mapping[str, float]) -> str:
    """Who comes nearest to a budget that nobody meets, and what it misses."""
    excess = _excess(found, most, least)
    worst = excess.clip(lower=0).max(axis="columns")
    order = found.assign(worst=worst).sort_values(["worst", "kept_parameters", "label"])
    row, over = order.iloc[0], excess.loc[order.index[0]]
    parts = [
        f"{name} {row[name]:,.15g} is {row[name] - limit:,.15g} ({100 * over[name]:,.0f} %) above "
        f"{limit:,.15g}"
        for name, limit in most.items()
        if over[name] > 0
    ]
    for split, share in least.items():
        if over[f"on {split}"] > 0:
            value = float(_value(found, split).loc[order.index[0]])
            said = f"{100 * value:.1f} %" if math.isfinite(value) else "not scored"
            parts.append(f"accuracy on {split} clips, {said}, is below {100 * share:g} %")
    return (
        f"none of {len(found)} configurations is within these limits; the nearest is "
        f"{row['label']}: {', '.join(parts)}"
    )


def _chosen_by(
    on: str, within: int, of: int, most: Mapping[str, float], least: Mapping[str, float]
) -> Iterator[str]:
    """By which clips, among how many, and what follows for its accuracy."""
    limits = [f"{name} <= {limit:,.15g}" for name, limit in most.items()]
    limits += [f"{split} >= {100 * share:g} %" for split, share in least.items()]
    budget = f" within {' and '.join(limits)}" if limits else ""
    among = f"among {within} of {of} configurations{budget}" if limits else f"among {of}"
    if on in NOT_HELD_OUT:
        yield f"Chosen by {on} clips {among}."
        if within > 1:
            yield f"Being the best of {within}, it scores too well there: see held-out clips."
    else:
        yield f"Chosen by test clips ({on}) {among}: its accuracy there is optimistic."
    looked = [split for split in least if split not in NOT_HELD_OUT and split != on]
    if looked:
        names = " and ".join(looked)
        yield f"The minimum on {names} looked at test clips: that accuracy is optimistic, too."


def _cheapest(
    data: Data, within: pd.DataFrame, cost: str, on: str
) -> "tuple[pd.Series[Any], Estimate | None, str]":
    """The cheapest candidate that cannot be told apart from the best (the first), its difference
    from it, and both in a sentence.
    """
    best = within.iloc[0]
    cheaper = within[within[cost] < best[cost]].sort_values([cost, "label"])
    scores = data.scores()
    scores = scores.loc[(scores["device"] == "all") & (scores["split"] == on), RUN]
    untold = 0
    for place in cheaper.index:
        row = within.loc[place]
        apart = _apart(scores, row, best)
        if apart is None or math.isnan(apart.low):
            untold += 1
        elif apart.low <= 0 <= apart.high:
            mean, low, high = (f"{100 * each:+.1f}" for each in apart[:3])
            why = (
                f"The cheapest that cannot be told apart from it is {row['label']}: {mean} points "
                f"({low} to {high}) over {apart.n} {apart.unit}, with "
                f"{100 * row[cost] / best[cost]:.0f} % of its {cost.replace('_', ' ')}."
            )
            return row, apart, why
    if untold:
        why = f"{untold} cheaper ones share too few runs with it for an interval: sweep three folds"
        return best, None, f"{why} or seeds to learn whether they are as good."
    if len(cheaper):
        fewer = f"fewer {cost.replace('_', ' ')}"
        return best, None, f"No candidate with {fewer} is as good."
    return best, None, ""


def _apart(scores: pd.DataFrame, one: "pd.Series[Any]", other: "pd.Series[Any]") -> Estimate | None:
    """The mean difference between two candidates, paired by seed and fold; None: no pair."""
    sides = [scores[scores["trial"].isin(row["trials"].split())] for row in (one, other)]
    pairs = sides[0].merge(sides[1], on=[*PAIRED], suffixes=EITHER)
    return None if pairs.empty else estimate(apart(pairs), DIFFERENCE)
