"""Figures by name, of scores and over epochs alike: which are drawn, their points, their drawing.

Contents: known, chosen, of_accuracy, points, printed, draw.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure

from analysis import table
from analysis.figures import CURVES, FIGURES
from analysis.points import ACCURACY
from analysis.printed import curves_table, points_table
from analysis.table import Study
from scaling.spelling import nearest

if TYPE_CHECKING:
    from rich.table import Table


def known(names: Sequence[str]) -> None:
    """Raises ValueError for a name of no figure."""
    every = (*FIGURES, *CURVES)
    for name in names:
        if name not in every:
            raise ValueError(f"figure {name}: no such figure{nearest(name, every)}")


def chosen(names: Sequence[str], study: Study, scores: pd.DataFrame) -> list[str]:
    """The figures of these names, in this order; for none, all that this study can fill.

    `scores` are the accuracies of the study. Raises ValueError where a named one cannot be filled.
    """
    obstacles = {
        name: CURVES[name].obstacle(study) if name in CURVES else FIGURES[name].obstacle(scores)
        for name in names or (*FIGURES, *CURVES)
    }
    for name, reason in obstacles.items():
        if names and reason:
            raise ValueError(f"figure {name}: {reason}")
    return [name for name, reason in obstacles.items() if not reason]


def of_accuracy(name: str) -> bool:
    """Whether the scores that all figures are chosen by are all that this one needs."""
    return name in FIGURES and FIGURES[name].MEASURE == ACCURACY


def points(name: str, study: Study, scores: pd.DataFrame, last: int) -> pd.DataFrame:
    """The points of one figure; of a figure that draws no accuracy, its metric is read here.

    Raises ValueError where that was not recorded, or is not finite.
    """
    if name in CURVES:
        return CURVES[name].points(study)
    figure = FIGURES[name]
    asked = scores["unit"].iloc[0]
    read = scores if of_accuracy(name) else table.scores(study, figure.MEASURE.metric, last, asked)
    return figure.points(read)


def printed(name: str, points: pd.DataFrame) -> "Table":
    """A figure's points as a table for people; of curves, a few of their epochs."""
    if name in CURVES:
        return curves_table(name, CURVES[name].summary(points))
    return points_table(name, points, FIGURES[name].COLUMNS, FIGURES[name].MEASURE)


def draw(name: str, points: pd.DataFrame) -> Figure:
    """The figure of these points."""
    return CURVES[name].draw(points) if name in CURVES else FIGURES[name].draw(points)
