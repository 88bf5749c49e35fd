"""Claims on the page: the verdicts of analysis.claims in sentences, and their intervals as bars.

Contents: section.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis import variance
from analysis.claims import Verdict, judge, recorded
from analysis.data import Data
from scaling.results.claims import POINTS, unit_of

NONE = (
    "No claim was recorded with these trials. A study states what it wants to know before it runs, "
    "as CLAIMS in its file; this page then says whether each claim holds."
)


def section(data: Data) -> dict[str, Any]:
    """What the template says of claims: `claims`, each as verdict, claim, said (effect, interval,
    p), remedy (what would decide it), details (what is compared, what the design could see) and
    bar (`_bars`); `verdicts`, a tally; `bars`, how to read these; `no_claims`, why there are none.
    """
    stated = recorded(data)
    if not any(stated.values()):
        return {"claims": [], "verdicts": "", "bars": "", "no_claims": NONE}
    try:
        judged = judge(data, stated)
    except ValueError as error:
        count = sum(map(len, stated.values()))
        why = f"{count} {'claim is' if count == 1 else 'claims are'} stated; {error}."
        return {"claims": [], "verdicts": "", "bars": "", "no_claims": why}
    verdicts = [str(verdict) for verdict in judged["verdict"]]
    rows = judged.to_dict("records")
    bars, scales = _bars(rows)
    told = [
        {
            "verdict": str(row["verdict"]),
            "claim": str(row["claim"]),
            "said": _said(row),
            "remedy": f"{row['remedy'][:1].upper()}{row['remedy'][1:]}." if row["remedy"] else "",
            "details": _details(row),
            "bar": bar,
        }
        for row, bar in zip(rows, bars, strict=True)
    ]
    tally = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict)
    return {"claims": told, "verdicts": tally, "bars": scales, "no_claims": ""}


def _bars(rows: Sequence[Mapping[Any, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Where each effect, its interval, what is claimed and the published effect lie, in % of a bar
    that is the same for all claims of one unit; empty where nothing was measured. And how to read
    them.
    """
    ends: dict[str, list[float]] = {}
    marks = [_marks(row) for row in rows]
    for row, found in zip(rows, marks, strict=True):
        known = [value for values in found.values() for value in values]
        ends.setdefault(_scale(row), []).extend(known)
    reach = {}
    for scale, values in ends.items():
        low, high = min(values, default=0.0), max(values, default=1.0)
        room = 0.04 * (high - low) or 0.5
        reach[scale] = (low - room, high + room)
    bars = []
    for row, found in zip(rows, marks, strict=True):
        low, high = reach[_scale(row)]
        bars.append(
            {
                name: [round(100 * (value - low) / (high - low), 2) for value in values]
                for name, values in found.items()
            }
        )
    said = "A bar is an effect with its 95 % interval; the vertical line is what is claimed"
    if any(found and found["published"] for found in marks):
        said += ", the diamond the published effect"
    return bars, f"{said}." if any(marks) else ""


def _scale(row: Mapping[Any, Any]) -> str:
    """What effects of which one bar can show have in common."""
    return f"{unit_of(row['metric'])} {bool(row['worse'])}"


def _marks(row: Mapping[Any, Any]) -> dict[str, list[float]]:
    """Of a claim with an effect: this, its interval, what is claimed and what was published."""
    if math.isnan(row["effect"]):
        return {}
    margin = row["within"]
    claimed = [row["at_least"]] if math.isnan(margin) else [-margin, margin]
    return {
        "effect": [row["effect"]],
        "claimed": claimed,
        "interval": [] if math.isnan(row["low"]) else [row["low"], row["high"]],
        "published": [] if math.isnan(row["published"]) else [row["published"]],
    }


def _said(row: Mapping[Any, Any]) -> str:
    """What was measured: `Difference in accuracy on unseen: +5.1 points (+1.2 to +9.0) ...`."""
    if math.isnan(row["effect"]):
        return "Nothing could be measured."
    what = "Difference in" if row["worse"] else "Mean"
    what = "Difference of two differences in" if row["than"] else what
    said = f"{what} {row['metric']} on {row['on']}: {_effect(row, 'effect')}"
    if not math.isnan(row["low"]):
        low, high = (_effect(row, edge).partition(" ")[0] for edge in ("low", "high"))
        said += f" ({low} to {high})"
    said += f" over {row['n']} {row['unit']}"
    if not math.isnan(row["within"]):
        said += f"; claimed: within {_effect(row, 'within')}"
    if row["at_least"]:
        said += f"; claimed: at least {_effect(row, 'at_least')}"
    if not math.isnan(row["p_holm"]):
        said += "; p < 0.001" if row["p_holm"] < 0.001 else f"; p = {row['p_holm']:.3f}"
    if not math.isnan(row["published"]):
        said += f"; published: {_effect(row, 'published')}"
    return f"{said}."


def _details(row: Mapping[Any, Any]) -> str:
    """What is compared with what, what the design could see, and what would decide."""
    over = f" over {row['worse']}" if row["worse"] else ""
    more = f", more than where {row['than']}" if row["than"] else ""
    parts = [f"Study {row['study']}: {row['better']}{over}{more}."]
    if not math.isnan(row["detectable"]):
        what = "effect" if math.isnan(row["within"]) else "margin"
        parts.append(
            f"Smallest {what} that this design detects, beyond the claimed one, with a power of "
            f"{100 * variance.POWER:g} %: {_effect(row, 'detectable')}."
        )
    if row["source"]:
        parts.append(f"Source: {row['source']}.")
    if row["note"]:
        parts.append(f"Note: {row['note']}.")
    return " ".join(parts)


def _effect(row: Mapping[Any, Any], name: str) -> str:
    """A number of a claim in what its metric is measured in, with its sign where it is a
    difference.
    """
    value = row[name]
    sign = "+" if row["worse"] and name not in ("detectable", "within") else ""
    unit = unit_of(row["metric"])
    share = unit == POINTS and not row["worse"]
    return f"{unit.text(value, sign)} {'%' if share else unit.name}"
