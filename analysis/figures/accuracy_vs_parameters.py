"""Accuracy against parameters, by family, on seen and on unseen devices.

Source: the central figure of a scaling study: does a bigger network still hear better on devices
that it never heard? (CP-ResNet on TAU 2020 Mobile: width, depth, 1x1 blocks, damping.)
Conventions: a point is one size of one condition on one split; pruned networks stand at the
parameters that pruning leaves. A line joins the sizes of one condition along one dimension; pruned
networks of one kept size differ in how big they were before, and are joined by none.
Contents: MEASURE, COLUMNS, obstacle, points, draw, listing.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import ACCURACY, DIMENSIONS, means, on_splits, other_dimensions
from analysis.conditions import labels, varied
from analysis.data import Data
from analysis.figures.axes import parameters
from analysis.figures.facets import Frame, draw_facets
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_points

MEASURE = ACCURACY
COLUMNS = ("split", "family", *DIMENSIONS, "kept_parameters")


def obstacle(data: Data) -> str | None:
    """None: every study has parameters and an accuracy."""
    del data
    return None


def points(data: Data, splits: Sequence[str] | None = None) -> pd.DataFrame:
    """The points of all sizes and conditions, as analysis.aggregate.means gives them.

    `splits` None: all that are held out, validation excepted. Errors: those of `on_splits`.
    """
    scores = on_splits(data.scores(), splits)
    return means(scores, varied(scores))


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel per split; colour by condition, lines along one dimension.

    The dimension is the one that takes most values (width before depth before pointwise); sizes
    that differ in the others get markers, and lines, of their own.
    """
    along = max(DIMENSIONS, key=lambda name: points[name].nunique())
    curves = points.assign(
        row="",
        colour=labels(points),
        marker=other_dimensions(points, along),
        mark=points[along].map(f"{along} {{}}".format),
        x=points["kept_parameters"],
    )
    pruned = (points["kept_parameters"] < points["parameters"]).any()
    label = "Parameters left by pruning" if pruned else "Parameters"
    return draw_facets(curves, Frame("Accuracy against parameters", label, parameters), (), style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_points(name, points, COLUMNS, MEASURE)
