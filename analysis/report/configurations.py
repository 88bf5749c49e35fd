"""Configurations: what one model is, over all its seeds and folds, and how well it does.

A configuration is all settings but those that tell repeats apart (seed and fold). Its values come
from analysis.aggregate.means, its costs from the manifest.
Contents: COSTS, Configurations, configurations.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis import aggregate
from analysis.conditions import REPEAT, varied
from analysis.data import Data
from scaling import settings

COSTS = {
    "parameters": "parameters",
    "kept_parameters": "parameters kept",
    "kept_weights": "weights kept",
    "macs": "multiply-adds",
    "bytes": "bytes",
    "latency_ms": "milliseconds",
}
NO_VALIDATION = (
    "No validation clips were scored, so models are chosen here by the {on} clips that also judge "
    "them: what is chosen looks better than it is. Sweep with split.validation_fold to choose "
    "honestly."
)


class Configurations(NamedTuple):
    """All configurations of a results folder."""

    rows: list[dict[str, Any]]  # label, family, costs, values by split, trials (ids)
    of: dict[str, int]  # the place of each planned trial's configuration in `rows`
    splits: list[str]  # that were scored, training clips excepted
    costs: dict[str, str]  # those that differ, with their label
    on: str  # the split that chooses
    note: str  # what that choice owes the reader; "" where validation clips choose


def configurations(data: Data) -> Configurations:
    """Every planned configuration. Errors: those of table.scores and aggregate.on_splits."""
    planned = data.manifest
    apart = [name for name in settings.leaves() if name not in REPEAT]
    numbers = planned.groupby([*apart, "data_digest"], dropna=False, sort=False).ngroup()
    of = dict(zip(planned["trial"], numbers.astype(int), strict=True))
    first = planned.loc[~numbers.duplicated()]
    scores = data.scores()
    splits: list[str] = []
    values: dict[int, dict[str, Any]] = {}
    if len(scores):
        known = sorted(set(scores["split"]), key=aggregate.split_order)
        splits = [split for split in known if not split.startswith("train")]
        values = _values(aggregate.on_splits(scores, splits), of)
    told = aggregate.told(first.rename(columns=_sizes()))
    sizes = aggregate.other_dimensions(told, "")
    kept = first["parameters"] - first["weights"] + first["kept_weights"]
    rows = []
    for place, (row, size, left) in enumerate(
        zip(told.to_dict("records"), sizes, kept, strict=True)
    ):
        costs = {name: row.get(name) for name in COSTS} | {"kept_parameters": int(left)}
        rows.append(
            {
                "label": ", ".join(filter(None, (str(row["family"]), size))),
                "family": str(row["family"]),
                "costs": {name: cost for name, cost in costs.items() if _known(cost)},
                "values": values.get(place, {}),
                "trials": [trial for trial, number in of.items() if number == place],
            }
        )
    held_out = [split for split in splits if split not in aggregate.NOT_HELD_OUT]
    on = "validation" if "validation" in splits else (held_out or [""])[-1]
    note = NO_VALIDATION.format(on=on) if on not in ("validation", "") else ""
    return Configurations(rows, of, splits, _differing(rows), on, note)


def _values(scores: pd.DataFrame, of: dict[str, int]) -> dict[int, dict[str, Any]]:
    """Mean, interval, n and unit by configuration and split."""
    found: dict[int, dict[str, Any]] = {}
    scores = scores.assign(configuration=scores["trial"].map(of))
    points = aggregate.means(scores, varied(scores), also=["configuration"])
    for row in points.to_dict("records"):
        interval = {name: row[name] for name in ("mean", "low", "high", "n", "unit")}
        found.setdefault(row["configuration"], {})[row["split"]] = interval
    return found


def _sizes() -> dict[str, str]:
    return {f"network.{name}": name for name in aggregate.DIMENSIONS}


def _known(cost: Any) -> bool:
    return cost is not None and not math.isnan(cost)


def _differing(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The costs in which configurations differ; what is kept only where some is pruned."""
    columns = {name: [row["costs"].get(name) for row in rows] for name in COSTS}
    pruned = columns["parameters"] != columns["kept_parameters"]
    return {
        name: label
        for name, label in COSTS.items()
        if len({*columns[name]}) > 1 and (pruned or not name.startswith("kept"))
    }
