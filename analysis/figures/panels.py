"""Panels: the drawing that all accuracy figures share, from curves to a figure with its caption.

Conventions: curves are a table, one row per point: split (a panel), row (a row of panels, "" where
there is one), colour and marker (texts, the marker "" where there is one), x, and mean, low, high,
n and epochs of analysis.points; accuracies are fractions there and percent in the drawing.
Contents: Frame, Level, draw_panels.
"""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from analysis.figures.axes import Axis

MARKERS = "osD^vPX*<>"
DESCRIBED = {
    "seen": "Seen devices",
    "unseen": "Unseen devices",
    "test": "Test clips",
    "validation": "Validation clips",
    "train_clean": "Training clips, not augmented",
    "train": "Training clips",
}
PANEL = (2.9, 2.75)  # inches, with its labels
LINE = 0.17  # inches, high: of the legend and the caption
LETTER = 0.071  # inches, wide: of the legend and the caption
BOLD = 0.093  # inches, wide: a letter of the title
WORDS = 40  # letters in a line of the legend or of a panel's title
COLOURS = 10  # in seaborn's colour-blind-safe palette
SHIFT = 3.0  # typographic points from colour to colour, at most
GREY = "0.35"


class Frame(NamedTuple):
    """What stands around the curves."""

    title: str
    label: str  # of the horizontal axis
    axis: Axis
    note: str = ""  # begins the caption


class Level(NamedTuple):
    """A dashed line across one panel."""

    split: str
    row: str
    mean: float  # a fraction
    colour: str  # of the curves it belongs to; "" for none
    label: str  # in the legend, once


class Look(NamedTuple):
    """How the points of one colour and marker are drawn."""

    colour: tuple[float, float, float]
    marker: str
    shift: float  # to the right, in typographic points: curves of one x would hide each other


def draw_panels(curves: pd.DataFrame, frame: Frame, levels: Sequence[Level] = ()) -> Figure:
    """A panel for each split, a row of panels for each `row`, all with one accuracy axis.

    A line joins the points of one colour and marker in the order of x. Colours stand side by side,
    less than a marker apart, so that their intervals do not hide each other.
    """
    splits, rows = list(curves["split"].unique()), sorted(curves["row"].unique())
    looks = _looks(curves)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        legend = _legend(looks, levels)
        words = [line for entry in legend for line in str(entry.get_label()).split("\n")]
        longest = max(map(len, words), default=0)
        beside = 0.5 + LETTER * longest if legend else 0.0
        width = max(0.9 + PANEL[0] * len(splits) + beside, 0.3 + BOLD * len(frame.title))
        caption = textwrap.wrap(_caption(curves, frame.note), int((width - 0.2) / LETTER))
        heading = 0.45 + LINE * len(caption)
        height = heading + max(PANEL[1] * len(rows) + 0.33, 0.8 + LINE * len(words))
        figure = Figure(figsize=(width, height))
        figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - heading / height))
        panels = figure.subplots(len(rows), len(splits), sharex=True, sharey=True, squeeze=False)
        for row, beside_each_other in zip(rows, panels, strict=True):
            for split, panel in zip(splits, beside_each_other, strict=True):
                chosen = curves[(curves["split"] == split) & (curves["row"] == row)]
                _panel(panel, chosen, looks, _usual_n(curves))
                _levels(panel, [x for x in levels if (x.split, x.row) == (split, row)], looks)
                frame.axis(panel, np.unique(curves["x"].to_numpy(float)))
                named = DESCRIBED.get(split, split) + (f": {row}" if row else "")
                panel.set_title(textwrap.fill(named, WORDS), loc="left")
            beside_each_other[0].set_ylabel("Accuracy (%)")
        for panel in panels[-1]:
            panel.set_xlabel(frame.label)
        if legend:
            panels[0, -1].legend(
                handles=legend, loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False
            )
        left, top = 0.08 / width, 1 - 0.10 / height
        figure.text(left, top, frame.title, va="top", fontsize="large", fontweight="bold")
        figure.text(
            left, 1 - 0.34 / height, "\n".join(caption), va="top", fontsize="medium", color=GREY
        )
    return figure


def _looks(curves: pd.DataFrame) -> dict[tuple[str, str], Look]:
    """A look for each (colour, marker) there is; markers tell colours where nothing else does."""
    colours, markers = sorted(curves["colour"].unique()), sorted(curves["marker"].unique())
    named = "colorblind" if len(colours) <= COLOURS else "husl"
    palette = sns.color_palette(named, len(colours))
    pairs = sorted(set(zip(curves["colour"], curves["marker"], strict=True)))
    step = min(SHIFT, 2 * SHIFT / max(len(pairs) - 1, 1))
    looks = {}
    for place, (colour, marker) in enumerate(pairs):
        i, j = colours.index(colour), markers.index(marker)
        sign = MARKERS[(j if len(markers) > 1 else i) % len(MARKERS)]
        looks[colour, marker] = Look(palette[i], sign, step * (place - (len(pairs) - 1) / 2))
    return looks


def _panel(
    panel: Axes, rows: pd.DataFrame, looks: dict[tuple[str, str], Look], usual_n: int
) -> None:
    """One panel's points with their intervals; n stands beside a point where it is unusual."""
    for (colour, marker), look in looks.items():
        line = rows[(rows["colour"] == colour) & (rows["marker"] == marker)]
        line = line.sort_values("x", kind="stable")
        shift = ScaledTranslation(look.shift / 72, 0, panel.figure.dpi_scale_trans)
        mean, low, high = (100 * line[name].to_numpy() for name in ("mean", "low", "high"))
        panel.errorbar(
            line["x"],
            mean,
            yerr=[mean - low, high - mean],
            color=look.colour,
            marker=look.marker,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.4,
            elinewidth=1,
            capsize=2,
            transform=panel.transData + shift,
        )
        for edge in (mean, low, high):  # matplotlib takes no limits from shifted artists
            panel.update_datalim(np.column_stack([line["x"], edge]))
        for x, y, bottom, n in zip(line["x"], mean, low, line["n"], strict=True):
            if n != usual_n:
                panel.annotate(
                    f"n={n}",
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


def _levels(panel: Axes, levels: Sequence[Level], looks: dict[tuple[str, str], Look]) -> None:
    """The dashed lines of one panel, behind its points."""
    colours = {colour: look.colour for (colour, _), look in looks.items()}
    for level in levels:
        colour = colours.get(level.colour, GREY)
        panel.axhline(100 * level.mean, color=colour, linestyle="--", linewidth=1, zorder=1)


def _caption(curves: pd.DataFrame, note: str) -> str:
    """What the intervals are, over how many runs of how many epochs; one colour is named here."""
    usual = _usual_n(curves)
    uneven = (curves["n"] != usual).any()
    if usual == 1:
        caption = "one run per point, no interval"
        if uneven:
            caption += "; mean and 95 % t interval where n is given"
    else:
        caption = f"mean and 95 % t interval over {usual} runs"
        if uneven:
            caption += " unless n is given"
        if (curves["n"] == 1).any():
            caption += " (n=1: no interval)"
    fewest, most = curves["epochs"].min(), curves["epochs"].max()
    if most > 1:
        several = f"{most}" if fewest == most else f"{fewest} to {most}"
        caption += f"; a run is the mean of its last {several} epochs"
    colours = curves["colour"].unique()
    named = [note, *colours] if len(colours) == 1 else [note]
    return "; ".join([*filter(None, named), caption])


def _legend(looks: dict[tuple[str, str], Look], levels: Sequence[Level]) -> list[Line2D]:
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
        handles += [
            Line2D([], [], color=GREY, linestyle="", marker=markers[marker], label=marker)
            for marker in sorted(markers)
        ]
    labels = dict.fromkeys(level.label for level in levels)
    handles += [Line2D([], [], color=GREY, linestyle="--", label=label) for label in labels]
    for handle in handles:
        handle.set_label(textwrap.fill(str(handle.get_label()), WORDS))
    return handles


def _usual_n(curves: pd.DataFrame) -> int:
    """The commonest number of runs; the largest of several such."""
    return int(curves["n"].mode().max())
