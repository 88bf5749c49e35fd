"""Facets: the drawing that figures of scores share, from curves to panels with a caption.

Conventions: curves are a table, one row per point: split (a panel), row (a row of panels, "" where
there is one), colour and marker (texts, the marker "" where there is one), x, and mean, low, high,
n, unit, epochs and chance of analysis.aggregate; accuracies are fractions there and percent in the
drawing. Where a line has two points at one x, `mark` says what tells them apart. Curves that all
have one x, or nearly, are no lines: their means stand below each other, by name.
Contents: Frame, Level, draw_facets.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from analysis.aggregate import in_order
from analysis.figures.facet_texts import caption_of, legend_of, name_panel, usual_in, usual_of
from analysis.figures.facets_by_name import draw_names
from analysis.figures.frame import Frame, Level, chances
from analysis.figures.layout import PLAIN, Style, drawing, folded, page, ruled
from analysis.figures.looks import SPREAD, Look, Looks, draw_levels, looks_of

__all__ = ["Frame", "Level", "draw_facets"]
ONE_SIZE = 1.01  # sizes that differ by less are no axis


def draw_facets(
    curves: pd.DataFrame, frame: Frame, levels: Sequence[Level] = (), style: Style = PLAIN
) -> Figure:
    """A panel for each split, a row of panels for each `row`.

    A line joins the points of one colour and marker in the order of x. Colours stand side by side,
    less than a marker apart, so that their intervals do not hide each other, and each has its own
    marker or style of line. Chance is a line where an accuracy is drawn.
    """
    at_chance, beyond = chances(curves, frame)
    levels = [*levels, *at_chance]
    frame = frame._replace(note="; ".join(filter(None, (frame.note, beyond))))
    if curves["x"].max() <= ONE_SIZE * curves["x"].min():
        return draw_names(curves, frame, levels, style)
    splits, rows = list(curves["split"].unique()), in_order(curves["row"])
    looks, usual = looks_of(curves, frame), usual_of(curves)
    with drawing(style):
        legend = legend_of(looks, levels, frame.dotted)
        caption = caption_of(curves, frame.note, style)
        shape = (len(rows), len(splits))
        made = page(frame.title, caption, legend, shape, frame.alike, style)
        for row, beside_each_other in zip(rows, made.panels, strict=True):
            for split, panel in zip(splits, beside_each_other, strict=True):
                chosen = curves[(curves["split"] == split) & (curves["row"] == row)]
                _panel(panel, chosen, looks, usual_in(chosen, usual), frame)
                at = [x for x in levels if (x.split, x.row) == (split, row)]
                draw_levels(panel.axhline, at, looks, frame.measure.factor)
                frame.axis(panel, np.unique(curves["x"].to_numpy(float)))
                name_panel(panel, chosen, usual, made, style)
        for panel in made.leftmost():
            panel.set_ylabel(folded(style.renamed(frame.measure.label), made.high))
        for panel in made.lowest():
            panel.set_xlabel(folded(style.renamed(frame.label), made.letters))
        if frame.measure.factor == 100:  # a share: intervals that pass 0 or 100 % are cut off there
            for panel in made.figure.axes:  # last: a limit that is set fits no panel drawn after it
                bottom, top = panel.get_ylim()
                panel.set_ylim(max(bottom, -3), min(top, 103))
    return made.figure


def _panel(
    panel: Axes,
    rows: pd.DataFrame,
    looks: Looks,
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
        steep = bool(line["x"].duplicated().any())  # a line through them would be no curve
        panel.errorbar(
            line["x"],
            mean,
            yerr=[(mean - low).tolist(), (high - mean).tolist()],
            color=look.colour,
            marker=look.marker,
            markersize=look.size,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.4,
            linestyle="" if steep else look.line,
            elinewidth=1,
            capsize=2,
            transform=panel.transData + shift,
        )
        for edge in (mean, low, high):  # matplotlib takes no limits from shifted artists
            panel.update_datalim(np.column_stack([line["x"], edge]))
        if steep and "mark" in line:
            for x, y, mark in zip(line["x"], mean, line["mark"], strict=True):
                _beside(panel, mark, (x, y), (SPREAD / 2 + 5, 0), look, ha="left", va="center")
        counted = zip(line["n"], line["unit"], strict=True)
        for x, y, bottom, (n, unit) in zip(line["x"], mean, low, counted, strict=True):
            if (n, unit) != usual:
                said = f"n={n}" if unit == usual[1] or np.isnan(bottom) else f"n={n} {unit}"
                below = (x, np.nanmin([y, bottom]))
                _beside(panel, said, below, (look.shift, -5), look, ha="center", va="top")
    panel.margins(y=0.09)  # room for an n below the lowest interval
    panel.autoscale_view()
    ruled(panel, "y")


def _beside(
    panel: Axes,
    text: str,
    at: tuple[float, float],
    away: tuple[float, float],
    look: Look,
    **align: Any,
) -> None:
    """A small text beside a point, in its colour; `away` in typographic points."""
    panel.annotate(
        text,
        at,
        xytext=away,
        textcoords="offset points",
        fontsize="small",
        color=look.colour,
        path_effects=[withStroke(linewidth=2, foreground="white")],
        **align,
    )
