"""Facets of curves of one size, which are no lines: their means by name, from the top down.

Conventions: curves are those of analysis.figures.facets. Contents: draw_names.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.aggregate import in_order
from analysis.figures.facet_texts import caption_of, entries, name_panel, usual_in, usual_of
from analysis.figures.frame import Frame, Level
from analysis.figures.layout import Style, drawing, folded, page, ruled
from analysis.figures.looks import Looks, draw_levels, looks_of
from scaling.text import printable

NAME = 32  # letters of a name along an axis, at most
NAMED = 0.18  # inches that a line of a name takes up


def draw_names(curves: pd.DataFrame, frame: Frame, levels: Sequence[Level], style: Style) -> Figure:
    """Of curves of one size the means by name, from the top down, with their intervals."""
    splits, rows = list(curves["split"].unique()), in_order(curves["row"])
    looks, usual = looks_of(curves, frame), usual_of(curves)
    names = _names(looks, style)
    lines = [name.split("\n") for name in names]
    only = " to ".join(f"{x:,.15g}" for x in sorted({curves["x"].min(), curves["x"].max()}))
    at = f"{frame.label} {only}" if frame.label else ""
    with drawing(style):
        note = "; ".join(filter(None, (frame.note, at)))
        made = page(
            frame.title,
            caption_of(curves, note, style),
            entries(levels),
            (len(rows), len(splits)),
            "all",
            style,
            names=max(len(line) for each in lines for line in each),
            tall=NAMED * len(names) * max(map(len, lines)),
        )
        for row, beside_each_other in zip(rows, made.panels, strict=True):
            for split, panel in zip(splits, beside_each_other, strict=True):
                here = curves[(curves["split"] == split) & (curves["row"] == row)]
                _panel(panel, here, looks, usual_in(here, usual), frame.measure.factor)
                across = [x for x in levels if (x.split, x.row) == (split, row)]
                draw_levels(panel.axvline, across, looks, frame.measure.factor)
                panel.set_yticks(range(len(looks)), names)
                panel.set_ylim(len(looks) - 0.5, -0.5)
                ruled(panel, "x")
                name_panel(panel, here, usual, made, style)
        for panel in made.lowest():
            panel.set_xlabel(folded(style.renamed(frame.measure.label), made.letters))
    return made.figure


def _names(looks: Looks, style: Style) -> list[str]:
    """A name for each look, in lines: of colour and marker what differs."""
    several = [len({key[part] for key in looks}) > 1 for part in (0, 1)]
    named = [
        ", ".join(style.renamed(k) for k, varies in zip(key, several, strict=True) if varies)
        for key in looks
    ]
    # names of ticks are set anew when a figure is drawn: what is escaped later does not last
    return [folded(printable(text), NAME) if text else "" for text in named]


def _panel(
    panel: Axes, here: pd.DataFrame, looks: Looks, usual: tuple[int, str], factor: float
) -> None:
    """One panel's means with their intervals; n stands above a mean where it is unusual."""
    for place, (key, look) in enumerate(looks.items()):
        points = here[(here["colour"] == key[0]) & (here["marker"] == key[1])]
        mean, low, high = (factor * points[c] for c in ("mean", "low", "high"))
        panel.errorbar(
            mean,
            [float(place)] * len(points),
            xerr=[(mean - low).tolist(), (high - mean).tolist()],
            color=look.colour,
            marker=look.marker,
            markersize=look.size,
            linestyle="",
            elinewidth=1,
            capsize=2,
        )
        for x, n, unit in zip(mean, points["n"], points["unit"], strict=True):
            if (n, unit) != usual:
                panel.annotate(
                    f"n={n}",
                    (x, place),
                    xytext=(0, 4),
                    textcoords="offset points",
                    ha="center",
                    fontsize="small",
                    color=look.colour,
                )
