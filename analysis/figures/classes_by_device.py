"""Accuracy of each class on each device, as a matrix: whether a device fails on some classes only.

Conventions: those of analysis.failures and analysis.figures.heat; rows and columns from the worst
on, seen devices left of a line.
Contents: obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.data import Data
from analysis.failures import answers
from analysis.failures.classes import by_device_and_class
from analysis.failures.listings import of_cells
from analysis.figures.classes import drawn_trials
from analysis.figures.devices import obstacle as obstacle_of_devices
from analysis.figures.heat import Heat, draw_heat
from analysis.figures.layout import PLAIN, Style
from analysis.figures.places import NONE, caption, drawn_models
from analysis.listing import Listing

MOST_PANELS = 4


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no predictions, or one device."""
    return answers.obstacle(data) or obstacle_of_devices(data)


def points(data: Data) -> pd.DataFrame:
    """A row for each drawn model, split, device and class: by_device_and_class's."""
    return by_device_and_class(data, drawn_trials(data))


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel per model: classes down, devices across."""
    points, note = drawn_models(points, MOST_PANELS)
    columns = points.groupby(["split", "device"], sort=False)["value"].mean().reset_index()
    splits = list(columns["split"].unique())
    columns = columns.assign(place=columns["split"].map(splits.index))
    columns = columns.sort_values(["place", "value"], kind="stable")
    named = columns["device"].where(columns["device"] != "", NONE)
    # a device may be seen by one model and unseen by another
    names = named.where(~named.duplicated(keep=False), named + ", " + columns["split"])
    keys = zip(columns["split"], columns["device"], strict=True)
    name_of = dict(zip(keys, names, strict=True))
    ends = columns.groupby("place").size().cumsum().tolist()[:-1]
    told = points.assign(
        column=[name_of[key] for key in zip(points["split"], points["device"], strict=True)]
    )
    rows = points.groupby("label")["value"].mean().sort_values(kind="stable").index.tolist()
    order = f"devices from left: {', then '.join(splits)}" if len(splits) > 1 else ""
    heat = Heat(
        "Accuracy by class and device",
        "; ".join(filter(None, [note, order, caption(points).replace(" and 95 % interval", "")])),
        "Accuracy (%)",
        rows,
        names.tolist(),
        "Device",
        "Class",
        lines=[end - 0.5 for end in ends],
    )
    return draw_heat(told, "label", "column", heat, style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_cells(name, points)
