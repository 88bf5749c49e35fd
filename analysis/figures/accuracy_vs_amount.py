"""Accuracy against how much there is to train on: share of the training clips, clips per class.

Source: Hu et al. 2021, Table 3 (5 to 100 % of the training clips of four datasets); Pons, Serra and
Serra 2019 (1 to 100 clips per class).
Conventions: a line is a family of one size on one dataset; what has only one amount is left to the
other figures. Families are those within a dataset, which has a row of panels of its own; of clips
per class, regularized, prototypical and transferred networks have one each, as published, with the
nearest neighbours on MFCC in all of them.
Contents: AccuracyVsAmount, FRACTION, CLIPS.
"""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.families import PRUNING, SIZE
from analysis.figures.axes import logarithmic
from analysis.figures.panels import Frame, Level, draw_panels
from analysis.points import (
    ACCURACY,
    DIALS,
    Measure,
    families_within,
    in_order,
    means,
    on_splits,
    sizes_beside,
)


class AccuracyVsAmount(NamedTuple):
    """The figure of one setting that says how much there is to train on."""

    setting: str  # a column of the manifest
    title: str
    label: str
    factor: float  # from the setting to what the label says
    grouped: bool = False  # whether kinds of training have rows of their own, where there are some

    @property
    def amount(self) -> str:
        """The column of the points that holds the setting."""
        return self.setting.rpartition(".")[2]

    @property
    def MEASURE(self) -> Measure:
        """What is drawn."""
        return ACCURACY

    @property
    def COLUMNS(self) -> tuple[str, ...]:
        """What the printed table shows beside the accuracy."""
        return ("split", "dataset", "family", self.amount, *DIALS, "parameters")

    def obstacle(self, scores: pd.DataFrame) -> str | None:
        """Why there is nothing to draw: no two trials differ in this setting alone."""
        if self._on_lines(scores).empty:
            return f"no two trials of one family and size differ in {self.setting} alone"
        return None

    def points(self, scores: pd.DataFrame) -> pd.DataFrame:
        """The points that lie on a line, as analysis.points.means gives them, with `dataset`, the
        setting and `chance`; families are told without it.
        """
        return means(on_splits(self._on_lines(scores)), ["dataset", self.amount, "chance"])

    def draw(self, points: pd.DataFrame) -> Figure:
        """One panel per split, a row for each dataset; colour by family, marker by size; dashed at
        chance where it is known.
        """
        points = _in_groups(points) if self.grouped else points.assign(group="")
        rows = [points["group"]] if points["group"].nunique() > 1 else []
        if points["dataset"].nunique() > 1:
            rows.insert(0, points["dataset"])
        curves = points.assign(
            row=[", ".join(each) for each in zip(*rows, strict=True)] if rows else "",
            colour=points["family"],
            marker=sizes_beside(points, ""),
            x=self.factor * points[self.amount],
        )
        frame = Frame(self.title, self.label, logarithmic, alike="row")
        known = curves[["split", "row", "chance"]].dropna().drop_duplicates()
        levels = [
            Level(split, row, chance, "", f"chance ({100 * chance:.3g} %)")
            for split, row, chance in known.itertuples(index=False)
        ]
        return draw_panels(curves, frame, levels)

    def _on_lines(self, scores: pd.DataFrame) -> pd.DataFrame:
        stated = scores[scores[self.setting] > 0]  # 0: off, all there is
        if stated.empty:
            return stated
        told = stated.assign(
            **{"dataset": stated["sound.dataset"], self.amount: stated[self.setting]},
            family=families_within(stated, (self.setting,)),
            unpruned=families_within(stated, (*PRUNING, self.setting)),
        )
        amounts = told.groupby(["dataset", "family", *SIZE])[self.amount].transform("nunique")
        lines: pd.DataFrame = told[amounts >= 2]
        return lines


def _in_groups(points: pd.DataFrame) -> pd.DataFrame:
    """The points with the `group` that each family belongs to; neighbours on MFCC in every one."""
    family = points["family"]
    group = pd.Series("regularized", index=points.index)
    group = group.mask(family.str.contains("prototypes"), "prototypical")
    group = group.mask(family.str.contains("transferred"), "transferred")
    everywhere = family.str.contains("mfcc")
    there = in_order(group[~everywhere]) or ["regularized"]
    copies = [points[everywhere].assign(group=name) for name in there]
    return pd.concat([points[~everywhere].assign(group=group[~everywhere]), *copies])


FRACTION = AccuracyVsAmount(
    "split.fraction",
    "Accuracy against the share of training clips",
    "Share of the training clips (%)",
    100,
)
CLIPS = AccuracyVsAmount(
    "split.clips_per_class",
    "Accuracy against training clips per class",
    "Training clips per class",
    1,
    grouped=True,
)
