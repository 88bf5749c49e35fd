"""The figures: FIGURES names those of scores, CURVES those over epochs.

A new one costs one file and one line here. What depends on maps of the effective receptive field is
not here: `overhear erf` draws it.
"""

from typing import Protocol

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import (
    accuracy_vs_parameters,
    disagreement_curves,
    learning_curves,
    random_labels,
    sparse_width,
    vib_beta,
    ways_of_scaling,
)
from analysis.figures.accuracy_vs_amount import CLIPS, FRACTION
from analysis.figures.accuracy_vs_dial import DEPTH, POINTWISE, WIDTH
from analysis.points import Measure
from analysis.table import Study


class Drawable(Protocol):
    """What a figure of scores offers: whether it applies, its points as a table, their drawing."""

    @property
    def MEASURE(self) -> Measure:
        """What its points are of; `points` takes the scores of MEASURE.metric."""

    @property
    def COLUMNS(self) -> tuple[str, ...]:
        """The columns of its points that the printed table shows before the mean, n and spread."""

    def obstacle(self, scores: pd.DataFrame) -> str | None:
        """Why trials with these scores (table.scores', of any metric of evaluated clips) cannot
        fill this figure, as half a sentence; None if they can.
        """

    def points(self, scores: pd.DataFrame) -> pd.DataFrame:
        """One row per drawn point, with the columns of analysis.points.means; pure."""

    def draw(self, points: pd.DataFrame) -> Figure:
        """The figure of these points."""


class Curve(Protocol):
    """What a figure over epochs offers: it needs the metrics of all epochs, not the scores."""

    def obstacle(self, study: Study) -> str | None:
        """Why this study cannot fill the figure, as half a sentence; None if it can."""

    def points(self, study: Study) -> pd.DataFrame:
        """One row per line and epoch, with the columns of analysis.figures.curves."""

    def summary(self, points: pd.DataFrame) -> pd.DataFrame:
        """The few of these points that are printed, as curves.last_and_best gives them."""

    def draw(self, points: pd.DataFrame) -> Figure:
        """The figure of these points."""


FIGURES: dict[str, Drawable] = {
    "accuracy_vs_parameters": accuracy_vs_parameters,
    "accuracy_vs_width": WIDTH,
    "accuracy_vs_depth": DEPTH,
    "accuracy_vs_pointwise": POINTWISE,
    "accuracy_vs_fraction": FRACTION,
    "accuracy_vs_clips": CLIPS,
    "ways_of_scaling": ways_of_scaling,
    "sparse_width": sparse_width,
    "random_labels": random_labels,
    "vib_beta": vib_beta,
}
CURVES: dict[str, Curve] = {
    "learning_curves": learning_curves,
    "disagreement_curves": disagreement_curves,
}
