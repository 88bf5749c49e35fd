"""Accuracy against how much there is to train on: share of the training clips, clips per class.

Source: Hu et al. 2021, Table 3 (5 to 100 % of the training clips of four datasets); Pons, Serra and
Serra 2019 (1 to 100 clips per class).
Conventions: a line is a condition of one size on one dataset; what has only one amount is left to
the other figures. Conditions are told within a dataset, which has a row of panels of its own; of
clips per class, regularized, prototypical and transferred networks have one each, as published,
with the nearest neighbours on MFCC in all of them.
Contents: AccuracyVsTrainingClips, FRACTION, CLIPS.
"""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import (
    ACCURACY,
    DIMENSIONS,
    in_order,
    means,
    on_splits,
    other_dimensions,
    varying,
)
from analysis.conditions import SIZE, TRANSFERRED, labels, varied
from analysis.data import Data
from analysis.figures.axes import logarithmic
from analysis.figures.facets import Frame, draw_facets
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_points


class AccuracyVsTrainingClips(NamedTuple):
    """The figure of one setting that says how much there is to train on."""

    setting: str  # a column of the manifest
    title: str
    label: str
    factor: float  # from the setting to what the label says
    by_training: bool = False  # whether ways of training have rows of their own, as published

    def obstacle(self, data: Data) -> str | None:
        """Why there is nothing to draw: no two trials differ in this setting alone."""
        if self._on_lines(data.scores()).empty:
            return f"no two trials of one condition and size differ in {self.setting} alone"
        return None

    def points(self, data: Data) -> pd.DataFrame:
        """The points that lie on a line, as analysis.aggregate.means gives them, with `dataset` and
        the setting; labels are told without it.
        """
        scores = on_splits(self._on_lines(data.scores()))
        but, within = (self.setting,), ("dataset",)
        conditions = varied(scores, but, within)
        return means(scores, conditions, ["dataset", self.amount], but, within)

    def draw(self, points: pd.DataFrame, style: Style = PLAIN) -> Figure:
        """One panel per split, a row for each dataset; colour by condition, marker by size."""
        points = _by_training(points) if self.by_training else points.assign(training="")
        curves = points.assign(
            row=varying(points, ["dataset", "training"]),
            colour=labels(points, (self.setting,), ("dataset",)),
            marker=other_dimensions(points, ""),
            x=self.factor * points[self.amount],
        )
        frame = Frame(self.title, self.label, logarithmic, alike="row", from_chance=True)
        return draw_facets(curves, frame, (), style)

    def listing(self, name: str, points: pd.DataFrame) -> Listing:
        """What is printed of the points."""
        columns = ("split", "dataset", "family", self.amount, *DIMENSIONS, "parameters")
        return of_points(name, points, columns, ACCURACY)

    @property
    def amount(self) -> str:
        """The column of the points that holds the setting."""
        return self.setting.rpartition(".")[2]

    def _on_lines(self, scores: pd.DataFrame) -> pd.DataFrame:
        stated = scores[scores[self.setting] > 0]  # 0: off, all there is
        if stated.empty:
            return stated
        stated = stated.assign(
            **{"dataset": stated["sound.dataset"], self.amount: stated[self.setting]}
        )
        line = ["dataset", *varied(stated, (self.setting,), ("dataset",)), *SIZE]
        amounts = stated.groupby(line, dropna=False)[self.amount].transform("nunique")
        lines: pd.DataFrame = stated[amounts >= 2]
        return lines


def _by_training(points: pd.DataFrame) -> pd.DataFrame:
    """The points with how each was trained, `training`; what trains nothing stands in every row."""
    training = pd.Series("regularized", index=points.index)
    training = training.mask(points["objective.kind"] == "prototypes", "prototypical")
    training = training.mask(points[TRANSFERRED], "transferred")
    untrained = points["objective.kind"] == "neighbours"
    there = in_order(training[~untrained]) or ["regularized"]
    copies = [points[untrained].assign(training=name) for name in there]
    return pd.concat(
        [points[~untrained].assign(training=training[~untrained]), *copies], ignore_index=True
    )


FRACTION = AccuracyVsTrainingClips(
    "split.fraction",
    "Accuracy against the share of training clips",
    "Share of the training clips (%)",
    100,
)
CLIPS = AccuracyVsTrainingClips(
    "split.clips_per_class",
    "Accuracy against training clips per class",
    "Training clips per class",
    1,
    by_training=True,
)
