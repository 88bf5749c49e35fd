"""Remedies: what would decide a claim that is undecided, in numbers and in words.

Contents: needed, too_few, counted.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis import variance
from analysis.intervals import FEWEST
from analysis.variance import Components, DesignSize
from scaling.results.claims import unit_of


def needed(row: Mapping[str, Any], parts: Components, unit: str, alpha: float) -> dict[str, Any]:
    """How many more units would decide a row of analysis.claims whose interval is over `unit`, at
    the published effect where it is stated: needed, needed_unit (those that take the fewest
    trainings) and remedy.
    """
    published = not math.isnan(row["published"])
    target = row["published"] if published else row["effect"]
    within = 0.0 if math.isnan(row["within"]) else row["within"]
    wanted = target - row["at_least"], alpha, variance.POWER, within
    found = variance.needed(parts, unit, *wanted)
    folds, seeds, _ = parts.layout
    # trainings that one more takes; devices take none, but have to be found
    price: dict[str, float] = {"folds": seeds, "seeds": folds, "devices": folds * seeds}
    would = {kind: count for kind, count in found.items() if math.isfinite(count)}
    if not would:
        count, kinds = variance.of_each(parts, unit, *wanted)
        if len(kinds) > 1 and math.isfinite(count):
            together = _listed(kinds, "and")
            would, price[together] = {together: count}, 0.0
    cheapest = min(would, key=lambda kind: (would[kind] * price[kind], kind), default="")
    of = unit_of(row["metric"])
    whose = "published" if published else "observed"
    effect = f"if the effect is the {whose} {of.text(target)} {of.name}"
    return {
        "needed": would.get(cheapest, math.nan),
        "needed_unit": cheapest,
        "remedy": _words(found | would, effect),
    }


def too_few(n: int, unit: str, layout: DesignSize) -> dict[str, Any]:
    """What is missing where `n` units of an estimate give no interval, or its clips alone do."""
    of_folds = unit == "folds" or (unit == "devices" and layout.folds == 2)
    here = layout.folds if of_folds else n if unit else 1
    kind = "folds" if of_folds else "seeds"
    return {
        "needed": float(FEWEST - here),
        "needed_unit": kind,
        "remedy": f"{counted(here, kind)} cannot decide, {FEWEST} can: "
        f"{counted(FEWEST - here, kind, ' more')} at least",
    }


def _words(found: Mapping[str, float], effect: str) -> str:
    """`3 more folds or 40 more seeds would decide, if the effect is the published 2.0 points; no
    number of devices would`; of several kinds together `9 more folds, seeds and devices each`.
    """
    would = [counted(n, kind, " more") for kind, n in found.items() if math.isfinite(n)]
    never = [kind for kind, count in found.items() if math.isinf(count)]
    untold = [kind for kind, count in found.items() if math.isnan(count)]
    together = any(" and " in kind for kind in found)
    parts = [f"{' or '.join(would)}{' each' * together} would decide, {effect}"] if would else []
    if never and would:
        parts.append("none alone would" if together else f"no number of {_listed(never)} would")
    elif never:
        parts.append(f"no number of {_listed(never)} would decide, {effect}")
    parts += [f"one {kind.removesuffix('s')} does not tell what more would do" for kind in untold]
    return "; ".join(parts)


def _listed(kinds: Sequence[str], last: str = "or") -> str:
    """`folds, seeds or devices`."""
    return f" {last} ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))


def counted(count: float, kind: str, more: str = "") -> str:
    """`9 folds`, `1 more fold`, `37 folds and seeds`."""
    return f"{count:,.0f}{more} {kind if count != 1 or ' and ' in kind else kind.removesuffix('s')}"
