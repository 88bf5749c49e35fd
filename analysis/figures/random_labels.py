"""How well networks fit true and random labels: clean training accuracy against width.

Source: Koutini et al. 2021, section 4 (capacity), after Zhang et al. 2017, Understanding deep
learning requires rethinking generalization.
Conventions: accuracy on the training clips without augmentation (split train_clean), against what
they were taught; chance is 1 / classes.
Contents: MEASURE, COLUMNS, obstacle, points, draw.
"""

import math

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.axes import logarithmic
from analysis.figures.panels import Frame, Level, draw_panels
from analysis.points import ACCURACY, DIALS, means, on_splits, sizes_beside

MEASURE = ACCURACY
COLUMNS = ("split", "family", *DIALS)
SPLIT = "train_clean"


def obstacle(scores: pd.DataFrame) -> str | None:
    """Why there is nothing to draw: all labels are true, or training clips were not scored."""
    random = scores[scores["split.labels"] != "true"]
    if random.empty:
        return "no trial of these was taught random labels (split.labels is true in all of them)"
    if SPLIT not in set(random["split"]):
        return "no training clips were scored: sweep with --set evaluation.training_clips=true"
    return None


def points(scores: pd.DataFrame) -> pd.DataFrame:
    """The points of analysis.points.means on clean training clips, and `chance`."""
    return means(on_splits(scores, [SPLIT]), ["chance"])


def draw(points: pd.DataFrame) -> Figure:
    """One panel; colour by family, which says the labels; dashed at chance where it is known."""
    curves = points.assign(
        row="", colour=points["family"], marker=sizes_beside(points, "width"), x=points["width"]
    )
    levels = [
        Level(SPLIT, "", chance, "", f"chance ({100 * chance:.3g} %)")
        for chance in sorted(points["chance"].unique())
        if not math.isnan(chance)
    ]
    title, label = "Fit of true and random labels", "Width (channels of the first stage)"
    return draw_panels(curves, Frame(title, label, logarithmic), levels)
