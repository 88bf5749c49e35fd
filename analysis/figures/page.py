"""The page that figures of panels share: size, title, caption and legend, style and colours.

Conventions: sizes are inches; texts are folded here, so that all words stand on the page.
Contents: style, palette, page.
"""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

PANEL = (2.9, 2.75)  # inches, with its labels
LINE = 0.17  # inches, high: of the legend and the caption
MARK = 0.6  # inches, wide: a line of the legend, and the gaps around it
LETTER = 0.071  # inches, wide: of the legend and the caption
BOLD = 0.093  # inches, wide: a letter of the title
WORDS = 40  # letters in a line of the legend or of a panel's title
COLOURS = 10  # in seaborn's colour-blind-safe palette
GREY = "0.35"


@contextmanager
def style() -> Iterator[None]:
    """What every figure is drawn in: `$` in a label is a dollar, and begins no formula."""
    plain = matplotlib.rc_context({"text.parse_math": False})
    with sns.axes_style("ticks"), sns.plotting_context("paper"), plain:
        yield


def palette(colours: int) -> list[tuple[float, float, float]]:
    """That many colours, safe for the colour-blind while there are few."""
    return list(sns.color_palette("colorblind" if colours <= COLOURS else "husl", colours))


def page(
    title: str,
    caption: str,
    legend: Sequence[Line2D],
    shape: tuple[int, int],
    alike: Literal["all", "row", "none"],
) -> "tuple[Figure, np.ndarray[Any, Any]]":
    """A figure with its title, its caption and its legend, and its panels (rows, columns), empty.

    `alike` names the panels that share a vertical axis.
    """
    rows, columns = shape
    for entry in legend:
        entry.set_label(textwrap.fill(str(entry.get_label()), WORDS))
    words = [line for entry in legend for line in str(entry.get_label()).split("\n")]
    beside = MARK + LETTER * max(map(len, words)) if legend else 0.0
    width = max(0.9 + PANEL[0] * columns + beside, 0.3 + BOLD * len(title))
    lines = textwrap.wrap(caption, int((width - 0.2) / LETTER))
    heading = 0.45 + LINE * len(lines)
    height = heading + max(PANEL[1] * rows + 0.33, 0.8 + LINE * len(words))
    figure = Figure(figsize=(width, height))
    rect = (0, 0, 1 - beside / width, 1 - heading / height)
    figure.set_layout_engine("constrained", rect=rect)
    panels = figure.subplots(rows, columns, sharex=True, sharey=alike, squeeze=False)
    if legend:
        names = panels[0, -1].legend(
            handles=list(legend), loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False
        )
        names.set_in_layout(False)  # a long one would push the rows apart
    left, top = 0.08 / width, 1 - 0.10 / height
    figure.text(left, top, title, va="top", fontsize="large", fontweight="bold")
    at = 1 - 0.34 / height
    figure.text(left, at, "\n".join(lines), va="top", fontsize="medium", color=GREY)
    return figure, panels
