"""Facets: the drawing that figures of scores share, from curves to panels with a caption.

Conventions: curves are a table, one row per point: split (a panel), row (a row of panels, "" where
there is one), colour and marker (texts, the marker "" where there is one), x, and mean, low, high,
n, unit, epochs and chance of analysis.aggregate; accuracies are fractions there and percent in the
drawing. Where a line has two points at one x, `mark` says what tells them apart. Curves that all
have one x, or nearly, are no lines: their means stand below each other, by name.
Contents: Frame, Level, draw_facets.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from analysis.aggregate import ACCURACY, Measure, in_order
from analysis.coverage import conservative
from analysis.figures.axes import Axis
from analysis.figures.layout import GREY, PLAIN, Page, Style, drawing, folded, page, palette, ruled
from scaling.text import printable

MARKERS = "osD^vPX*<>"
LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (4, 1, 1, 1)), (0, (2, 1)))  # told without colour
CHANCE_LINE = (0, (1, 2))
DESCRIBED = {
    "seen": "Seen devices",
    "unseen": "Unseen devices",
    "test": "Test clips",
    "validation": "Validation clips",
    "train_clean": "Training clips, not augmented",
    "train": "Training clips",
}
SHIFT = 3.0  # typographic points from colour to colour, at most
SPREAD = 10.0  # from the first to the last, at most
NAME = 32  # letters of a name along an axis, at most
ONE_SIZE = 1.01  # sizes that differ by less are no axis
NAMED = 0.18  # inches that a line of a name takes up
REACH = 3.0  # how far chance may lie below all points, over their range, and still be a line


class Frame(NamedTuple):
    """What stands around the curves."""

    title: str
    label: str  # of the horizontal axis
    axis: Axis
    note: str = ""  # begins the caption
    measure: Measure = ACCURACY
    dotted: str = ""  # the marker whose lines are dotted
    alike: Literal["all", "row"] = "all"  # the panels that share a vertical axis
    from_chance: bool = False  # whether chance is a line, however far below all points it lies


class Level(NamedTuple):
    """A line across one panel at a value to compare with."""

    split: str
    row: str
    mean: float  # as in the curves
    colour: str  # of the curves it belongs to; "" for none
    label: str  # in the legend, once
    style: Any = "--"


class Look(NamedTuple):
    """How the points of one colour and marker are drawn."""

    colour: tuple[float, float, float]
    marker: str
    shift: float  # to the right, in typographic points: curves of one x would hide each other
    line: Any  # its style
    size: float  # of the marker in typographic points: what is drawn first looks out from under


def draw_facets(
    curves: pd.DataFrame, frame: Frame, levels: Sequence[Level] = (), style: Style = PLAIN
) -> Figure:
    """A panel for each split, a row of panels for each `row`.

    A line joins the points of one colour and marker in the order of x. Colours stand side by side,
    less than a marker apart, so that their intervals do not hide each other, and each has its own
    marker or style of line. Chance is a line where an accuracy is drawn.
    """
    chances, beyond = _chances(curves, frame)
    levels = [*levels, *chances]
    frame = frame._replace(note="; ".join(filter(None, (frame.note, beyond))))
    if curves["x"].max() <= ONE_SIZE * curves["x"].min():
        return _draw_names(curves, frame, levels, style)
    splits, rows = list(curves["split"].unique()), in_order(curves["row"])
    looks, usual = _looks(curves, frame), _usual(curves)
    with drawing(style):
        legend = _legend(looks, levels, frame.dotted)
        caption = _caption(curves, frame.note, style)
        shape = (len(rows), len(splits))
        made = page(frame.title, caption, legend, shape, frame.alike, style)
        for row, beside_each_other in zip(rows, made.panels, strict=True):
            for split, panel in zip(splits, beside_each_other, strict=True):
                chosen = curves[(curves["split"] == split) & (curves["row"] == row)]
                _panel(panel, chosen, looks, _usual(chosen) if _even(chosen) else usual, frame)
                at = [x for x in levels if (x.split, x.row) == (split, row)]
                _levels(panel.axhline, at, looks, frame.measure.factor)
                frame.axis(panel, np.unique(curves["x"].to_numpy(float)))
                _name(panel, chosen, usual, made, style)
        for panel in made.leftmost():
            panel.set_ylabel(folded(style.renamed(frame.measure.label), made.high))
        for panel in made.lowest():
            panel.set_xlabel(folded(style.renamed(frame.label), made.letters))
        if frame.measure.factor == 100:  # a share: intervals that pass 0 or 100 % are cut off there
            for panel in made.figure.axes:  # last: a limit that is set fits no panel drawn after it
                bottom, top = panel.get_ylim()
                panel.set_ylim(max(bottom, -3), min(top, 103))
    return made.figure


def _draw_names(
    curves: pd.DataFrame, frame: Frame, levels: Sequence[Level], style: Style
) -> Figure:
    """Of curves of one size the means by name, from the top down, with their intervals."""
    splits, rows = list(curves["split"].unique()), in_order(curves["row"])
    looks = _looks(curves, frame)
    several = [len({key[part] for key in looks}) > 1 for part in (0, 1)]
    named = {
        key: ", ".join(style.renamed(k) for k, varies in zip(key, several, strict=True) if varies)
        for key in looks
    }
    # names of ticks are set anew when a figure is drawn: what is escaped later does not last
    texts = {key: folded(printable(text), NAME) if text else "" for key, text in named.items()}
    longest = max(len(line) for text in texts.values() for line in text.split("\n"))
    only = " to ".join(f"{x:,.15g}" for x in sorted({curves["x"].min(), curves["x"].max()}))
    at = f"{frame.label} {only}" if frame.label else ""
    with drawing(style):
        note = "; ".join(filter(None, (frame.note, at)))
        legend = _across(levels)
        caption = _caption(curves, note, style)
        shape = (len(rows), len(splits))
        tall = NAMED * len(texts) * max(text.count("\n") + 1 for text in texts.values())
        made = page(frame.title, caption, legend, shape, "all", style, names=longest, tall=tall)
        factor, usual = frame.measure.factor, _usual(curves)
        for row, beside_each_other in zip(rows, made.panels, strict=True):
            for split, panel in zip(splits, beside_each_other, strict=True):
                here = curves[(curves["split"] == split) & (curves["row"] == row)]
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
                        if (n, unit) != usual and not _even(here):
                            panel.annotate(
                                f"n={n}",
                                (x, place),
                                xytext=(0, 4),
                                textcoords="offset points",
                                ha="center",
                                fontsize="small",
                                color=look.colour,
                            )
                _levels(
                    panel.axvline,
                    [x for x in levels if (x.split, x.row) == (split, row)],
                    looks,
                    factor,
                )
                panel.set_yticks(range(len(looks)), [texts[key] for key in looks])
                panel.set_ylim(len(looks) - 0.5, -0.5)
                ruled(panel, "x")
                _name(panel, here, usual, made, style)
        for panel in made.lowest():
            panel.set_xlabel(folded(style.renamed(frame.measure.label), made.letters))
    return made.figure


def _even(rows: pd.DataFrame) -> bool:
    """Whether all points of a panel count the same."""
    return len(rows[["n", "unit"]].drop_duplicates()) == 1


def _name(
    panel: Axes, rows: pd.DataFrame, usual: tuple[int, str], made: Page, style: Style
) -> None:
    """The title of a panel: its split, its row where there are several, and what all its points
    count where that is not the usual.
    """
    if rows.empty:
        panel.set_axis_off()
        return
    first = rows.iloc[0]
    named = style.renamed(DESCRIBED.get(first["split"], first["split"]))
    if first["row"]:
        named += f": {style.renamed(first['row'])}"
    if _even(rows) and (n_unit := _usual(rows)) != usual:
        named += f" ({n_unit[0]} {n_unit[1]})"
    panel.set_title(folded(named, made.letters), loc="left")


def _chances(curves: pd.DataFrame, frame: Frame) -> tuple[list[Level], str]:
    """A line at chance for each panel where it is known; where that is so far below all points that
    it would press them together, the words for the caption.
    """
    if frame.measure != ACCURACY or "chance" not in curves:
        return [], ""
    known = curves[["split", "row", "chance"]].dropna().drop_duplicates()
    bottom = curves[["mean", "low"]].min().min()
    span = curves[["mean", "high"]].max().max() - bottom
    lowest = known["chance"].min()
    if span and lowest < bottom - REACH * span and not frame.from_chance:
        said = ", ".join(f"{100 * chance:.3g} %" for chance in sorted(known["chance"].unique()))
        return [], f"chance is {said}, below the axis"
    return [
        Level(split, row, chance, "", f"chance ({100 * chance:.3g} %)", CHANCE_LINE)
        for split, row, chance in known.itertuples(index=False)
    ], ""


def _looks(curves: pd.DataFrame, frame: Frame) -> dict[tuple[str, str], Look]:
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


def _levels(
    across: Any, levels: Sequence[Level], looks: dict[tuple[str, str], Look], factor: float
) -> None:
    """The lines across one panel, behind its points; `across` is its axhline or axvline."""
    colours = {colour: look.colour for (colour, _), look in looks.items()}
    for level in levels:
        colour = colours.get(level.colour, GREY)
        across(factor * level.mean, color=colour, linestyle=level.style, linewidth=1, zorder=1)


def _caption(curves: pd.DataFrame, note: str, style: Style) -> str:
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
    named = [note, style.renamed(colours[0])] if len(colours) == 1 else [note]
    return "; ".join(filter(None, [*named, caption, conservative(curves)]))


def _legend(
    looks: dict[tuple[str, str], Look], levels: Sequence[Level], dotted: str
) -> list[Line2D]:
    """Colours, then markers where there are several, then the lines across."""
    colours = {colour: look for (colour, _), look in looks.items()}
    markers = {marker: look.marker for (_, marker), look in looks.items()}
    marked = len(markers) > 1
    handles = [
        Line2D(
            [],
            [],
            color=look.colour,
            marker="" if marked else look.marker,
            linestyle="-" if dotted else look.line,
            label=colour,
        )
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
    return [*handles, *_across(levels)]


def _across(levels: Sequence[Level]) -> list[Line2D]:
    """The lines across panels, each once."""
    known = {level.label: level for level in levels}
    return [Line2D([], [], color=GREY, linestyle=x.style, label=x.label) for x in known.values()]


def _usual(curves: pd.DataFrame) -> tuple[int, str]:
    """The commonest number of units and what they are; the largest of several such."""
    counts = curves.groupby(["n", "unit"]).size()
    n, unit = max(counts[counts == counts.max()].index)
    return int(n), str(unit)
