"""What stands around the curves of a figure of scores: its texts and axes, and lines to compare.

Conventions: curves are those of analysis.figures.facets.
Contents: Frame, Level, DESCRIBED, CHANCE_LINE, REACH, chances.
"""

from typing import Any, Literal, NamedTuple

import pandas as pd

from analysis.aggregate import ACCURACY, Measure
from analysis.figures.axes import Axis

CHANCE_LINE = (0, (1, 2))
DESCRIBED = {
    "seen": "Seen devices",
    "unseen": "Unseen devices",
    "test": "Test clips",
    "validation": "Validation clips",
    "train_clean": "Training clips, not augmented",
    "train": "Training clips",
}
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


def chances(curves: pd.DataFrame, frame: Frame) -> tuple[list[Level], str]:
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
