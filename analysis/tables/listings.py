"""How differences and published numbers are printed: the listings of this package's tables.

Conventions: accuracies are percent here, differences and gains percentage points, signed; see
analysis.listing. Contents: of_differences, of_published, of_gains.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.aggregate import ACCURACY
from analysis.listing import (
    Column,
    Listing,
    about_columns,
    count_heading,
    interval_columns,
    interval_texts,
    limits_text,
    numbers,
    on,
    value_text,
    with_caution,
)

PUBLISHED = ("model", "over", "dataset", "protocol", "width", "clips", "at", "metric")
ERRORS = "± the standard error over"


def of_differences(differences: pd.DataFrame) -> Listing:
    """Paired differences in percentage points, signed."""
    rows = differences.to_dict("records")
    counted = count_heading(differences)
    values = [numbers("points", [ACCURACY.text(row["mean"], "+") for row in rows])]
    values += interval_columns(rows, ACCURACY, counted, "+")
    known = differences[differences["low"].notna()]
    sure = known[(known["low"] > 0) | (known["high"] < 0)]
    result = f"{len(sure)} of {len(known)} intervals exclude 0"
    if len(sure):
        most: dict[Any, Any] = sure.sort_values("mean", key=abs).iloc[-1].to_dict()
        where = f" at {most['at']}" if most["at"] else ""
        apart = f"{ACCURACY.text(most['mean'], '+')} points ({limits_text(most, ACCURACY, '+')})"
        result += f"; the largest is {most['comparison']}{where}, {on(most['split'])}: {apart}"
    about = about_columns(differences, ("split", "comparison", "at"))
    return Listing("differences", with_caution(result, differences, True), about, tuple(values))


def of_published(title: str, beside: pd.DataFrame, theirs: str = "") -> Listing:
    """Published numbers and ours, in percent; how far ours are off where both are of one dataset;
    standard errors where the paper has them; `theirs` in words where none is of our sizes.
    """
    errors = beside["standard_error"].notna().any()
    told = _shared(beside)
    if not errors:
        told[ERRORS], told["error"] = "", float("nan")
    rows = told.to_dict("records")
    counted = count_heading(beside)
    published = [_with_error(row["published"], row["standard_error"]) for row in rows]
    values = [numbers("published", published)]
    values += [numbers("ours", [_with_error(row["mean"], row["error"]) for row in rows])]
    values += interval_columns(rows, ACCURACY, counted)
    differs = beside["difference"].dropna()
    result = "the published numbers are of other recordings: no difference is made"
    if len(differs):
        values += _differences(rows, counted)
        low, high = (ACCURACY.text(edge, "+") for edge in (differs.min(), differs.max()))
        within = ((beside["difference_low"] <= 0) & (beside["difference_high"] >= 0)).sum()
        result = f"ours less the published is {low} to {high} points in {len(differs)} cells"
        result += f", {within} of which are as published within their intervals"
    elif beside["published"].isna().all():
        result = "the paper has no number of these sizes" + f" ({theirs})" * bool(theirs)
    if errors:
        result += "; ± is a standard error over repeats"
    result = with_caution(result, beside)
    scatter = [value_text(row["pooled"], ACCURACY) for row in rows]
    if set(scatter) != {"-"}:
        values.append(numbers("pooled deviation", scatter, optional=True))
    named = [name for name in PUBLISHED if name != "over"]
    about = about_columns(told, (*named, "published for", ERRORS))
    chosen = tuple(each._replace(optional=True) for each in about_columns(beside, ("chosen",)))
    return Listing(title, result, about + chosen, tuple(values))


def _differences(rows: Sequence[Mapping[Any, Any]], counted: str) -> list[Column]:
    """How far ours are off, and the interval of that, which is left out where there is no room."""
    apart = [
        {"mean": row["difference"], "low": row["difference_low"], "high": row["difference_high"]}
        | {"n": row["n"], "unit": row["unit"]}
        for row in rows
    ]
    edges = [
        "-" if math.isnan(each["mean"]) else interval_texts(each, ACCURACY, counted, "+")[0]
        for each in apart
    ]
    off = [value_text(each["mean"], ACCURACY, "+") for each in apart]
    return [numbers("off by", off), numbers("95 %", edges, optional=True)]


def of_gains(title: str, gains: pd.DataFrame) -> Listing:
    """Published gains and ours, in percentage points, signed."""
    rows = gains.to_dict("records")
    counted = count_heading(gains)
    values = [numbers("published", [value_text(row["published"], ACCURACY, "+") for row in rows])]
    values += [numbers("ours", [ACCURACY.text(row["mean"], "+") for row in rows])]
    values += interval_columns(rows, ACCURACY, counted, "+")
    sure = gains[(gains["low"] > 0) | (gains["high"] < 0)]
    alike = int((sure["published"] * sure["mean"] > 0).sum())
    known = int(gains["low"].notna().sum())
    result = f"{len(sure)} of {known} intervals exclude 0, {alike} of them on the paper's side"
    result = with_caution(result, gains, True)
    told = _shared(gains.rename(columns={"reference": "over"}))
    return Listing(title, result, about_columns(told, (*PUBLISHED, "published for")), tuple(values))


def _shared(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a published table with their cells as they are printed."""
    told = rows.assign(
        clips=[f"{100 * each:g} %" for each in rows["fraction"]],
        metric=rows["metric"].replace("macro_f1", "F1"),
    )
    if "repeats" in rows:
        told[ERRORS] = [f"{each} repeats" if each > 1 else "" for each in rows["repeats"]]
    return told.rename(columns={"published_for": "published for"})


def _with_error(value: float, error: float) -> str:
    """`84.1 ±0.15`; a dash where there is no value."""
    known = "" if math.isnan(error) else f" ±{100 * error:.2f}"
    return value_text(value, ACCURACY) + known
