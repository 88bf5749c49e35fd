"""Confusion matrix: which classes are taken for which, as shares of the true class's clips.

Conventions: those of analysis.failures and analysis.figures.heat; the last held-out split is drawn
(unseen devices, where there are some), all are written.
Contents: obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.data import Data
from analysis.failures import answers
from analysis.failures.confusions import confusion
from analysis.failures.listings import of_confusions
from analysis.figures.classes import drawn_trials
from analysis.figures.heat import Heat, draw_heat
from analysis.figures.layout import PLAIN, Style
from analysis.figures.places import caption, drawn_models
from analysis.listing import Listing, on

MOST_PANELS = 4


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no predictions."""
    return answers.obstacle(data)


def points(data: Data) -> pd.DataFrame:
    """A row for each drawn model, split and pair of classes: analysis.failures.confusion's."""
    return confusion(data, drawn_trials(data))


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel per model: true classes down, answers across, both in alphabetical order."""
    split = points["split"].iloc[-1]
    drawn, note = drawn_models(points[points["split"] == split], MOST_PANELS)
    classes = sorted({*points["label"], *points["predicted"]})
    said = caption(drawn).replace(" and 95 % interval", "")
    heat = Heat(
        "Confusion matrix",
        "; ".join(filter(None, [on(split), note, said])),
        "Share of the class's clips (%)",
        classes,
        classes,
        "Answered",
        "True class",
        "Blues",
        empty=0.0,
    )
    return draw_heat(drawn, "label", "predicted", heat, style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_confusions(name, points)
