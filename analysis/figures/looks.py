"""How curves are told apart: a colour, a marker and a style of line for each, beside each other.

Conventions: curves are those of analysis.figures.facets.
Contents: MARKERS, SPREAD, Look, Looks, looks_of, draw_levels.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import pandas as pd

from analysis.aggregate import in_order
from analysis.figures.frame import Frame, Level
from analysis.figures.layout import GREY, palette

MARKERS = "osD^vPX*<>"
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (4, 1, 1, 1)), (0, (2, 1)))  # told without colour
SHIFT = 3.0  # typographic points from colour to colour, at most
SPREAD = 10.0  # from the first to the last, at most


class Look(NamedTuple):
    """How the points of one colour and marker are drawn."""

    colour: tuple[float, float, float]
    marker: str
    shift: float  # to the right, in typographic points: curves of one x would hide each other
    line: Any  # its style
    size: float  # of the marker in typographic points: what is drawn first looks out from under


Looks = dict[tuple[str, str], Look]  # of each colour and marker there is


def looks_of(curves: pd.DataFrame, frame: Frame) -> Looks:
    """A look for each (colour, marker) there is; markers tell colours where nothing else does, and
    else the style of their lines.
    """
    colours, markers = in_order(curves["colour"]), in_order(curves["marker"])
    hues = palette(len(colours))
    drawn = set(zip(curves["colour"], curves["marker"], strict=True))
    pairs = [pair for pair in product(colours, markers) if pair in drawn]
    last = max(len(pairs) - 1, 1)
    step = min(SHIFT, SPREAD / last)
    looks = {}
    for place, (colour, marker) in enumerate(pairs):
        i, j = colours.index(colour), markers.index(marker)
        sign = MARKERS[(j if len(markers) > 1 else i) % len(MARKERS)]
        line = LINES[i % len(LINES)]
        if frame.dotted:
            line = ":" if marker == frame.dotted else "-"
        shift, size = step * (place - (len(pairs) - 1) / 2), 6.5 - 2 * place / last
        looks[colour, marker] = Look(hues[i], sign, shift, line, size)
    return looks


def draw_levels(across: Any, levels: Sequence[Level], looks: Looks, factor: float) -> None:
    """The lines across one panel, behind its points; `across` is its axhline or axvline."""
    colours = {colour: look.colour for (colour, _), look in looks.items()}
    for level in levels:
        colour = colours.get(level.colour, GREY)
        across(factor * level.mean, color=colour, linestyle=level.style, linewidth=1, zorder=1)
