"""The figures: FIGURES names them. A new one costs one file and one line here."""

from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import accuracy_vs_parameters


class Drawable(Protocol):
    """What a figure's module offers: what is drawn as a table, and the drawing of that table."""

    def points(self, scores: pd.DataFrame) -> pd.DataFrame:
        """One row per drawn point, from table.scores; pure."""

    def draw(self, points: pd.DataFrame) -> Figure:
        """The figure of these points."""


FIGURES: dict[str, Drawable] = {"accuracy_vs_parameters": accuracy_vs_parameters}
