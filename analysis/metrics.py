"""Metrics: what complete trials recorded, read in one pass and reduced trial by trial.

A study may hold more rows than memory does, and most of them are of epochs that no one asks for. So
each trial's rows are cut to what is wanted as soon as they are read; texts are held as codes.
Contents: WantedMetrics, Recorded, recorded, Unrecorded.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from analysis.joined import Joined
from scaling.spelling import nearest

# N rows of a trial
COLUMNS = ("trial", "epoch", "split", "device", "value")
TEXTS = ("split", "device", "metric")


class Unrecorded(ValueError):
    """A metric that no complete trial recorded, or that has a value which no mean can hold."""


class WantedMetrics(NamedTuple):
    """Which rows are kept."""

    metrics: frozenset[str] | None = None  # None: all
    device: str | None = None  # None: all
    last: int | None = None  # evaluated epochs of each trial, split, device and metric; None: all


class Recorded:
    """The rows of one WantedMetrics, of all trials."""

    def __init__(self, trials: Sequence[str]) -> None:
        self.trials = list(trials)
        self.known: dict[str, dict[str, int]] = {name: {} for name in TEXTS}  # code of each text
        self.names: set[str] = set()  # of all metrics recorded, kept or not
        self.faults: dict[str, str] = {}  # by metric: what no mean can hold, in words
        self._parts: dict[str, list[NDArray[Any]]] = {n: [] for n in (*COLUMNS, "metric")}

    def values(self, metric: str, coded: bool = False) -> pd.DataFrame:
        """One row per (trial, epoch, split, device) that is kept: `value` of this metric. Texts are
        categories where `coded` asks for that: to handle a million of them takes seconds.

        Raises Unrecorded for a metric that no trial recorded, or that has a value, kept or not,
        which is not finite.
        """
        if self.trials and metric not in self.names:
            hint = nearest(metric, sorted(self.names))
            raise Unrecorded(f"metric={metric}: no complete trial recorded it{hint}")
        if metric in self.faults:
            raise Unrecorded(self.faults[metric])
        whole = {name: self._whole(name) for name in (*COLUMNS, "metric")}
        chosen = whole.pop("metric") == self.known["metric"].get(metric, -1)
        columns = {name: values[chosen] for name, values in whole.items()}
        texts = {"trial": self.trials} | {n: [*self.known[n]] for n in ("split", "device")}
        for name, words in texts.items():
            codes = pa.DictionaryArray.from_arrays(columns[name], pa.array(words, pa.string()))
            columns[name] = codes if coded else codes.cast(pa.string())
        frame: pd.DataFrame = pa.table(columns).to_pandas()
        return frame

    def add(self, trial: int, rows: "_Rows", wanted: WantedMetrics) -> None:
        """Keep what is wanted of the rows of the trial at this place."""
        kept = np.flatnonzero(_kept(rows, wanted))
        self._parts["trial"].append(np.full(len(kept), trial, np.int32))
        self._parts["epoch"].append(rows.epoch_N[kept])
        self._parts["value"].append(rows.value_N[kept])
        for name in TEXTS:
            known = self.known[name]
            codes = [known.setdefault(text, len(known)) for text in rows.texts[name]]
            self._parts[name].append(np.array(codes, np.int32)[rows.codes[name][kept]])

    def _whole(self, name: str) -> NDArray[Any]:
        """A column of all trials; its parts are joined once."""
        parts = self._parts[name]
        if len(parts) != 1:
            kind = {"value": np.float64}.get(name, np.int32)
            parts[:] = [np.concatenate([np.empty(0, kind), *parts], dtype=kind)]
        return parts[0]


class _Rows(NamedTuple):
    """One trial's metrics; a code is a place among the texts."""

    epoch_N: NDArray[np.int32]
    value_N: NDArray[np.float64]
    texts: dict[str, list[str]]
    codes: dict[str, NDArray[np.int32]]


def recorded(
    results: Joined, trials: Iterable[str], wanted: Sequence[WantedMetrics]
) -> tuple[Recorded, ...]:
    """What these complete trials recorded, read once for all that is wanted.

    Raises ValueError where a trial has no metrics, and as Results.read does.
    """
    trials = list(trials)
    there = set(results.names("metrics"))
    for trial in trials:
        if trial not in there:
            raise ValueError(
                f"trial {trial} is complete but its metrics/{trial}.parquet is gone: restore it, "
                f"or remove outcomes/{trial}.parquet and sweep again"
            )
    made = tuple(Recorded(trials) for _ in wanted)
    places = {trial: place for place, trial in enumerate(trials)}
    names: set[str] = set()
    faults: dict[str, tuple[int, str]] = {}  # of the first trial, in whichever order they are read
    for trial, table in results.each("metrics", trials, ("trial", *TEXTS)):
        rows = _rows(table)
        names |= {*rows.texts["metric"]}
        for metric, words in _faults(trial, rows):
            faults[metric] = min(faults.get(metric, (len(trials), "")), (places[trial], words))
        for each, what in zip(made, wanted, strict=True):
            each.add(places[trial], rows, what)
    for each in made:
        each.names = names
        each.faults = {metric: words for metric, (_, words) in faults.items()}
    return made


def _rows(table: pa.Table) -> _Rows:
    texts, codes = {}, {}
    for name in TEXTS:
        encoded = table[name].combine_chunks()
        texts[name] = encoded.dictionary.to_pylist()
        codes[name] = encoded.indices.to_numpy()
    return _Rows(table["epoch"].to_numpy(), table["value"].to_numpy(), texts, codes)


def _kept(rows: _Rows, wanted: WantedMetrics) -> NDArray[np.bool_]:
    """Which rows are wanted."""
    kept_N = np.ones(len(rows.epoch_N), bool)
    if wanted.metrics is not None:
        among = np.array([name in wanted.metrics for name in rows.texts["metric"]], bool)
        kept_N &= among[rows.codes["metric"]]
    if wanted.device is not None:
        among = np.array([name == wanted.device for name in rows.texts["device"]], bool)
        kept_N &= among[rows.codes["device"]]
    if wanted.last is not None:
        at = np.flatnonzero(kept_N)
        series_N, series = np.zeros(len(at), np.int64), 1
        for name in TEXTS:
            series *= len(rows.texts[name])
            series_N = series_N * len(rows.texts[name]) + rows.codes[name][at]
        # numbers of one or two bytes are sorted in one pass
        order = np.lexsort((rows.epoch_N[at], series_N.astype(np.min_scalar_type(series))))
        sorted_N = series_N[order]
        # a series' rows stand in the order of their epochs: how many are behind each of them
        behind_N = np.bincount(series_N).cumsum()[sorted_N] - np.arange(len(at)) - 1
        kept_N[at[order[behind_N >= wanted.last]]] = False
    return kept_N


def _faults(trial: str, rows: _Rows) -> list[tuple[str, str]]:
    """The first value of each metric that no mean can hold, in words."""
    found: dict[str, str] = {}
    for at in np.flatnonzero(~np.isfinite(rows.value_N)):
        metric, split = (rows.texts[name][rows.codes[name][at]] for name in ("metric", "split"))
        words = (
            f"{metric}={rows.value_N[at]} in epoch {rows.epoch_N[at]} of trial {trial} ({split}): "
            "no mean can hold it, choose another metric or mend the trial"
        )
        found.setdefault(metric, words)
    return [*found.items()]
