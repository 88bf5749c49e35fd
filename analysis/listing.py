"""Listings: what is printed of points, differences and published numbers, as text cells.

Conventions: accuracies and their spreads are percent here, differences percentage points. A listing
begins with its result in one sentence; which columns are constant, and how wide they may be, is
decided where it is printed (analysis.console).
Contents: Column, Listing, of_points, of_curves, of_differences, of_published, of_gains, of_values,
of_fields, of_filters, edges, who, on.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis.aggregate import ACCURACY, DIMENSIONS, MEASURES, NOT_HELD_OUT, Measure
from analysis.coverage import conservative
from analysis.squares import SHARES

HEADINGS = {
    "unpruned": "family",
    "kept_parameters": "parameters",
    "kept_weights": "weights",
    "latency_ms": "ms",
    "share": "of the clips",
    "clips_per_class": "clips per class",
}
PUBLISHED = ("model", "over", "dataset", "protocol", "width", "clips", "at", "metric")
ERRORS = "± the standard error over"
DEVIATIONS = ("sigma_f", "sigma_t")
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
    counted = _counted(points)
    values = [_values(measure.heading, [measure.text(row["mean"]) for row in rows])]
    values += _intervals(rows, measure, counted)
    if "worst_device" in points and (points["worst_device"] != "").any():
        worst = [_worst(row, measure) or "-" for row in rows]
        values.append(Column("worst device", tuple(worst), optional=True))
    if "rise" in points:
        rises = [
            {"mean": row["rise"]} | {n: row[f"rise_{n}"] for n in ("low", "high", "n", "unit")}
            for row in rows
        ]
        heading = f"above {points['rise_above'].iloc[0]}"
        values.append(_values(heading, [_value(rise["mean"], measure, "+") for rise in rises]))
        # of as many runs as the points themselves, unless some lack a partner
        values += [each for each in _intervals(rises, measure, counted, "+") if each not in values]
    else:
        for name, heading in SCATTER.items():
            cells = [_value(row[name], measure) for row in rows]
            if set(cells) != {"-"}:
                values.append(_values(f"{heading}, {measure.unit}", cells, optional=True))
    about = _about(points, columns)
    result = _said(_extremes(points, columns, measure), points.assign(metric=measure.metric))
    return Listing(title, result, about, tuple(values))


def of_curves(title: str, summary: pd.DataFrame) -> Listing:
    """The last epoch of each curve, and of validation clips the best one, with the training clips
    beside the held-out ones.
    """
    rows = summary.to_dict("records")
    columns = ("metric", "split", "dataset", "family", "fraction", *DIMENSIONS, "at", "epoch")
    counted = _counted(summary)
    measures = [MEASURES[row["metric"]] for row in rows]
    pairs = list(zip(rows, measures, strict=True))
    values = [_values("held out", [measure.text(row["mean"]) for row, measure in pairs])]
    intervals = [_interval(row, measure, counted) for row, measure in pairs]
    values += [_values("95 %", [each[0] for each in intervals])]
    values += [Column(counted, tuple(each[1] for each in intervals), folds=True)]
    values += [_values("training", [_value(row["training"], measure) for row, measure in pairs])]
    named = summary.assign(metric=[measure.heading for measure in measures])
    main = "accuracy" if "accuracy" in set(summary["metric"]) else summary["metric"].iloc[0]
    last = summary[(summary["metric"] == main) & (summary["at"] == "last epoch")]
    result = _extremes(
        last, ("split", "dataset", "family", "fraction", *DIMENSIONS), MEASURES[main]
    )
    result += ", after the last epoch"
    return Listing(title, result, _about(named, columns), tuple(values))


def of_differences(differences: pd.DataFrame) -> Listing:
    """Paired differences in percentage points, signed."""
    rows = differences.to_dict("records")
    counted = _counted(differences)
    values = [_values("points", [ACCURACY.text(row["mean"], "+") for row in rows])]
    values += _intervals(rows, ACCURACY, counted, "+")
    known = differences[differences["low"].notna()]
    sure = known[(known["low"] > 0) | (known["high"] < 0)]
    result = f"{len(sure)} of {len(known)} intervals exclude 0"
    if len(sure):
        most: dict[Any, Any] = sure.sort_values("mean", key=abs).iloc[-1].to_dict()
        where = f" at {most['at']}" if most["at"] else ""
        apart = f"{ACCURACY.text(most['mean'], '+')} points ({_edges(most, ACCURACY, '+')})"
        result += f"; the largest is {most['comparison']}{where}, {on(most['split'])}: {apart}"
    about = _about(differences, ("split", "comparison", "at"))
    return Listing("differences", _said(result, differences, True), about, tuple(values))


def of_published(title: str, beside: pd.DataFrame, theirs: str = "") -> Listing:
    """Published numbers and ours, in percent; how far ours are off where both are of one dataset;
    standard errors where the paper has them; `theirs` in words where none is of our sizes.
    """
    errors = beside["standard_error"].notna().any()
    told = _shared(beside)
    if not errors:
        told[ERRORS], told["error"] = "", float("nan")
    rows = told.to_dict("records")
    counted = _counted(beside)
    published = [_with_error(row["published"], row["standard_error"]) for row in rows]
    values = [_values("published", published)]
    values += [_values("ours", [_with_error(row["mean"], row["error"]) for row in rows])]
    values += _intervals(rows, ACCURACY, counted)
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
    result = _said(result, beside)
    scatter = [_value(row["pooled"], ACCURACY) for row in rows]
    if set(scatter) != {"-"}:
        values.append(_values("pooled deviation", scatter, optional=True))
    named = [name for name in PUBLISHED if name != "over"]
    about = _about(told, (*named, "published for", ERRORS))
    chosen = tuple(each._replace(optional=True) for each in _about(beside, ("chosen",)))
    return Listing(title, result, about + chosen, tuple(values))


def _differences(rows: Sequence[Mapping[Any, Any]], counted: str) -> list[Column]:
    """How far ours are off, and the interval of that, which is left out where there is no room."""
    apart = [
        {"mean": row["difference"], "low": row["difference_low"], "high": row["difference_high"]}
        | {"n": row["n"], "unit": row["unit"]}
        for row in rows
    ]
    edges = [
        "-" if math.isnan(each["mean"]) else _interval(each, ACCURACY, counted, "+")[0]
        for each in apart
    ]
    off = [_value(each["mean"], ACCURACY, "+") for each in apart]
    return [_values("off by", off), _values("95 %", edges, optional=True)]


def of_gains(title: str, gains: pd.DataFrame) -> Listing:
    """Published gains and ours, in percentage points, signed."""
    rows = gains.to_dict("records")
    counted = _counted(gains)
    values = [_values("published", [_value(row["published"], ACCURACY, "+") for row in rows])]
    values += [_values("ours", [ACCURACY.text(row["mean"], "+") for row in rows])]
    values += _intervals(rows, ACCURACY, counted, "+")
    sure = gains[(gains["low"] > 0) | (gains["high"] < 0)]
    alike = int((sure["published"] * sure["mean"] > 0).sum())
    known = int(gains["low"].notna().sum())
    result = f"{len(sure)} of {known} intervals exclude 0, {alike} of them on the paper's side"
    result = _said(result, gains, True)
    told = _shared(gains.rename(columns={"reference": "over"}))
    return Listing(title, result, _about(told, (*PUBLISHED, "published for")), tuple(values))


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
    return _value(value, ACCURACY) + known


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
    values = [_values(heading, [ACCURACY.text(each) for each in rows["value"]])]
    values += _intervals(told, ACCURACY, _counted(rows))
    return Listing(title, _said(result, rows), _about(rows, columns), (*values, *more))


def _said(result: str, rows: pd.DataFrame, apart: bool = False) -> str:
    """A result, with what is to be known of its intervals."""
    return "; ".join(filter(None, [result, conservative(rows, apart)]))


def edges(row: Mapping[Any, Any]) -> str:
    """` (21.5 to 28.5)`, in percent; empty where there is no interval."""
    return "" if math.isnan(row["low"]) else f" ({_edges(row, ACCURACY)})"


def of_fields(title: str, fields: pd.DataFrame) -> Listing:
    """ERF numbers, in bands and frames, a row per model: deviations, the squares that hold shares
    of the mass (side, and percent of the input's area), the maximum field, and the others.
    """
    values = [_values(name, [f"{value:.1f}" for value in fields[name]]) for name in DEVIATIONS]
    for share in SHARES:
        held = zip(fields[f"side{share}"], fields[f"area{share}"], strict=True)
        cells = [f"{side:.0f}, {100 * area:.2g}" for side, area in held]
        values.append(_values(f"{share} % in side, area %", cells))
    reaches = ["-" if pd.isna(side) else f"{side:.0f}" for side in fields["receptive_field"]]
    values.append(_values("at most", reaches))
    values.append(_values("n", [str(n) for n in fields["n"]]))
    for name in ("f50", "t50", "f95", "t95", "luo_side", "participation"):
        values.append(_values(name, [f"{value:,.1f}" for value in fields[name]], optional=True))
    columns = ("family", *DIMENSIONS)
    ordered = fields.assign(area=fields["f95"] * fields["t95"]).sort_values("area")
    said = [
        (who(fields, columns, place), f"{row['f95']:,.0f} bands x {row['t95']:,.0f} frames")
        for place, row in ordered.iloc[[-1, 0]].iterrows()
    ]
    result = f"95 % of the field spans {said[0][1]}"
    if len(fields) > 1:
        (widest, most), (narrowest, least) = said
        result = f"95 % of the field spans most in {widest}, {most}; least in {narrowest}, {least}"
    return Listing(title, result, _about(fields, columns), tuple(values))


def of_filters(title: str, filters: pd.DataFrame) -> Listing:
    """How far the filters of each model moved, from a row per filter; bandwidths over initial
    ones.
    """
    columns = ("family", *DIMENSIONS)
    models = filters.groupby([*columns], sort=False)
    rows: list[dict[str, Any]] = [dict(zip(columns, key, strict=True)) for key, _ in models]
    measured: dict[str, list[str]] = {}
    for (_, each), row in zip(models, rows, strict=True):
        row["change"] = each["change"].median()
        most, moved = (each.iloc[_largest(each[name])] for name in ("change", "shift"))
        for name, cell in {
            "filters": f"{len(each):,}",
            "change %": f"{100 * row['change']:.1f}",
            "most %": f"{100 * most['change']:.1f}",
            "at Hz": f"{most['centre']:,.0f}",
            "moved Hz": f"{moved['learnt_centre'] - moved['centre']:+,.0f}",
            "from Hz": f"{moved['centre']:,.0f}",
            "width x": f"{each['widening'].median():.2f}",
        }.items():
            measured.setdefault(name, []).append(cell)
    frame = pd.DataFrame(rows)
    place = _largest(frame["change"])
    where = who(frame, columns, place)
    result = f"half of the filters changed by {measured['change %'][place]} % or more"
    result += f" in {where}, more than in the others" if len(frame) > 1 else ""
    values = tuple(_values(name, cells) for name, cells in measured.items())
    return Listing(title, result, _about(frame, columns), values)


def _largest(values: "pd.Series[Any]") -> int:
    """Where the largest of these is, whatever its sign; nan is none."""
    return int(values.abs().fillna(-1).to_numpy().argmax())


def _about(rows: pd.DataFrame, columns: Sequence[str]) -> tuple[Column, ...]:
    """These columns: texts as they are, numbers with commas; without what no row has."""
    made = []
    for name in columns:
        text = not pd.api.types.is_numeric_dtype(rows[name])
        cells = tuple(str(value) if text else f"{value:,.15g}" for value in rows[name])
        if set(cells) != {""}:
            made.append(Column(HEADINGS.get(name, name), cells, left=text, folds=text))
    return tuple(made)


def _values(heading: str, cells: Iterable[str], optional: bool = False) -> Column:
    return Column(heading, tuple(cells), optional=optional)


def _intervals(
    rows: Sequence[Mapping[Any, Any]], measure: Measure, counted: str, sign: str = ""
) -> list[Column]:
    """The columns of the interval and of n."""
    each = [_interval(row, measure, counted, sign) for row in rows]
    return [
        _values("95 %", [e[0] for e in each]),
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
        limits = "" if math.isnan(row["low"]) else f" ({_edges(row, measure)})"
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


def _counted(points: pd.DataFrame) -> str:
    """The heading of n: what it counts, where that is the same in all rows that have intervals."""
    units = points.loc[points["low"].notna(), "unit"].unique()
    return f"n, {units[0]}" if len(units) == 1 else "n"


def _edges(row: Mapping[Any, Any], measure: Measure, sign: str = "") -> str:
    """`21.5 to 28.5`."""
    low, high = (measure.text(row[edge], sign) for edge in ("low", "high"))
    return f"{low} to {high}"


def _interval(
    row: Mapping[Any, Any], measure: Measure, counted: str, sign: str = ""
) -> tuple[str, str]:
    """`21.5 to 28.5`, and n with what it counts unless its heading `counted` says so."""
    n = str(row["n"]) if counted == f"n, {row['unit']}" else f"{row['n']} {row['unit']}"
    if math.isnan(row["low"]):
        return "one run" if row["n"] == 1 else "-", n
    return _edges(row, measure, sign), n


def _value(value: float, measure: Measure, sign: str = "") -> str:
    """The value as the measure says it; a dash where there is none."""
    return "-" if math.isnan(value) else measure.text(value, sign)
