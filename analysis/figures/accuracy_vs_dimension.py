"""Accuracy against one of the three numbers of a size: width, depth or 1x1 blocks.

Source: Koutini et al. 2021, Figures 3 (width), 4 (depth) and 5 (1x1 blocks).
Conventions: only dense networks that learnt true labels are drawn: pruned ones and random labels
have figures of their own. A line holds the two other numbers still.
Contents: AccuracyVsDimension, WIDTH, DEPTH, POINTWISE.
"""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import ACCURACY, DIMENSIONS, means, on_splits, other_dimensions
from analysis.conditions import PRUNING, labels, varied
from analysis.data import Data
from analysis.figures.axes import Axis, counts, logarithmic
from analysis.figures.facets import Frame, draw_facets
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_points


class AccuracyVsDimension(NamedTuple):
    """The figure of one dimension."""

    dimension: str  # one of DIMENSIONS
    title: str
    label: str
    axis: Axis

    def obstacle(self, data: Data) -> str | None:
        """Why there is nothing to draw: no two networks differ in this dimension alone."""
        if self._on_lines(data.scores()).empty:
            return f"no two dense networks of one condition differ in {self.dimension} alone"
        return None

    def points(self, data: Data) -> pd.DataFrame:
        """The points that lie on a line, as analysis.aggregate.means gives them.

        A line is a condition at one setting of the other dimensions. Where sizes were scaled
        jointly, many settings of the others have a size or two: lines with at most two thirds as
        many values of the dimension as the longest are left to the other figures.
        """
        scores = on_splits(self._on_lines(data.scores()))
        return means(scores, varied(scores))

    def draw(self, points: pd.DataFrame, style: Style = PLAIN) -> Figure:
        """One panel per split; colour by condition, marker by the other dimensions that vary."""
        curves = points.assign(
            row="",
            colour=labels(points, PRUNING),
            marker=other_dimensions(points, self.dimension),
            x=points[self.dimension],
        )
        fixed = [
            f"{name} {points[name].iloc[0]}" for name in DIMENSIONS if points[name].nunique() == 1
        ]
        frame = Frame(self.title, self.label, self.axis, ", ".join(fixed))
        return draw_facets(curves, frame, (), style)

    def listing(self, name: str, points: pd.DataFrame) -> Listing:
        """What is printed of the points."""
        return of_points(name, points, ("split", "unpruned", *DIMENSIONS), ACCURACY)

    def _on_lines(self, scores: pd.DataFrame) -> pd.DataFrame:
        dense = scores[(scores["pruning.kind"] == "none") & (scores["split.labels"] == "true")]
        rest = [f"network.{name}" for name in DIMENSIONS if name != self.dimension]
        line = dense.groupby([*varied(dense), *rest], dropna=False)[f"network.{self.dimension}"]
        values = line.transform("nunique")
        lines: pd.DataFrame = dense[(values >= 2) & (values > values.max() * 2 / 3)]
        return lines


WIDTH = AccuracyVsDimension(
    "width", "Accuracy against width", "Width (channels of the first stage)", logarithmic
)
DEPTH = AccuracyVsDimension("depth", "Accuracy against depth", "Depth (3x3 blocks)", counts)
POINTWISE = AccuracyVsDimension(
    "pointwise", "Accuracy against 1x1 blocks", "1x1 blocks (no wider receptive field)", counts
)
