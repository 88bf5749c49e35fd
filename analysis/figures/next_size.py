"""What the laws predict for twice the largest size, and how far off earlier predictions were.

Source: analysis.next_size. Conventions: sizes are kept parameters; a hollow marker is predicted, a
filled one observed. `overhear analyze` keeps what is predicted here in the results folder, before
the size is trained; a size that has been trained since is compared with the last law that did not
know it.
Contents: obstacle, points, draw, listing.
"""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.aggregate import ACCURACY, CROSS_ENTROPY, Measure, in_order, split_order
from analysis.coverage import LAWS
from analysis.data import Data
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import GREY, PLAIN, Style, drawing, folded, page, palette
from analysis.figures.scaling_law import PARAMETERS
from analysis.laws import RESAMPLES
from analysis.listing import Column, Listing, limits_text, on, value_text
from analysis.next_size import FACTORS, NEXT, came, foretold
from analysis.units import over

LETTERS = 26  # of a name along the axis, at most
KEPT = ["label", "split", "metric", "sizes", "largest", "size", "predicted", "low", "high"]
KEPT += ["over_n", "over_unit"]  # of the band of what is predicted
OBSERVED = ["observed", "observed_low", "observed_high", "n", "unit", "off", "made"]


def obstacle(data: Data) -> str | None:
    """Why nothing is predicted: too few sizes for a law."""
    return PARAMETERS.obstacle(data)


def points(data: Data) -> pd.DataFrame:
    """A row for each prediction: KEPT, then OBSERVED, which are nan until that size has run: twice
    the largest size of each condition and split, and each size that came after a law was kept.
    """
    ahead = foretold(data)
    ahead = ahead[np.isclose(ahead["size"], ahead["largest"] * FACTORS[NEXT - 1])]
    parts = [came(data), ahead.rename(columns={"n": "over_n", "unit": "over_unit"})]
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    rows = rows.reindex(columns=[*KEPT, *OBSERVED])
    order = rows["split"].map(split_order)
    return rows.assign(order=order).sort_values(["order", "label", "size"], kind="stable").drop(
        columns="order"
    ).reset_index(drop=True)  # fmt: skip


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """A panel per split; a line for each prediction, by condition and size."""
    splits = list(points["split"].unique())
    names = in_order(points["label"])
    hues = dict(zip(names, palette(len(names)), strict=True))
    measure, lines = _measure(points), _lines(points)
    longest = max(len(part) for name in lines for part in name.split("\n"))
    with drawing(style):
        title = "Predicted error of the next size"
        made = page(
            title, _caption(points), _legend(points), (1, len(splits)), "all", style, longest
        )
        for split, panel in zip(splits, made.panels.flat, strict=True):
            here = points[points["split"] == split]
            _panel(panel, here, lines, hues, measure.factor)
            panel.set_yticks(range(len(lines)), lines)
            panel.set_ylim(len(lines) - 0.5, -0.5)
            named = style.renamed(DESCRIBED.get(split, split))
            panel.set_title(folded(named, made.letters), loc="left")
        for panel in made.lowest():
            label = "Error (%)" if measure is ACCURACY else measure.label
            panel.set_xlabel(folded(style.renamed(label), made.letters))
    return made.figure


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    rows, measure = points.to_dict("records"), _measure(points)
    unit = "points" if measure is ACCURACY else "nats"
    about = (
        Column("split", tuple(points["split"]), left=True, folds=True),
        Column("family", tuple(points["label"]), left=True, folds=True),
        Column("sizes up to", tuple(f"{row['largest']:,.0f}" for row in rows)),
        Column("parameters", tuple(f"{row['size']:,.0f}" for row in rows)),
    )
    values = (
        Column("predicted", tuple(measure.text(row["predicted"]) for row in rows)),
        Column("95 %", tuple(_edges(row, measure) for row in rows)),
        Column("observed", tuple(value_text(row["observed"], measure) for row in rows)),
        Column(f"off, {unit}", tuple(value_text(row["off"], measure, "+") for row in rows)),
    )
    return Listing(name, _result(points, measure, unit), about, values)


def _result(points: pd.DataFrame, measure: Measure, unit: str) -> str:
    """How many predicted sizes have been trained, how far off the worst is, how many bands held."""
    ran = points.dropna(subset=["observed"])
    if ran.empty:
        return "no predicted size has been trained yet: sweep a larger one and analyze again"
    worst = max(ran.to_dict("records"), key=lambda row: float(abs(row["off"])))
    far = f"off by {measure.text(worst['off'], '+')} {unit}"
    which = f"{worst['label']}, {worst['size']:,.0f} parameters, "
    which += on(worst["split"])
    said = "1 predicted size has been trained since, "
    if len(ran) > 1:
        said = f"{len(ran)} predicted sizes have been trained since, the farthest "
    banded = ran.dropna(subset=["low"])
    held = int(banded["observed"].between(banded["low"], banded["high"]).sum())
    within = f"; {held} of {len(banded)} within their bands" if len(banded) else ""
    if len(banded) == len(ran) == 1:
        within = "; within its band" if held else "; outside its band"
    return f"{said}{far} ({which}){within}"


def _lines(points: pd.DataFrame) -> list[str]:
    """A name for each condition and size, in order."""
    kept = points.drop_duplicates(["label", "size"])
    several = points["label"].nunique() > 1
    return [_line(row, several) for row in kept.to_dict("records")]


def _line(row: dict[Any, Any], several: bool) -> str:
    size = f"{row['size']:,.0f} parameters"
    return folded(f"{row['label']}: {size}" if several else size, LETTERS)


def _panel(
    panel: Axes, rows: pd.DataFrame, lines: list[str], hues: dict[str, Any], factor: float
) -> None:
    several = len(hues) > 1
    for row in rows.to_dict("records"):
        apart = 0.0 if np.isnan(row["observed"]) else 0.12
        place = lines.index(_line(row, several))
        colour = hues[row["label"]]
        for name, low, high, face, above in (
            ("predicted", "low", "high", "white", -apart),
            ("observed", "observed_low", "observed_high", colour, apart),
        ):
            value = factor * row[name]
            panel.errorbar(
                [value],
                [place + above],
                xerr=[[value - factor * row[low]], [factor * row[high] - value]],
                color=colour,
                marker="D" if name == "predicted" else "o",
                markerfacecolor=face,
                markersize=5,
                elinewidth=1,
                capsize=2,
            )
    panel.grid(axis="x", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def _legend(points: pd.DataFrame) -> list[Line2D]:
    look: dict[str, Any] = {"color": GREY, "linestyle": ""}
    handles = [Line2D([], [], marker="D", markerfacecolor="white", label="predicted", **look)]
    if points["observed"].notna().any():
        handles.append(Line2D([], [], marker="o", label="observed since", **look))
    return handles


def _caption(points: pd.DataFrame) -> str:
    """What was predicted from what."""
    fitted = "1 - accuracy" if _measure(points) is ACCURACY else "cross-entropy"
    said = f"E + A N^-alpha of the {fitted} of smaller sizes"
    if points["low"].notna().any():
        banded = points.dropna(subset=["low"])[["over_n", "over_unit"]]
        counted = over(banded.set_axis(["n", "unit"], axis="columns"))
        said += f"; 95 % bands over {counted}, of {RESAMPLES:,} resamples; {LAWS}"
    waiting = int(points["observed"].isna().sum())
    return f"{said}; {waiting} of {len(points)} not trained yet" if waiting else said


def _measure(points: pd.DataFrame) -> Measure:
    return CROSS_ENTROPY if points["metric"].iloc[0] == CROSS_ENTROPY.metric else ACCURACY


def _edges(row: dict[Any, Any], measure: Measure) -> str:
    return "-" if np.isnan(row["low"]) else limits_text(row, measure)
