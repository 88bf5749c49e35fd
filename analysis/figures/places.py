"""Places: the drawing that figures by device and by class share, a dot for each, worst first.

Conventions: points are those of analysis.failures, with `split` and one column of places (devices,
classes); a panel is a model. Splits are told by marker and colour; a dashed line is the mean of a
split's places, a ring the worst of them, with its value.
Contents: MOST_PANELS, MOST_NAMES, caption, model_names, drawn_models, across_panels, draw_places.
"""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.aggregate import other_dimensions, varying
from analysis.coverage import conservative
from analysis.failures.models import MODEL
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import PLAIN, Style, drawing, folded, page, palette
from analysis.units import over
from scaling.text import printable

MOST_PANELS = 6
MOST_NAMES = 30  # along an axis: of more, the lowest
ACROSS = 3  # panels beside each other, where the page is as wide as it needs
NONE = "(not named)"  # a device
LETTERS = 24  # of a name along an axis, in a line
HIGH = 0.17  # inches of a name along a vertical axis, in FONT
MARKERS = "osD^v"
LINES: tuple[Any, ...] = ("--", ":", "-.")


def caption(points: pd.DataFrame) -> str:
    """What the intervals are over."""
    known = points[points["low"].notna()]
    if known.empty:
        return f"{over(points)} per point, no interval"
    return "; ".join(
        filter(None, [f"mean and 95 % interval over {over(known)}", conservative(known)])
    )


def model_names(points: pd.DataFrame) -> "pd.Series[str]":
    """What tells the model of each row from the others; empty where there is one."""
    return varying(points.assign(size=other_dimensions(points, "")), ["family", "size"])


def drawn_models(points: pd.DataFrame, most: int = MOST_PANELS) -> tuple[pd.DataFrame, str]:
    """The points of as many models as a figure has room for, with their `name`, and what the
    caption says of them: where there are more, the largest of each family.
    """
    points = points.assign(name=model_names(points))
    about = points.drop_duplicates(MODEL).set_index(MODEL)
    if len(about) <= most:
        return points, ""
    largest = about.groupby("family", sort=False)["kept_parameters"].idxmax().tolist()
    chosen = sorted(largest)[:most]
    which = "the largest of each family"
    if len(chosen) < len(largest):
        which = f"the largest of {len(chosen)} of {len(largest)} families"
    kept: pd.DataFrame = points[points[MODEL].isin(chosen)]
    return kept, f"{len(chosen)} of {len(about)} models: {which}"


def across_panels(models: int, style: Style) -> tuple[int, int]:
    """Rows and columns of so many panels; one row where the width is given, which is folded."""
    if style.width is not None:
        return 1, models
    columns = min(models, ACROSS if models != 4 else 2)
    return math.ceil(models / columns), columns


def draw_places(points: pd.DataFrame, place: str, title: str, style: Style = PLAIN) -> Figure:
    """A panel for each model; a line for each of its `place`s, in order of their means."""
    points, note = drawn_models(points)
    order = points.groupby(place)["value"].mean().sort_values(kind="stable").index.tolist()
    plural = {"device": "devices", "label": "classes"}[place]
    few = f"the {MOST_NAMES} lowest of {len(order)} {plural}" if len(order) > MOST_NAMES else ""
    names = [
        folded(printable(style.renamed(str(each) or NONE)), LETTERS) for each in order[:MOST_NAMES]
    ]
    lines = sum(name.count("\n") + 1 for name in names)
    longest = max(len(line) for name in names for line in name.split("\n"))
    splits = list(points["split"].unique())
    models = points[MODEL].unique()
    with drawing(style):
        texts = [note, few, caption(points)]
        shape = across_panels(len(models), style)
        made = page(
            title, "; ".join(filter(None, texts)), _legend(points, splits, plural), shape, "all",
            style, names=longest, tall=HIGH * lines + 0.25,
        )  # fmt: skip
        for model, panel in zip(models, made.panels.flat, strict=False):
            here = points[points[MODEL] == model]
            _panel(panel, here, place, order[:MOST_NAMES], splits)
            panel.set_title(folded(style.renamed(here["name"].iloc[0]), made.letters), loc="left")
        for panel in made.panels.flat[len(models) :]:
            panel.set_axis_off()
        made.panels.flat[0].set_yticks(range(len(names)), names)
        made.panels.flat[0].set_ylim(len(names) - 0.5, -0.5)
        drawn = 100 * points.loc[points[place].isin(order[:MOST_NAMES]), ["value", "low", "high"]]
        left, right = drawn.min().min(), drawn.max().max()
        edge = max(0.06 * (right - left), 1.0)
        made.panels.flat[0].set_xlim(max(left - edge, -3), min(right + edge, 103))
        for panel in made.lowest():
            panel.set_xlabel(folded(style.renamed("Accuracy (%)"), made.letters))
    return made.figure


def _panel(
    panel: Axes, here: pd.DataFrame, place: str, order: Sequence[str], splits: Sequence[str]
) -> None:
    """One model's dots."""
    colours = palette(len(splits))
    at = {name: row for row, name in enumerate(order)}
    for number, split in enumerate(splits):
        every = here[here["split"] == split]
        rows = every[every[place].isin(order)]
        if every.empty:
            continue
        mean, low, high = (100 * rows[name] for name in ("value", "low", "high"))
        places = [at[name] + 0.12 * (number - (len(splits) - 1) / 2) for name in rows[place]]
        panel.errorbar(
            mean, places, xerr=[(mean - low).tolist(), (high - mean).tolist()], linestyle="",
            color=colours[number], marker=MARKERS[number % len(MARKERS)], markersize=4.5,
            elinewidth=1, capsize=2,
        )  # fmt: skip
        if len(every) < 2:
            continue
        panel.axvline(100 * every["value"].mean(), color=colours[number], zorder=1, linewidth=1,
                      linestyle=LINES[number % len(LINES)])  # fmt: skip
        worst = int(rows["value"].to_numpy().argmin())
        where = (mean.iloc[worst], places[worst])
        panel.plot(*where, "o", markersize=10, markerfacecolor="none", markeredgecolor="black")
        if split != splits[-1]:
            continue  # two values beside each other hide dots
        panel.annotate(
            f"{mean.iloc[worst]:.1f}", where, xytext=(7, 0), textcoords="offset points",
            va="center", fontsize="small",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
    panel.grid(axis="both", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def _legend(points: pd.DataFrame, splits: Sequence[str], plural: str) -> list[Line2D]:
    """Splits, their means, and the ring."""
    made = []
    for number, colour in enumerate(palette(len(splits))):
        label = DESCRIBED.get(splits[number], splits[number])
        marker = MARKERS[number % len(MARKERS)]
        several = points.loc[points["split"] == splits[number]].groupby(MODEL).size().max() > 1
        line: Any = LINES[number % len(LINES)] if several else ""
        label += " and their mean" if several and plural == "devices" else ""
        label += " and the mean" if several and plural != "devices" else ""
        made.append(Line2D([], [], color=colour, marker=marker, linestyle=line, label=label))
    ring = Line2D([], [], color="black", marker="o", markersize=9, markerfacecolor="none")
    ring.set(linestyle="", label="worst of them", markeredgecolor="black")
    return [*made, ring]
