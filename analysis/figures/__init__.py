"""The figures: FIGURES names them. A new one costs one file and one line here.

What depends on maps of the effective receptive field is not here: `overhear erf` draws it.
"""

from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import accuracy_vs_parameters, random_labels, sparse_width, ways_of_scaling
from analysis.figures.accuracy_vs_dial import DEPTH, POINTWISE, WIDTH


class Drawable(Protocol):
    """What a figure's module offers: whether it applies, its points as a table, their drawing."""

    @property
    def COLUMNS(self) -> tuple[str, ...]:
        """The columns of its points that the printed table shows before accuracy, n and spread."""

    def obstacle(self, scores: pd.DataFrame) -> str | None:
        """Why table.scores' table cannot fill this figure, as half a sentence; None if it can."""

    def points(self, scores: pd.DataFrame) -> pd.DataFrame:
        """One row per drawn point, with the columns of analysis.points.means; pure."""

    def draw(self, points: pd.DataFrame) -> Figure:
        """The figure of these points."""


FIGURES: dict[str, Drawable] = {
    "accuracy_vs_parameters": accuracy_vs_parameters,
    "accuracy_vs_width": WIDTH,
    "accuracy_vs_depth": DEPTH,
    "accuracy_vs_pointwise": POINTWISE,
    "ways_of_scaling": ways_of_scaling,
    "sparse_width": sparse_width,
    "random_labels": random_labels,
}
