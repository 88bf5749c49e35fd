"""How well networks fit true and random labels: clean training accuracy against width.

Source: Koutini et al. 2021, section 4 (capacity), after Zhang et al. 2017, Understanding deep
learning requires rethinking generalization.
Conventions: accuracy on the training clips without augmentation (split train_clean), against what
they were taught; chance is 1 / classes.
Contents: MEASURE, COLUMNS, obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import ACCURACY, DIMENSIONS, means, on_splits, other_dimensions
from analysis.conditions import labels, varied
from analysis.data import Data
from analysis.figures.axes import logarithmic
from analysis.figures.facets import Frame, draw_facets
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_points

MEASURE = ACCURACY
COLUMNS = ("split", "family", *DIMENSIONS)
SPLIT = "train_clean"


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: all labels are true, or training clips were not scored."""
    scores = data.scores()
    random = scores[scores["split.labels"] != "true"]
    if random.empty:
        return "no trial of these was taught random labels (split.labels is true in all of them)"
    if SPLIT not in set(random["split"]):
        return "no training clips were scored: sweep with --set evaluation.training_clips=true"
    return None


def points(data: Data) -> pd.DataFrame:
    """The points of analysis.aggregate.means on clean training clips."""
    scores = on_splits(data.scores(), [SPLIT])
    return means(scores, varied(scores))


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel; colour by condition, which says the labels."""
    curves = points.assign(
        row="", colour=labels(points), marker=other_dimensions(points, "width"), x=points["width"]
    )
    title, label = "Fit of true and random labels", "Width (channels of the first stage)"
    return draw_facets(curves, Frame(title, label, logarithmic, from_chance=True), (), style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_points(name, points, COLUMNS, MEASURE)
