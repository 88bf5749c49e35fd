"""Accuracy of each class, with the worst beside the mean.

Conventions: those of analysis.failures and analysis.figures.places; of more models than a figure
has room for, the largest of each family are drawn and written.
Contents: obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.data import Data
from analysis.failures import answers
from analysis.failures.classes import by_class
from analysis.failures.listings import of_places
from analysis.failures.models import models
from analysis.figures.layout import PLAIN, Style
from analysis.figures.places import MOST_PANELS, draw_places
from analysis.listing import Listing


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no predictions."""
    return answers.obstacle(data)


def points(data: Data) -> pd.DataFrame:
    """A row for each drawn model, split and class: analysis.failures.by_class's."""
    return by_class(data, drawn_trials(data))


def drawn_trials(data: Data) -> list[str]:
    """The trials whose predictions are read: those of the models that a figure has room for."""
    found = models(data)
    return found.of(found.few(MOST_PANELS))


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel per model; classes from the worst down, as they do on average over the models."""
    return draw_places(points, "label", "Accuracy by class", style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_places(name, points, "label")
