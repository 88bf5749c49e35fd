"""The texts of a figure of scores: its caption, its legend, and the titles of its panels.

Conventions: curves are those of analysis.figures.facets. What most points count (`usual_of`) is
said once, in the caption; n stands only where it differs.
Contents: caption_of, legend_of, entries, usual_of, usual_in, name_panel.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.aggregate import in_order
from analysis.coverage import conservative
from analysis.figures.frame import DESCRIBED, Level
from analysis.figures.layout import GREY, Page, Style, folded
from analysis.figures.looks import Looks


def name_panel(
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
    if (own := usual_in(rows, usual)) != usual:
        named += f" ({own[0]} {own[1]})"
    panel.set_title(folded(named, made.letters), loc="left")


def caption_of(curves: pd.DataFrame, note: str, style: Style) -> str:
    """What the intervals are over, and of how many epochs a run is; one colour is named here."""
    n, unit = usual_of(curves)
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


def legend_of(looks: Looks, levels: Sequence[Level], dotted: str) -> list[Line2D]:
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
    return [*handles, *entries(levels)]


def entries(levels: Sequence[Level]) -> list[Line2D]:
    """The lines across panels, each once."""
    known = {level.label: level for level in levels}
    return [Line2D([], [], color=GREY, linestyle=x.style, label=x.label) for x in known.values()]


def usual_of(curves: pd.DataFrame) -> tuple[int, str]:
    """The commonest number of units and what they are; the largest of several such."""
    counts = curves.groupby(["n", "unit"]).size()
    n, unit = max(counts[counts == counts.max()].index)
    return int(n), str(unit)


def usual_in(rows: pd.DataFrame, usual: tuple[int, str]) -> tuple[int, str]:
    """What a panel gives no n for: what all its points count, else what is usual in the figure."""
    same = len(rows[["n", "unit"]].drop_duplicates()) == 1
    return usual_of(rows) if same else usual
