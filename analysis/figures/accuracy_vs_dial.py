"""Accuracy against one of the three numbers of a size: width, depth or 1x1 blocks.

Source: Koutini et al. 2021, Figures 3 (width), 4 (depth) and 5 (1x1 blocks).
Conventions: only dense networks that learnt true labels are drawn: pruned ones and random labels
have figures of their own. A line holds the two other numbers still.
Contents: AccuracyVsDial.
"""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.axes import Axis, counts, logarithmic
from analysis.figures.panels import Frame, draw_panels
from analysis.points import ACCURACY, DIALS, Measure, means, on_splits, sizes_beside


class AccuracyVsDial(NamedTuple):
    """The figure of one dial."""

    dial: str  # one of DIALS
    title: str
    label: str
    axis: Axis

    @property
    def MEASURE(self) -> Measure:
        """What is drawn."""
        return ACCURACY

    @property
    def COLUMNS(self) -> tuple[str, ...]:
        """What the printed table shows beside the accuracy."""
        return ("split", "unpruned", *DIALS)

    def obstacle(self, scores: pd.DataFrame) -> str | None:
        """Why there is nothing to draw: no two networks differ in this dial alone."""
        if self._on_lines(scores).empty:
            return f"no two dense networks of one family differ in {self.dial} alone"
        return None

    def points(self, scores: pd.DataFrame) -> pd.DataFrame:
        """The points that lie on a line, as analysis.points.means gives them.

        A line is a family at one setting of the other dials. Where sizes were scaled jointly, many
        settings of the others have a size or two: lines with at most two thirds as many values of
        the dial as the longest are left to the other figures.
        """
        return means(on_splits(self._on_lines(scores)))

    def draw(self, points: pd.DataFrame) -> Figure:
        """One panel per split; colour by family, marker by the other dials where they vary."""
        curves = points.assign(
            row="",
            colour=points["unpruned"],
            marker=sizes_beside(points, self.dial),
            x=points[self.dial],
        )
        fixed = [f"{name} {points[name].iloc[0]}" for name in DIALS if points[name].nunique() == 1]
        frame = Frame(self.title, self.label, self.axis, ", ".join(fixed))
        return draw_panels(curves, frame)

    def _on_lines(self, scores: pd.DataFrame) -> pd.DataFrame:
        dense = scores[(scores["pruning.kind"] == "none") & (scores["split.labels"] == "true")]
        rest = [f"network.{name}" for name in DIALS if name != self.dial]
        line = dense.groupby(["unpruned", *rest])[f"network.{self.dial}"]
        values = line.transform("nunique")
        lines: pd.DataFrame = dense[(values >= 2) & (values > values.max() * 2 / 3)]
        return lines


WIDTH = AccuracyVsDial(
    "width", "Accuracy against width", "Width (channels of the first stage)", logarithmic
)
DEPTH = AccuracyVsDial("depth", "Accuracy against depth", "Depth (3x3 blocks)", counts)
POINTWISE = AccuracyVsDial(
    "pointwise", "Accuracy against 1x1 blocks", "1x1 blocks (no wider receptive field)", counts
)
