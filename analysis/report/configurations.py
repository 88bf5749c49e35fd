"""Configurations: what one model is over all its seeds and folds, how well it does, and which one
is chosen.

A configuration is all settings but those that tell repeats apart, as in analysis.choose, which also
ranks them; its accuracies are those of analysis.aggregate.means. Contents: Configurations,
configurations.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from analysis import aggregate, candidates, choose, table
from analysis.conditions import varied
from analysis.data import Data
from analysis.frontier import frontier

COSTS = {
    "parameters": "parameters",
    "kept_parameters": "parameters kept",
    "kept_weights": "weights kept",
    "macs": "multiply-adds",
    "bytes": "bytes",
    "sparse_bytes": "bytes, sparse",
    "latency_ms": "milliseconds a clip",
}
NO_VALIDATION = (
    "No validation clips were scored: models are chosen by the clips that also judge them ({on}). "
    "Sweep with split.validation_fold to choose by others."
)


class Configurations(NamedTuple):
    """All planned configurations of a results folder."""

    rows: list[dict[str, Any]]  # label, family, costs, values by split, trials (ids); see `_ranked`
    of: dict[str, int]  # the place of each planned trial's configuration in `rows`
    splits: list[str]  # that were scored, training clips excepted
    costs: dict[str, str]  # those that differ, with their label
    on: str  # the split that chooses; "" where no trial is complete
    best: str  # the label of the chosen one; "" where none is
    reason: str  # sentences: why that one, or why none
    notes: list[str]  # what the reader of a choice has to know


def configurations(data: Data) -> Configurations:
    """Every planned configuration. Errors: those of table.scores and aggregate.on_splits."""
    planned = data.manifest
    numbers = candidates.configurations(planned)
    numbers = pd.Series(numbers.factorize()[0], index=planned.index)  # in the order of the plan
    of = dict(zip(planned["trial"], numbers.tolist(), strict=True))
    latency = data.latencies.of(planned["trial"], numbers)
    first = planned.loc[~numbers.duplicated()]
    names = candidates.named(planned).loc[first["trial"]]
    rows = _planned(first.assign(latency_ms=latency.to_numpy()), names)
    for trial, place in of.items():
        rows[place]["trials"].append(trial)
    scores = data.scores()
    if scores.empty:
        return Configurations(rows, of, [], _differing(rows), "", "", "", [])
    known = sorted({*scores["split"]}, key=aggregate.split_order)
    splits = [split for split in known if not split.startswith("train")]
    _measure(rows, aggregate.on_splits(scores, splits), of)
    held_out = [split for split in splits if split not in aggregate.NOT_HELD_OUT]
    on = "validation" if "validation" in splits else held_out[-1]
    costs = _differing(rows)
    best, reason, notes = _ranked(rows, of, data, on, [*costs])
    if "latency_ms" in costs:
        notes.append(f"Milliseconds: {data.latencies.said}.")
    if on != "validation":
        notes.insert(0, NO_VALIDATION.format(on=on))
    return Configurations(rows, of, splits, costs, on, best, reason, notes)


def _planned(first: pd.DataFrame, names: pd.DataFrame) -> list[dict[str, Any]]:
    """The configurations, as one trial of each was planned, with candidates.named's names."""
    rows = []
    each = zip(table.in_use(first).to_dict("records"), names.to_dict("records"), strict=True)
    for row, name in each:
        costs = {name: row.get(name, math.nan) for name in COSTS}
        rows.append(
            {
                "label": str(name["label"]),
                "family": str(name["family"]),
                "costs": {name: cost for name, cost in costs.items() if not math.isnan(cost)},
                "values": {},
                "trials": [],
            }
        )
    return rows


def _measure(rows: list[dict[str, Any]], scores: pd.DataFrame, of: dict[str, int]) -> None:
    """Add the mean, interval, n and unit of each configuration on each split."""
    scores = scores.assign(configuration=scores["trial"].map(of))
    points = aggregate.means(scores, varied(scores), also=["configuration"])
    for point in points.to_dict("records"):
        interval = {name: point[name] for name in ("mean", "low", "high", "n", "unit")}
        rows[point["configuration"]]["values"][point["split"]] = interval


def _ranked(
    rows: list[dict[str, Any]], of: dict[str, int], data: Data, on: str, costs: Sequence[str]
) -> tuple[str, str, list[str]]:
    """Add `rank`, the place among the candidates (0 is the best), and `often`, by cost the share of
    resamples in which one is on the frontier, to the configurations that may be chosen. Returns
    the label of the best, why it is, and what the choice warns of.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            choice = choose.choose(data, {}, {}, on)
        except ValueError as error:
            return "", f"No model is chosen: {error}.", []
    ranked = [of[trials.split()[0]] for trials in choice.candidates["trials"]]
    for rank, place in enumerate(ranked):
        rows[place] |= {"rank": rank, "often": {}}
    for cost in costs:
        often = frontier(choice.candidates, data, cost)["often"]
        for place, share in zip(ranked, often, strict=True):
            if not math.isnan(share):
                rows[place]["often"][cost] = round(share, 3)
    notes = dict.fromkeys(
        f"{str(each.message)[:1].upper()}{str(each.message)[1:]}." for each in caught
    )
    return rows[ranked[0]]["label"], choice.reason, [*notes]


def _differing(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The costs in which configurations differ; what is kept, and so the bytes, only where some are
    pruned.
    """
    columns = {name: [row["costs"].get(name) for row in rows] for name in COSTS}
    pruned = columns["parameters"] != columns["kept_parameters"]
    told = {"parameters", "macs", "latency_ms"} | ({*COSTS} if pruned else set())
    return {name: COSTS[name] for name in COSTS if name in told and len({*columns[name]}) > 1}
