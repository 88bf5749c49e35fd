"""Panels: the drawing that figures of scores share, from curves to a figure with its caption.

Conventions: curves are a table, one row per point: split (a panel), row (a row of panels, "" where
there is one), colour and marker (texts, the marker "" where there is one), x, and mean, low, high,
n, unit and epochs of analysis.points; accuracies are fractions there and percent in the drawing.
Contents: Frame, Level, draw_panels.
"""

import textwrap
from collections.abc import Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from analysis.figures.axes import Axis
from analysis.figures.page import GREY, WORDS, page, palette, style
from analysis.points import ACCURACY, Measure, in_order

MARKERS = "osD^vPX*<>"
DESCRIBED = {
    "seen": "Seen devices",
    "unseen": "Unseen devices",
    "test": "Test clips",
    "validation": "Validation clips",
    "train_clean": "Training clips, not augmented",
    "train": "Training clips",
}
SHIFT = 3.0  # typographic points from colour to colour, at most


class Frame(NamedTuple):
    """What stands around the curves."""

    title: str
    label: str  # of the horizontal axis
    axis: Axis
    note: str = ""  # begins the caption
    measure: Measure = ACCURACY
    dotted: str = ""  # the marker whose lines are dotted
    alike: Literal["all", "row"] = "all"  # the panels that share a vertical axis


class Level(NamedTuple):
    """A dashed line across one panel."""

    split: str
    row: str
    mean: float  # as in the curves
    colour: str  # of the curves it belongs to; "" for none
    label: str  # in the legend, once


class Look(NamedTuple):
    """How the points of one colour and marker are drawn."""

    colour: tuple[float, float, float]
    marker: str
    shift: float  # to the right, in typographic points: curves of one x would hide each other


def draw_panels(curves: pd.DataFrame, frame: Frame, levels: Sequence[Level] = ()) -> Figure:
    """A panel for each split, a row of panels for each `row`.

    A line joins the points of one colour and marker in the order of x. Colours stand side by side,
    less than a marker apart, so that their intervals do not hide each other.
    """
    splits, rows = list(curves["split"].unique()), in_order(curves["row"])
    looks = _looks(curves)
    with style():
        legend = _legend(looks, levels, frame.dotted)
        caption = _caption(curves, frame.note)
        shape = (len(rows), len(splits))
        figure, panels = page(frame.title, caption, legend, shape, alike=frame.alike)
        for row, beside_each_other in zip(rows, panels, strict=True):
            for split, panel in zip(splits, beside_each_other, strict=True):
                chosen = curves[(curves["split"] == split) & (curves["row"] == row)]
                _panel(panel, chosen, looks, _usual(curves), frame)
                at = [x for x in levels if (x.split, x.row) == (split, row)]
                _levels(panel, at, looks, frame.measure.factor)
                frame.axis(panel, np.unique(curves["x"].to_numpy(float)))
                named = DESCRIBED.get(split, split) + (f": {row}" if row else "")
                panel.set_title(textwrap.fill(named, WORDS), loc="left")
            beside_each_other[0].set_ylabel(frame.measure.label)
        for panel in panels[-1]:
            panel.set_xlabel(frame.label)
        if frame.measure.factor == 100:  # a share: intervals that pass 0 or 100 % are cut off there
            for panel in figure.axes:  # last: a limit that is set fits no panel drawn after it
                bottom, top = panel.get_ylim()
                panel.set_ylim(max(bottom, -3), min(top, 103))
    return figure


def _looks(curves: pd.DataFrame) -> dict[tuple[str, str], Look]:
    """A look for each (colour, marker) there is; markers tell colours where nothing else does."""
    colours, markers = in_order(curves["colour"]), in_order(curves["marker"])
    hues = palette(len(colours))
    drawn = set(zip(curves["colour"], curves["marker"], strict=True))
    pairs = [pair for pair in product(colours, markers) if pair in drawn]
    step = min(SHIFT, 2 * SHIFT / max(len(pairs) - 1, 1))
    looks = {}
    for place, (colour, marker) in enumerate(pairs):
        i, j = colours.index(colour), markers.index(marker)
        sign = MARKERS[(j if len(markers) > 1 else i) % len(MARKERS)]
        looks[colour, marker] = Look(hues[i], sign, step * (place - (len(pairs) - 1) / 2))
    return looks


def _panel(
    panel: Axes,
    rows: pd.DataFrame,
    looks: dict[tuple[str, str], Look],
    usual: tuple[int, str],
    frame: Frame,
) -> None:
    """One panel's points with their intervals; n stands beside a point where it is unusual."""
    for (colour, marker), look in looks.items():
        line = rows[(rows["colour"] == colour) & (rows["marker"] == marker)]
        line = line.sort_values("x", kind="stable")
        shift = ScaledTranslation(look.shift / 72, 0, panel.figure.dpi_scale_trans)
        factor = frame.measure.factor
        mean, low, high = (factor * line[name].to_numpy() for name in ("mean", "low", "high"))
        panel.errorbar(
            line["x"],
            mean,
            yerr=[(mean - low).tolist(), (high - mean).tolist()],
            color=look.colour,
            marker=look.marker,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.4,
            linestyle=":" if marker and marker == frame.dotted else "-",
            elinewidth=1,
            capsize=2,
            transform=panel.transData + shift,
        )
        for edge in (mean, low, high):  # matplotlib takes no limits from shifted artists
            panel.update_datalim(np.column_stack([line["x"], edge]))
        counted = zip(line["n"], line["unit"], strict=True)
        for x, y, bottom, (n, unit) in zip(line["x"], mean, low, counted, strict=True):
            if (n, unit) != usual:
                panel.annotate(
                    f"n={n}" if unit == usual[1] or np.isnan(bottom) else f"n={n} {unit}",
                    (x, np.nanmin([y, bottom])),
                    xytext=(look.shift, -5),
                    textcoords="offset points",
                    ha="center",
                    va="top",
                    fontsize="small",
                    color=look.colour,
                    path_effects=[withStroke(linewidth=2, foreground="white")],
                )
    panel.margins(y=0.09)  # room for an n below the lowest interval
    panel.autoscale_view()
    panel.grid(axis="y", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def _levels(
    panel: Axes, levels: Sequence[Level], looks: dict[tuple[str, str], Look], factor: float
) -> None:
    """The dashed lines of one panel, behind its points."""
    colours = {colour: look.colour for (colour, _), look in looks.items()}
    for level in levels:
        colour = colours.get(level.colour, GREY)
        panel.axhline(factor * level.mean, color=colour, linestyle="--", linewidth=1, zorder=1)


def _caption(curves: pd.DataFrame, note: str) -> str:
    """What the intervals are over, and of how many epochs a run is; one colour is named here."""
    n, unit = _usual(curves)
    uneven = ((curves["n"] != n) | (curves["unit"] != unit)).any()
    usual = curves[(curves["n"] == n) & (curves["unit"] == unit)]
    if usual["low"].isna().all():
        caption = f"{'one' if n == 1 else n} {unit} per point, no interval"
        if uneven:
            caption += "; mean, with a 95 % interval for three or more, where n is given"
    else:
        caption = f"mean and 95 % interval over {n} {unit}"
        if uneven:
            caption += " unless n is given"
        if (few := curves.loc[curves["low"].isna(), "n"]).size:
            caption += f" (n={few.min()}: no interval)"
    fewest, most = curves["epochs"].min(), curves["epochs"].max()
    if most > 1:
        several = f"{most}" if fewest == most else f"{fewest} to {most}"
        caption += f"; a run is the mean of its last {several} epochs"
    colours = curves["colour"].unique()
    named = [note, *colours] if len(colours) == 1 else [note]
    return "; ".join([*filter(None, named), caption])


def _legend(
    looks: dict[tuple[str, str], Look], levels: Sequence[Level], dotted: str
) -> list[Line2D]:
    """Colours, then markers where there are several, then dashed lines."""
    colours = {colour: look for (colour, _), look in looks.items()}
    markers = {marker: look.marker for (_, marker), look in looks.items()}
    marked = len(markers) > 1
    handles = [
        Line2D([], [], color=look.colour, marker="" if marked else look.marker, label=colour)
        for colour, look in colours.items()
        if len(colours) > 1
    ]
    if marked:
        for marker in in_order(markers):
            entry = Line2D([], [], color=GREY, marker=markers[marker], label=marker)
            if dotted not in markers:
                entry.set_linestyle("")  # a line's style says nothing here
            elif marker == dotted:
                entry.set_linestyle(":")
            handles.append(entry)
    labels = dict.fromkeys(level.label for level in levels)
    return [
        *handles,
        *(Line2D([], [], color=GREY, linestyle="--", label=label) for label in labels),
    ]


def _usual(curves: pd.DataFrame) -> tuple[int, str]:
    """The commonest number of units and what they are; the largest of several such."""
    counts = curves.groupby(["n", "unit"]).size()
    n, unit = max(counts[counts == counts.max()].index)
    return int(n), str(unit)
