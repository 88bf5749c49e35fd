"""The drawing of effective receptive fields: panels on one colour scale, their numbers below.

Hatched is what a field reaches of the padding around its input. Contents: FLOOR, SCALES, draw.
"""

import math
import textwrap
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.figures.axes import hertz_text
from analysis.figures.bands import ticks
from analysis.figures.field_panels import Panel
from analysis.figures.layout import BOLD, GREY, LETTER, LINE, NARROW, PLAIN, Style, drawing, folded
from analysis.squares import SHARES

Scale = Literal["linear", "log"]
SCALES: tuple[Scale, ...] = ("linear", "log")
TITLE = "Effective receptive fields"
SECONDS = "Time from the target (s)"
FLOOR = 1e-3  # of a map's maximum: the darkest colour of the logarithmic scale
PEAK = 99.9  # percentile of all panels' pixels that the linear scale ends at: single ones go higher
LONGEST = 26  # letters in a line of a title
COLUMNS = 5  # of panels, at most
WIDTH = 1.9  # inches, of a panel's map
SMALLEST = 0.85  # inches, of a map in a narrow figure
BESIDE, BELOW = 0.45, 1.15  # inches beside a map and below it: ticks; ticks, numbers, titles
COLOURS = "magma"  # dark is nothing; even to the eye, and to the colour-blind
BEYOND = "0.93"  # where a panel shows what lies outside the maximum field
MARGIN = 0.06  # of the axes: how much of the padding is shown, at most
CENTRE = "#00e5ff"  # of the cross at the target: in no colour map of ours


def draw(panels: list[Panel], scale: Scale = "log", style: Style = PLAIN) -> Figure:
    """A grid of panels with one colour scale, and axes on which a band and a frame are one size.

    log: each map over its own maximum, down to FLOOR: shapes. linear: share of the mass per pixel:
    how concentrated each is beside the others. Raises ValueError for another scale or no panel.
    """
    if scale not in SCALES:
        raise ValueError(f"scale={scale}: one of {', '.join(SCALES)}")
    if not panels:
        raise ValueError("no panel to draw: give the maps of at least one trial")
    limits = _limits(panels)
    left, right, bottom, top = limits
    hop = min(panel.hop for panel in panels)
    size = style.scale
    beside, below, line = BESIDE * size, BELOW * size, LINE * size
    narrow = style.width is not None and style.width < NARROW
    most, map_width = COLUMNS, WIDTH
    if style.width is not None:
        room = style.width - (0.7 if narrow else 1.6) * size
        most = max(1, min(COLUMNS, int(room / (SMALLEST + beside))))
        rows = math.ceil(len(panels) / most)
        map_width = min(room / math.ceil(len(panels) / rows) - beside, WIDTH * 1.6)
    rows = math.ceil(len(panels) / most)
    columns = math.ceil(len(panels) / rows)
    height = map_width * (top - bottom) / ((right - left) / hop)
    letters = int((map_width + beside) / (LETTER * size * 0.92))
    with drawing(style):
        width = style.width or 1.6 + columns * (WIDTH + BESIDE)
        words = _caption(panels, limits)
        caption = textwrap.wrap(words, int((width - 0.2) / (LETTER * size))) if style.title else []
        title = folded(style.renamed(TITLE), int((width - 0.2) / (BOLD * size)))
        heading = 0.28 * size * (title.count("\n") + 1) + 0.17 if style.title else 0.05
        heading += line * len(caption)
        more = line * (_lines(panels, letters, style) - 5.5)
        total = heading + 0.4 + rows * (height + below + more) + (0.55 * size if narrow else 0)
        total = style.height or total
        figure = Figure(figsize=(width, total))
        figure.set_layout_engine("compressed", rect=(0, 0, 1, 1 - heading / total), h_pad=0.06)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        norm = _norm(panels, scale)
        for place, panel in zip(grid.flat, panels, strict=False):
            _map(place, panel, norm, letters, style)
            place.set(xlim=(left, right), ylim=(bottom, top), aspect=hop)
            _padding(place, panel)
        for place in grid.flat[len(panels) :]:
            place.set_visible(False)
        _axes(list(grid.flat[: len(panels)]), panels, columns, style, narrow)
        bar = figure.colorbar(
            ScalarMappable(norm, COLOURS),
            ax=grid,
            aspect=30 if narrow else 20 * rows,
            fraction=0.05,
            pad=0.02,
            location="bottom" if narrow else "right",
            extend="min" if scale == "log" else "max",
            format=FuncFormatter(lambda share, _: f"{share:g}"),  # matplotlib's own is a formula
        )
        bar.set_label("Over the map's maximum" if scale == "log" else "Share of the map's sum")
        if style.title:
            at = 0.08 / width, 1 - 0.10 / total
            figure.text(*at, title, va="top", fontsize="large", fontweight="bold")
            at = 0.08 / width, 1 - (0.10 + 0.24 * size * (title.count("\n") + 1)) / total
            text = "\n".join(caption)
            figure.text(*at, text, va="top", fontsize="medium", color=GREY)
    return figure


def _extent(panel: Panel) -> tuple[float, float, float, float]:
    """Left and right in seconds from the target, bottom and top in bands; pixels' edges."""
    bottom, left = (at - 0.5 for at in panel.corner)
    height, width = panel.values_FN.shape
    sides = (left, left + width)
    return (*((side - panel.centre[1]) * panel.hop for side in sides), bottom, bottom + height)


def _input(panel: Panel) -> tuple[float, float, float, float]:
    """The same of the whole input."""
    rows, columns = panel.size
    left, right = ((side - 0.5 - panel.centre[1]) * panel.hop for side in (0, columns))
    return left, right, -0.5, rows - 0.5


def _limits(panels: list[Panel]) -> tuple[float, float, float, float]:
    """What the axes show: every field, and a little of the padding where one reaches it."""
    extents = np.array([_extent(panel) for panel in panels])
    low, high = extents.min(axis=0)[[0, 2]], extents.max(axis=0)[[1, 3]]
    most = MARGIN * (high - low)
    first, last = low.copy(), high.copy()
    for panel in panels:
        reach = np.array([(panel.reach + 0.5) * panel.hop, panel.reach + 0.5])
        centre = np.array([0.0, panel.centre[0]])
        first = np.minimum(first, np.maximum(centre - reach, low - most))
        last = np.maximum(last, np.minimum(centre + reach, high + most))
    return float(first[0]), float(last[0]), float(first[1]), float(last[1])


def _padded(panels: list[Panel], limits: tuple[float, float, float, float]) -> bool:
    """Whether the axes show something outside an input."""
    inputs = np.array([_input(panel) for panel in panels])
    sides = np.array([1, -1, 1, -1])
    return bool(((inputs - limits) * sides > 1e-9).any())


def _padding(place: Axes, panel: Panel) -> None:
    """Hatch what lies outside the input, and mark the target."""
    left, right, bottom, top = _input(panel)
    (x0, x1), (y0, y1) = place.get_xlim(), place.get_ylim()
    for corner, width, height in (
        ((x0, y0), left - x0, y1 - y0),
        ((right, y0), x1 - right, y1 - y0),
        ((x0, y0), x1 - x0, bottom - y0),
        ((x0, top), x1 - x0, y1 - top),
    ):
        if width > 1e-9 and height > 1e-9:
            place.add_patch(
                Rectangle(
                    corner, width, height, facecolor="white", edgecolor="0.6", hatch="////", lw=0
                )
            )
    place.plot([0], [panel.centre[0]], marker="+", color=CENTRE, markersize=7, markeredgewidth=1.2)


def _norm(panels: list[Panel], scale: str) -> Normalize:
    """The one colour scale of all panels."""
    return LogNorm(FLOOR, 1) if scale == "log" else Normalize(0, _peak(panels))


def _peak(panels: list[Panel]) -> float:
    """Where the linear scale ends: a few pixels of a speckled map would darken all the others."""
    return float(max(np.percentile(panel.values_FN, PEAK) for panel in panels))


def _map(place: Axes, panel: Panel, norm: Normalize, letters: int, style: Style) -> None:
    """One map, its title, and its numbers below it."""
    drawn_FN = panel.values_FN
    if isinstance(norm, LogNorm):
        drawn_FN = np.maximum(drawn_FN / drawn_FN.max(), FLOOR)
    place.imshow(drawn_FN, cmap=COLOURS, norm=norm, extent=_extent(panel), origin="lower")
    place.set_facecolor(BEYOND)
    place.set_title(_title(panel, letters, style), loc="left", fontsize="medium")
    place.set_xlabel(_numbers(panel, letters), fontsize="small", loc="left", color=GREY)


def _title(panel: Panel, letters: int, style: Style) -> str:
    lines = map(style.renamed, panel.title.splitlines())
    most = min(int(0.85 * letters), LONGEST)  # titles are in larger letters than the numbers
    return "\n".join(folded(line, most) for line in lines)


def _numbers(panel: Panel, letters: int) -> str:
    """The numbers of a panel in lines, two beside each other where there is room."""
    of = panel.numbers
    lines = [
        [f"σ {of['sigma_f']:.1f} × {of['sigma_t']:.1f}"],
        [f"50 %: {of['f50']:.0f} × {of['t50']:.0f}", f"95 %: {of['f95']:.0f} × {of['t95']:.0f}"],
        ["sides " + ", ".join(f"{of[f'side{share}']:.0f}" for share in SHARES)],
        [f"Luo {of['luo_side']:.1f}", f"participation {of['participation']:,.0f}"],
    ]
    if panel.most is not None:
        lines.insert(0, [f"at most {panel.most} × {panel.most}"])
    joined = [",  ".join(line) for line in lines]
    wide = all(len(line) <= letters - 3 for line in joined)
    return "\n".join(joined if wide else [part for line in lines for part in line])


def _lines(panels: list[Panel], letters: int, style: Style) -> int:
    """Lines of text above and below a map, at most."""
    title = max(_title(panel, letters, style).count("\n") + 1 for panel in panels)
    return title + max(_numbers(panel, letters).count("\n") + 1 for panel in panels)


def _axes(
    places: list[Axes], panels: list[Panel], columns: int, style: Style, narrow: bool
) -> None:
    """Ticks: bands on the left, Hz on the right, seconds below the lowest panels."""
    names = {panel.bands.name for panel in panels}
    rows = names.pop() if len(names) == 1 else "Band"
    alike = len({panel.bands for panel in panels}) == 1
    for i, (place, panel) in enumerate(zip(places, panels, strict=True)):
        lowest = i + columns >= len(panels)
        place.tick_params(labelbottom=lowest, labelsize="small")
        place.locator_params(nbins=5)
        place.xaxis.set_major_locator(MaxNLocator(3 if narrow else 5))
        place.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
        if lowest:
            place.xaxis.label.set_text(f"{style.renamed(SECONDS)}\n{place.get_xlabel()}")
        hertz = place.secondary_yaxis("right")
        last = i % columns == columns - 1 or i == len(panels) - 1
        frequencies = ticks(panel.bands, *place.get_ylim())
        hertz.set_yticks([panel.bands.row(hz) for hz in frequencies])
        hertz.set_yticklabels(map(hertz_text, frequencies))
        hertz.tick_params(labelright=last or not alike, labelsize="small")
        if last:
            hertz.set_ylabel(style.renamed("Frequency (Hz)"), fontsize="small")
        if i % columns == 0:
            place.set_ylabel(style.renamed(rows), fontsize="small")


def _caption(panels: list[Panel], limits: tuple[float, float, float, float]) -> str:
    """What is drawn, and what the numbers are."""
    parts = [
        f"mean absolute gradient of the middle pixel ({panels[0].about}), marked by a cross",
        "below: maximum field, standard deviation, central widths (bands × frames), sides of the "
        f"squares that hold {', '.join(map(str, SHARES))} %, Luo side, participation ratio; means "
        "over n trials",
    ]
    if len({(*_extent(panel), panel.reach) for panel in panels}) > 1:
        parts.insert(1, "grey: outside the maximum receptive field")
    if _padded(panels, limits):
        parts.insert(-1, "hatched: padding, outside the clip")
    return "; ".join(parts)
