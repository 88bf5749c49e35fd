"""Claims on the page: the verdicts of analysis.claims as sentences.

Contents: section.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

NONE = (
    "No claim was stated with these trials. A study states what it wants to know before it runs, "
    "as CLAIMS in its file, and this page then says whether each claim holds."
)
ORDER = ("supported", "contradicted", "undecided")
SHARES = ("accuracy", "macro_f1")  # metrics whose effects are said in points


def section(judged: pd.DataFrame | None) -> dict[str, Any]:
    """What the template says of claims: `claims`, each as verdict, claim, said (effect, interval,
    p) and details (what it would take); `verdicts`, a tally; `no_claims`, why there are none.
    """
    if judged is None or judged.empty:
        return {"claims": [], "verdicts": "", "no_claims": NONE}
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
    tally = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ORDER)
    return {"claims": told, "verdicts": tally, "no_claims": ""}


def _said(row: Mapping[Any, Any]) -> str:
    if not _known(row["effect"]):
        return str(row["note"]) or "No effect could be measured."
    parts = [f"Effect on {row['on']} ({row['metric']}): {_effect(row['effect'], row, '+')}"]
    if _known(row["low"]):
        edges = f"{_effect(row['low'], row, '+')} to {_effect(row['high'], row, '+')}"
        parts.append(f"95 % interval {edges}")
    parts.append(f"over {row['n']:g} {row['unit']}")
    if _known(row["p_holm"]):
        parts.append(f"p = {row['p_holm']:.3g}")
    if row["at_least"]:
        parts.append(f"claimed: at least {_effect(row['at_least'], row)}")
    return ", ".join(parts) + "."


def _details(row: Mapping[Any, Any]) -> str:
    parts = [f"Study {row['study']}: {row['better']} over {row['worse']}"]
    if _known(row["detectable"]):
        parts.append(f"this design could have seen {_effect(row['detectable'], row)}")
    if row["verdict"] == "undecided" and _known(row["needed"]):
        parts.append(f"about {row['needed']:.0f} more {row['needed_unit']} would decide")
    if _known(row["published"]):
        source = f" ({row['source']})" if row["source"] else ""
        parts.append(f"published: {_effect(row['published'], row, '+')}{source}")
    if row["note"] and _known(row["effect"]):
        parts.append(str(row["note"]))
    return "; ".join(parts) + "."


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _effect(value: float, row: Mapping[Any, Any], sign: str = "") -> str:
    """An effect in points, or in what its metric is measured in."""
    if row["metric"] in SHARES:
        return f"{100 * value:{sign}.1f} points"
    return f"{value:{sign}.3f}"
