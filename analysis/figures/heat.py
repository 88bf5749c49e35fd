"""Heat: the drawing that matrices of shares are drawn by: classes by devices, classes by classes.

Conventions: a panel is a model; rows and columns are names, the same in all panels. Colours are of
one order in brightness, so that they are told in grey; a number stands in a cell where it has room.
Contents: Heat, draw_heat.
"""

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.failures.models import MODEL
from analysis.figures.layout import FONT, PLAIN, Page, Style, drawing, folded, page
from analysis.figures.places import across_panels
from scaling.text import printable

LETTERS = 16  # of a name, at most: what is longer ends in three dots
HIGH = 0.17  # inches of a row, in FONT, while rows are few
TALLEST = 7.0  # inches of all rows, in FONT
DIGIT = 0.62  # wide: a digit, as a share of its size
ABSENT = "0.85"  # the colour of cells without a clip


class Heat(NamedTuple):
    """What a heat map shows."""

    title: str
    note: str  # begins the caption
    label: str  # of the colours
    rows: Sequence[str]  # from the top down
    columns: Sequence[str]
    across: str  # label of the horizontal axis
    down: str
    colours: str = "cividis"
    empty: float = np.nan  # value of cells that no row of the points is of
    lines: Sequence[float] = ()  # between columns, where groups of them meet


def draw_heat(
    points: pd.DataFrame, row: str, column: str, heat: Heat, style: Style = PLAIN
) -> Figure:
    """A panel for each model, with its `name` (places.drawn_models); `row` and `column` name the
    columns of the points.
    """
    models = points[MODEL].unique()
    names = [_short(style.renamed(name)) for name in heat.rows]
    columns = [_short(style.renamed(name)) for name in heat.columns]
    longest = max(map(len, names))
    norm = Normalize(0, 100)
    with drawing(style):
        shape = across_panels(len(models), style)
        tall = min(HIGH * len(names), TALLEST) + 0.075 * max(map(len, columns)) + 0.3
        made = page(heat.title, heat.note, [], shape, "all", style, names=longest, tall=tall)
        for model, panel in zip(models, made.panels.flat, strict=False):
            here = points[points[MODEL] == model]
            table = here.pivot_table(index=row, columns=column, values="value", sort=False)
            value_RC = 100 * table.reindex(index=[*heat.rows], columns=[*heat.columns])
            value_RC = value_RC.fillna(100 * heat.empty).to_numpy()
            colours = matplotlib.colormaps[heat.colours].with_extremes(bad=ABSENT)
            masked = np.ma.masked_invalid(value_RC)
            panel.imshow(masked, cmap=colours, norm=norm, aspect="auto", interpolation="none")
            panel.set_title(folded(style.renamed(here["name"].iloc[0]), made.letters), loc="left")
            for line in heat.lines:
                panel.axvline(line, color="white", linewidth=2.5)
            _numbers(panel, value_RC, heat, style, made)
        for panel in made.panels.flat[len(models) :]:
            panel.set_axis_off()
        _names(made, names, columns, style)
        for panel in made.leftmost():
            panel.set_ylabel(folded(style.renamed(heat.down), made.high))
        for panel in made.lowest():
            panel.set_xlabel(folded(style.renamed(heat.across), made.letters))
        bar = made.figure.colorbar(
            ScalarMappable(norm, matplotlib.colormaps[heat.colours]), ax=[*made.panels.flat],
            location="bottom" if style.width is not None else "right", aspect=30, fraction=0.05,
            pad=0.03,
        )  # fmt: skip
        bar.set_label(folded(style.renamed(heat.label), 40))
    return made.figure


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 3]}..."


def _size(made: Page, cells: int, across: bool) -> float:
    """Points of page for each of so many cells beside each other in a panel, about."""
    spec = made.panels.flat[0].get_subplotspec()
    assert spec is not None
    grid, figure = spec.get_gridspec(), made.figure
    if across:
        return float(72 * 0.78 * figure.get_figwidth() / grid.ncols / cells)
    return float(72 * 0.7 * figure.get_figheight() / grid.nrows / cells)


def _names(made: Page, names: Sequence[str], columns: Sequence[str], style: Style) -> None:
    """Names along both axes, fewer where they would touch."""
    size = 0.8 * FONT * style.scale
    first = made.panels.flat[0]
    for axis, texts, across in (("y", names, False), ("x", columns, True)):
        every = max(1, round(size / _size(made, len(texts), across) + 0.2))
        places = range(0, len(texts), every)
        if axis == "y":
            first.set_yticks(places, [texts[at] for at in places])
        for panel in made.panels.flat if axis == "x" else ():
            panel.set_xticks(places, [texts[at] for at in places], rotation=90)


def _numbers(panel: Axes, value_RC: "np.ndarray", heat: Heat, style: Style, made: Page) -> None:
    """Whole percents in the cells, where these have room for three digits."""
    wide, high = (_size(made, n, across) for n, across in
                  ((value_RC.shape[1], True), (value_RC.shape[0], False)))  # fmt: skip
    size = min(0.75 * FONT * style.scale, wide / (3 * DIGIT), high / 1.3)
    if size < 4:
        return
    colours = matplotlib.colormaps[heat.colours]
    for (row, column), value in np.ndenumerate(value_RC):
        if np.isnan(value) or (value == 0 and heat.empty == 0):
            continue
        red, green, blue, _ = colours(value / 100)
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
        panel.text(
            column, row, f"{value:.0f}", ha="center", va="center", fontsize=size,
            color="white" if dark else "black",
        )  # fmt: skip
