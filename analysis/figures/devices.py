"""Accuracy of each recording device, seen and unseen, with the worst beside the mean.

Source: a pooled accuracy can hide a device that the model fails on: 31.9 % over three speakers was
66.7, 18.4 and 15.9 %. Conventions: those of analysis.failures and analysis.figures.places.
Contents: obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.data import Data
from analysis.failures.devices import by_device
from analysis.failures.devices import obstacle as obstacle_of_devices
from analysis.failures.listings import of_places
from analysis.figures.layout import PLAIN, Style
from analysis.figures.places import draw_places
from analysis.listing import Listing


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no split was scored on two devices."""
    return obstacle_of_devices(data)


def points(data: Data) -> pd.DataFrame:
    """A row for each model, split and device: analysis.failures.by_device's."""
    return by_device(data)


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel per model; devices from the worst down, as they do on average over the models."""
    return draw_places(points, "device", "Accuracy by device", style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_places(name, points, "device")
