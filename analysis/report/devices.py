"""Devices on the page: how well each configuration does on each device of a held-out split.

Contents: section.
"""

import math
from collections.abc import Mapping
from typing import Any

from analysis import aggregate
from analysis.data import Data
from analysis.failures import by_device
from analysis.failures.devices import obstacle
from analysis.failures.models import MODEL, summaries
from analysis.units import over

MODELS = 60  # in a table, at most: those that plans name first
DEVICES = 24  # columns of it, at most
POINTS = "value", "low", "high"


def section(data: Data) -> list[dict[str, Any]]:
    """A table per split with several devices: split, unit (what intervals are over), devices
    (their names), left (models and devices without room), rows: label, mean, tenth (percentile
    over devices), worst (name), least (its accuracy) and cells, one for each device: value, low,
    high (fractions).
    """
    if data.scores().empty or obstacle(data):
        return []
    points = by_device(data)
    points = points.assign(label=aggregate.models(points))
    tables = []
    for split, here in points.groupby("split", sort=False):
        names = aggregate.in_order(here["device"])
        if len(names) < 2:
            continue
        whole = summaries(here, "device").set_index(MODEL)
        numbers = [*here[MODEL].unique()]
        rows = [
            _row(here[here[MODEL] == model], whole.loc[model].to_dict(), names[:DEVICES])
            for model in numbers[:MODELS]
        ]
        left = {"models": len(numbers) - len(rows), "devices": max(0, len(names) - DEVICES)}
        known = here[here["low"].notna()]
        unit = over(known) if len(known) else ""
        tables.append(
            {"split": split, "unit": unit, "devices": names[:DEVICES], "left": left, "rows": rows}
        )
    return tables


def _row(here: Any, whole: Mapping[Any, Any], names: list[str]) -> dict[str, Any]:
    known = here.set_index("device")[[*POINTS]].to_dict("index")
    nothing = dict.fromkeys(POINTS, math.nan)
    about = {name: whole[name] for name in ("label", "mean", "tenth", "worst")}
    about["least"] = here["value"].min()
    return about | {"cells": [known.get(name, nothing) for name in names]}
