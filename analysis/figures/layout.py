"""The page that figures share: style, size, title, caption, legend and a grid of empty panels.

Conventions: sizes are inches, fonts points; texts are folded here, so that all words stand on the
page. Without a width a page is as wide as its panels need, its legend beside them; with one, panels
shrink and stack, the legend below them.
Contents: Style, drawing, palette, ruled, Page, page, folded.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

PANEL = (2.9, 2.75)  # with its labels
NARROWEST = 1.25  # of a panel without its labels: below it panels stack
NARROW = 5.0  # a page narrower than this is a column of a paper: smaller letters
FONT, SMALL_FONT = 9.6, 8.0  # points: of labels, on a page and in a column
LINE = 0.17  # high: a line of the legend and the caption, in FONT
MARK = 0.68  # wide: a line of the legend, and the gaps around it
LETTER = 0.071  # wide: of the legend and the caption, in FONT
BOLD = 0.093  # wide: a letter of the title, in FONT
AXIS = 0.55  # wide: ticks and label of a vertical axis, in FONT
WORDS = 40  # letters in a line of the legend or of a panel's title, at most
COLOURS = 10  # in seaborn's colour-blind-safe palette
GREY = "0.35"


@dataclass(frozen=True)
class Style:
    """How figures are to look, as their reader asks for it."""

    width: float | None = None  # inches
    height: float | None = None  # inches
    dpi: int = 200  # of a PNG
    font_size: float | None = None  # points
    title: bool = True  # whether title and caption are drawn
    labels: Mapping[str, str] = field(default_factory=dict)  # texts, and what stands in their place
    found: set[str] = field(default_factory=set, compare=False)  # labels that were replaced so far

    @property
    def scale(self) -> float:
        """Size of the letters, as a share of FONT."""
        narrow = self.width is not None and self.width < NARROW
        return (self.font_size or (SMALL_FONT if narrow else FONT)) / FONT

    def renamed(self, text: str) -> str:
        """A label by its new name; of `damped 0.99, static` each part has one, too."""
        if text in self.labels:
            self.found.add(text)
            return self.labels[text]
        parts = text.split(", ")
        return ", ".join(map(self.renamed, parts)) if len(parts) > 1 else text


PLAIN = Style()


@contextmanager
def drawing(style: Style = PLAIN) -> Iterator[None]:
    """What every figure is drawn in: `$` in a label is a dollar, and begins no formula."""
    plain = matplotlib.rc_context({"text.parse_math": False})
    context = sns.plotting_context("paper", font_scale=style.scale)
    with sns.axes_style("ticks"), context, plain:
        yield


def palette(colours: int) -> list[tuple[float, float, float]]:
    """That many colours, safe for the colour-blind while there are few."""
    return list(sns.color_palette("colorblind" if colours <= COLOURS else "husl", colours))


def folded(text: str, letters: int = WORDS) -> str:
    """The text in lines of so many letters at most; its own lines stay."""
    return "\n".join(textwrap.fill(line, max(letters, 8)) for line in text.split("\n"))


def ruled(panel: Axes, axis: Literal["x", "y"]) -> None:
    """Finish a panel: lines across it at the ticks of this axis, behind what is drawn."""
    panel.grid(axis=axis, color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


class Page(NamedTuple):
    """A figure and its empty panels."""

    figure: Figure
    panels: "np.ndarray[Any, Any]"  # (rows, columns), however they stand on the page
    letters: int  # in a line of a panel's title
    high: int  # letters in a line of a vertical axis' label

    def lowest(self) -> list[Axes]:
        """The panels below which none stands."""
        placed = {_place(panel): panel for panel in self.panels.flat}
        return [p for (row, column), p in placed.items() if (row + 1, column) not in placed]

    def leftmost(self) -> list[Axes]:
        """The panels left of which none stands."""
        return [panel for panel in self.panels.flat if _place(panel)[1] == 0]


def page(
    title: str,
    caption: str,
    legend: Sequence[Line2D],
    shape: tuple[int, int],
    alike: Literal["all", "row", "none"],
    style: Style = PLAIN,
    names: int = 0,
    tall: float = 0.0,
) -> Page:
    """A figure with its title, its caption and its legend, and its panels (rows, columns), empty.

    `alike` names the panels that share a vertical axis; `names` is how many letters the names along
    it have, where it has names; `tall` is how high a panel without its labels is at least, in FONT.
    """
    rows, columns = shape
    scale = style.scale
    letter, line = LETTER * scale, LINE * scale
    for entry in legend:
        entry.set_label(folded(style.renamed(str(entry.get_label()))))
    words = [text for entry in legend for text in str(entry.get_label()).split("\n")]
    widest = MARK * scale + letter * max(map(len, words)) if legend else 0.0
    axis = AXIS * scale + letter * names
    title = style.renamed(title)
    if style.width is None:
        beside, below, across = widest, 0.0, columns
        natural = 0.35 + axis + PANEL[0] * columns + beside
        width = max(natural, 0.3 + BOLD * scale * len(title) if style.title else 0)
        panel = PANEL[0] - axis / columns
    else:
        width, beside = style.width, 0.0
        across = columns
        while across > 1 and _panel_width(width, across, axis, alike) < NARROWEST * scale:
            across -= 1
        panel = _panel_width(width, across, axis, alike)
        side_by_side = max(1, int((width - 0.1) / (widest + 0.05))) if legend else 1
        lines = max((str(e.get_label()).count("\n") + 1 for e in legend), default=0)
        below = line * 1.1 * lines * -(-len(legend) // side_by_side) + (0.12 if legend else 0)
    lines_of = textwrap.wrap(caption, int((width - 0.2) / letter)) if style.title else []
    title_of = textwrap.wrap(title, int((width - 0.2) / (BOLD * scale))) if style.title else []
    heading = 0.10 + 1.32 * line * len(title_of) + line * len(lines_of) + 0.1 * bool(title_of)
    down = rows * -(-columns // across)
    least, tall = tall * scale, max(min(max(0.95 * panel, 1.2), 2.2), tall * scale)
    if style.width is None:
        each = max(PANEL[1], least + 0.42 * scale)
        height = heading + max(each * rows + 0.33, 0.8 + line * len(words))
    else:
        height = heading + below + down * (tall + 0.42 * scale) + 0.35 * scale
    height = style.height or height
    figure = Figure(figsize=(width, height))
    rest = max(1 - (heading + below) / height, 0.2)
    figure.set_layout_engine("constrained", rect=(0, below / height, 1 - beside / width, rest))
    grid = figure.subplots(down, across, sharex=True, sharey=alike, squeeze=False)
    panels = _arranged(grid, rows, columns)
    if legend and style.width is None:
        texts = panels[0, -1].legend(
            handles=list(legend), loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False
        )
        texts.set_in_layout(False)  # a long one would push the rows apart
    elif legend:
        figure.legend(
            handles=list(legend),
            loc="lower left",
            bbox_to_anchor=(0.05 / width, 0),
            ncols=min(side_by_side, len(legend)),
            frameon=False,
            borderpad=0.2,
            labelspacing=0.25,
            columnspacing=1.0,
        ).set_in_layout(False)
    left, top = 0.08 / width, 1 - 0.10 / height
    if style.title:
        heads = "\n".join(title_of)
        figure.text(left, top, heads, va="top", fontsize="large", fontweight="bold")
        at = 1 - (0.10 + 1.32 * line * len(title_of)) / height
        text = "\n".join(lines_of)
        figure.text(left, at, text, va="top", fontsize="medium", color=GREY)
    high = WORDS if style.width is None else int(tall / letter)
    return Page(figure, panels, min(WORDS, int(0.92 * panel / letter)), high)


def _panel_width(width: float, across: int, axis: float, alike: str) -> float:
    """Of a page of this width with so many panels side by side, a panel without its labels."""
    axes = across if alike == "none" else 1
    return (width - 0.1 - axis * axes) / across - 0.08


def _arranged(grid: "np.ndarray[Any, Any]", rows: int, columns: int) -> "np.ndarray[Any, Any]":
    """The panels of a grid as (rows, columns), where each row may take several lines of the grid;
    those too many are removed.
    """
    lines = len(grid) // rows
    made = grid.reshape(rows, lines * grid.shape[1])
    for panel in made[:, columns:].flat:
        panel.remove()
    panels = made[:, :columns]
    placed = {_place(panel) for panel in panels.flat}
    for panel in panels.flat:
        row, column = _place(panel)
        panel.xaxis.set_tick_params(labelbottom=(row + 1, column) not in placed)
    return panels


def _place(panel: Axes) -> tuple[int, int]:
    """Row and column of the grid."""
    spec = panel.get_subplotspec()
    assert spec is not None
    return spec.rowspan.start, spec.colspan.start
