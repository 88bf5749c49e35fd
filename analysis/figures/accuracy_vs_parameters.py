"""Accuracy against parameters, by family, on seen and on unseen devices.

Source: the central figure of a scaling study: does a bigger network still hear better on devices
that it never heard? (CP-ResNet on TAU 2020 Mobile: width, depth, 1x1 blocks, damping.)
Conventions: a point is one size of one family on one split; pruned networks stand at the parameters
they had before (ways_of_scaling and sparse_width draw what pruning leaves).
Contents: MEASURE, COLUMNS, obstacle, points, draw.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.axes import parameters
from analysis.figures.panels import Frame, draw_panels
from analysis.points import ACCURACY, DIALS, means, on_splits, sizes_beside

MEASURE = ACCURACY
COLUMNS = ("split", "family", *DIALS, "parameters")


def obstacle(scores: pd.DataFrame) -> str | None:
    """None: every study has parameters and an accuracy."""
    del scores
    return None


def points(scores: pd.DataFrame, splits: Sequence[str] | None = None) -> pd.DataFrame:
    """The points of all sizes and families, as analysis.points.means gives them.

    `splits` None: all that are held out, validation excepted. Errors: those of `on_splits`.
    """
    return means(on_splits(scores, splits))


def draw(points: pd.DataFrame) -> Figure:
    """One panel per split; colour by family, lines along one dial.

    The dial is the size number that takes most values (width before depth before pointwise);
    sizes that differ in the others get markers, and lines, of their own.
    """
    dial = max(DIALS, key=lambda name: points[name].nunique())
    curves = points.assign(
        row="", colour=points["family"], marker=sizes_beside(points, dial), x=points["parameters"]
    )
    pruned = (points["kept_parameters"] < points["parameters"]).any()
    label = "Parameters before pruning" if pruned else "Parameters"
    return draw_panels(curves, Frame("Accuracy against parameters", label, parameters))
