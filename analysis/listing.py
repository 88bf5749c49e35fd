"""Listings: what is printed of points, curves and other rows of a figure, as text cells.

Conventions: accuracies and their spreads are percent here, differences percentage points. A listing
begins with its result in one sentence; which columns are constant, and how wide they may be, is
decided where it is printed (analysis.console).
Contents: Column, Listing, of_points, of_curves, of_values; their parts: with_caution,
about_columns, numbers, interval_columns, count_heading; texts: edges, limits_text, interval_texts,
value_text, who, on.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.aggregate import ACCURACY, DIMENSIONS, MEASURES, NOT_HELD_OUT, Measure
from analysis.coverage import conservative

HEADINGS = {
    "unpruned": "family",
    "kept_parameters": "parameters",
    "kept_weights": "weights",
    "latency_ms": "ms",
    "share": "of the clips",
    "clips_per_class": "clips per class",
}
DESCRIBED = {"seen": "seen devices", "unseen": "unseen devices", "train_clean": "training clips"}
SCATTER = {
    "between_runs": "between runs",
    "within_runs": "within runs",
    "pooled": "pooled (as in the papers)",
}


class Column(NamedTuple):
    """A column of a listing."""

    heading: str
    cells: tuple[str, ...]
    left: bool = False  # texts are; numbers stand right
    folds: bool = False  # whether its cells may be folded
    optional: bool = False  # whether it may be left out where there is no room

    @property
    def constant(self) -> bool:
        """Whether all rows agree."""
        return len(set(self.cells)) == 1


class Listing(NamedTuple):
    """A table as texts."""

    title: str
    result: str  # one sentence
    about: tuple[Column, ...]  # what tells rows apart
    values: tuple[Column, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.values[0].cells)


def of_points(
    title: str, points: pd.DataFrame, columns: Sequence[str], measure: Measure
) -> Listing:
    """A figure's points: these columns, then the mean, its interval, n and the spreads; instead of
    these the rise above the reference of its line, in points that have one.
    """
    rows = points.to_dict("records")
    counted = count_heading(points)
    values = [numbers(measure.heading, [measure.text(row["mean"]) for row in rows])]
    values += interval_columns(rows, measure, counted)
    if "worst_device" in points and (points["worst_device"] != "").any():
        worst = [_worst(row, measure) or "-" for row in rows]
        values.append(Column("worst device", tuple(worst), optional=True))
    if "rise" in points:
        rises = [
            {"mean": row["rise"]} | {n: row[f"rise_{n}"] for n in ("low", "high", "n", "unit")}
            for row in rows
        ]
        heading = f"above {points['rise_above'].iloc[0]}"
        values.append(numbers(heading, [value_text(rise["mean"], measure, "+") for rise in rises]))
        # of as many runs as the points themselves, unless some lack a partner
        values += [
            each for each in interval_columns(rises, measure, counted, "+") if each not in values
        ]
    else:
        for name, heading in SCATTER.items():
            cells = [value_text(row[name], measure) for row in rows]
            if set(cells) != {"-"}:
                values.append(numbers(f"{heading}, {measure.unit}", cells, optional=True))
    about = about_columns(points, columns)
    result = with_caution(_extremes(points, columns, measure), points.assign(metric=measure.metric))
    return Listing(title, result, about, tuple(values))


def of_curves(title: str, summary: pd.DataFrame) -> Listing:
    """The last epoch of each curve, and of validation clips the best one, with the training clips
    beside the held-out ones.
    """
    rows = summary.to_dict("records")
    columns = ("metric", "split", "dataset", "family", "fraction", *DIMENSIONS, "at", "epoch")
    counted = count_heading(summary)
    measures = [MEASURES[row["metric"]] for row in rows]
    pairs = list(zip(rows, measures, strict=True))
    values = [numbers("held out", [measure.text(row["mean"]) for row, measure in pairs])]
    intervals = [interval_texts(row, measure, counted) for row, measure in pairs]
    values += [numbers("95 %", [each[0] for each in intervals])]
    values += [Column(counted, tuple(each[1] for each in intervals), folds=True)]
    values += [
        numbers("training", [value_text(row["training"], measure) for row, measure in pairs])
    ]
    named = summary.assign(metric=[measure.heading for measure in measures])
    main = "accuracy" if "accuracy" in set(summary["metric"]) else summary["metric"].iloc[0]
    last = summary[(summary["metric"] == main) & (summary["at"] == "last epoch")]
    result = _extremes(
        last, ("split", "dataset", "family", "fraction", *DIMENSIONS), MEASURES[main]
    )
    result += ", after the last epoch"
    return Listing(title, result, about_columns(named, columns), tuple(values))


def of_values(
    title: str,
    result: str,
    rows: pd.DataFrame,
    columns: Sequence[str],
    heading: str = ACCURACY.heading,
    more: Sequence[Column] = (),
) -> Listing:
    """Shares in percent, the column `value` of rows that have low, high, n and unit: these columns,
    then the value with its interval, then `more`.
    """
    told: list[dict[Any, Any]] = rows.to_dict("records")
    values = [numbers(heading, [ACCURACY.text(each) for each in rows["value"]])]
    values += interval_columns(told, ACCURACY, count_heading(rows))
    return Listing(
        title, with_caution(result, rows), about_columns(rows, columns), (*values, *more)
    )


def with_caution(result: str, rows: pd.DataFrame, apart: bool = False) -> str:
    """A result, with what is to be known of its intervals."""
    return "; ".join(filter(None, [result, conservative(rows, apart)]))


def edges(row: Mapping[Any, Any]) -> str:
    """` (21.5 to 28.5)`, in percent; empty where there is no interval."""
    return "" if math.isnan(row["low"]) else f" ({limits_text(row, ACCURACY)})"


def about_columns(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[Column, ...]:
    """These columns: texts as they are, numbers with commas; without what no row has."""
    made = []
    for name in columns:
        text = not pd.api.types.is_numeric_dtype(rows[name])
        cells = tuple(str(value) if text else f"{value:,.15g}" for value in rows[name])
        if set(cells) != {""}:
            made.append(Column(HEADINGS.get(name, name), cells, left=text, folds=text))
    return tuple(made)


def numbers(heading: str, cells: Iterable[str], optional: bool = False) -> Column:
    """A column of numbers, which stand right."""
    return Column(heading, tuple(cells), optional=optional)


def interval_columns(
    rows: Sequence[Mapping[Any, Any]], measure: Measure, counted: str, sign: str = ""
) -> list[Column]:
    """The columns of the interval and of n."""
    each = [interval_texts(row, measure, counted, sign) for row in rows]
    return [
        numbers("95 %", [e[0] for e in each]),
        Column(counted, tuple(e[1] for e in each), folds=True),
    ]


def _extremes(points: pd.DataFrame, columns: Sequence[str], measure: Measure) -> str:
    """`highest on unseen devices: base, width 16, 80.2 % (64.4 to 96.1); lowest: ...`."""
    splits = list(points["split"].unique())
    held_out = [split for split in splits if split not in NOT_HELD_OUT]
    split = (held_out or splits)[-1]
    here = points[points["split"] == split]
    ends = [("highest", here["mean"].idxmax()), ("lowest", here["mean"].idxmin())]
    if not measure.larger_is_better:
        ends.reverse()
    unit = " %" if measure.factor == 100 else f" {measure.unit}"
    told = [name for name in columns if name != "split"]

    def said(place: Any) -> str:
        row = points.loc[place].to_dict()
        named = who(here, told, place)
        limits = "" if math.isnan(row["low"]) else f" ({limits_text(row, measure)})"
        if worst := row.get("worst_device"):
            worst = f", {measure.text(row['worst'])}{unit} on its worst device, {worst}"
        return f"{named}, {measure.text(row['mean'])}{unit}{limits}{worst or ''}".removeprefix(", ")

    what = measure.heading.split(",")[0].removesuffix(" %")
    if len(here) == 1:
        return f"{what} {on(split)}: {said(ends[0][1])}"
    (first, best), (second, worst) = ends
    return f"{first} {what} {on(split)}: {said(best)}; {second}: {said(worst)}"


def _worst(row: Mapping[Any, Any], measure: Measure) -> str:
    """`s1 61.2`, the worst device and its value; empty where there is no such device."""
    return f"{row['worst_device']} {measure.text(row['worst'])}" if row.get("worst_device") else ""


def who(rows: pd.DataFrame, columns: Sequence[str], place: Any) -> str:
    """What tells one row from the others: `base, width 16`."""
    parts = []
    for name in columns:
        if rows[name].nunique() > 1 and name != "kept_parameters":
            value = rows.loc[place, name]
            text = not pd.api.types.is_numeric_dtype(rows[name])
            parts.append(str(value) if text else f"{HEADINGS.get(name, name)} {value:,.15g}")
    return ", ".join(parts)


def on(split: Any) -> str:
    """`on unseen devices`, `on test clips`."""
    return f"on {DESCRIBED.get(split, f'{split} clips')}" if " - " not in str(split) else str(split)


def count_heading(points: pd.DataFrame) -> str:
    """The heading of n: what it counts, where that is the same in all rows that have intervals."""
    units = points.loc[points["low"].notna(), "unit"].unique()
    return f"n, {units[0]}" if len(units) == 1 else "n"


def limits_text(row: Mapping[Any, Any], measure: Measure, sign: str = "") -> str:
    """`21.5 to 28.5`."""
    low, high = (measure.text(row[edge], sign) for edge in ("low", "high"))
    return f"{low} to {high}"


def interval_texts(
    row: Mapping[Any, Any], measure: Measure, counted: str, sign: str = ""
) -> tuple[str, str]:
    """`21.5 to 28.5`, and n with what it counts unless its heading `counted` says so."""
    n = str(row["n"]) if counted == f"n, {row['unit']}" else f"{row['n']} {row['unit']}"
    if math.isnan(row["low"]):
        return "one run" if row["n"] == 1 else "-", n
    return limits_text(row, measure, sign), n


def value_text(value: float, measure: Measure, sign: str = "") -> str:
    """The value as the measure says it; a dash where there is none."""
    return "-" if math.isnan(value) else measure.text(value, sign)
