"""Claims on the page: the verdicts of analysis.claims in sentences. Contents: section."""

import math
from collections.abc import Mapping
from typing import Any

from analysis.claims import Verdict, judge, recorded
from analysis.data import Data
from scaling.results.claims import POINTS, unit_of

NONE = (
    "No claim was recorded with these trials. A study states what it wants to know before it runs, "
    "as CLAIMS in its file; this page then says whether each claim holds."
)


def section(data: Data) -> dict[str, Any]:
    """What the template says of claims: `claims`, each as verdict, claim, said (effect, interval,
    p) and details (what is compared, what it would take); `verdicts`, a tally; `no_claims`, why
    there are none.
    """
    stated = recorded(data)
    if not any(stated.values()):
        return {"claims": [], "verdicts": "", "no_claims": NONE}
    try:
        judged = judge(data, stated)
    except ValueError as error:
        count = sum(map(len, stated.values()))
        why = f"{count} {'claim is' if count == 1 else 'claims are'} stated; {error}."
        return {"claims": [], "verdicts": "", "no_claims": why}
    verdicts = [str(verdict) for verdict in judged["verdict"]]
    told = [
        {
            "verdict": str(row["verdict"]),
            "claim": str(row["claim"]),
            "said": _said(row),
            "details": _details(row),
        }
        for row in judged.to_dict("records")
    ]
    tally = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in Verdict)
    return {"claims": told, "verdicts": tally, "no_claims": ""}


def _said(row: Mapping[Any, Any]) -> str:
    """What was measured: `Difference in accuracy on unseen: +5.1 points (+1.2 to +9.0) ...`."""
    if math.isnan(row["effect"]):
        return "Nothing could be measured."
    what = "Difference in" if row["worse"] else "Mean"
    what = "Difference of two differences in" if row["than"] else what
    said = f"{what} {row['metric']} on {row['on']}: {_effect(row, 'effect')}"
    if not math.isnan(row["low"]):
        low, _, _ = _effect(row, "low").partition(" ")
        said += f" ({low} to {_effect(row, 'high')})"
    said += f", {row['n']} {row['unit']}"
    if not math.isnan(row["within"]):
        said += f"; claimed: within {_effect(row, 'within')}"
    if row["at_least"]:
        said += f"; claimed: at least {_effect(row, 'at_least')}"
    if not math.isnan(row["p_holm"]):
        said += f"; p = {row['p_holm']:.2g}"
    return f"{said}."


def _details(row: Mapping[Any, Any]) -> str:
    """What is compared with what, what the design could see, and what would decide."""
    over = f" over {row['worse']}" if row["worse"] else ""
    more = f", more than where {row['than']}" if row["than"] else ""
    parts = [f"Study {row['study']}: {row['better']}{over}{more}."]
    if not math.isnan(row["detectable"]):
        what = "effect" if math.isnan(row["within"]) else "margin"
        parts.append(f"The smallest {what} this design shows: {_effect(row, 'detectable')}.")
    if row["remedy"]:
        parts.append(f"To decide: {row['remedy']}.")
    if not math.isnan(row["published"]):
        source = f" ({row['source']})" if row["source"] else ""
        parts.append(f"Published: {_effect(row, 'published')}{source}.")
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
