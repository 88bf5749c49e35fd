"""Latency: how long each trial takes for one clip, as `overhear measure` recorded it.

The latency of a model is the median of one thread of torch in float32, from waveform to
probabilities. Latencies of two machines do not compare: all are of one, the one that measured most
trials unless it is named. Contents: Latencies, latencies.
"""

from typing import NamedTuple

import pandas as pd

from analysis.reading import Snapshot
from scaling.spelling import nearest

THE = {"runtime": "torch", "threads": 1, "precision": "float32", "scope": "waveform"}
SAID = "median, one thread, float32, from waveform to probabilities"


class Latencies(NamedTuple):
    """What one machine measured."""

    machine: str  # "" where nothing was measured
    p50_ms: dict[str, float]  # by trial
    others: tuple[str, ...] = ()  # machines whose latencies are left out

    @property
    def said(self) -> str:
        """What these latencies are, for a caption."""
        return f"{SAID}, on {self.machine}"

    def of(self, trials: "pd.Series[str]", configurations: "pd.Series[int]") -> "pd.Series[float]":
        """The median over the measured trials of each configuration, by its number; nan where none
        was measured: seeds and folds share their latency.
        """
        return trials.map(self.p50_ms).astype("float64").groupby(configurations).median()

    def lacking(self, count: int, of: int) -> str:
        """Why a budget cannot be held against candidates of which so many were not measured."""
        said = f"{count} of {of} candidates have none measured"
        where = "overhear measure"
        if self.machine:
            said += f" on {self.machine}"
            where += " there"
        if self.others:
            said += f" ({', '.join(self.others)} measured others: two machines do not compare)"
        return f"{said}: run {where}, or leave this limit out"


def latencies(snapshot: Snapshot, machine: str = "") -> Latencies:
    """The latencies of the planned trials on one machine: the named one, else the one that measured
    most of them (of equals, the one that measured last).

    Raises ValueError for a machine that measured none.
    """
    there = set(snapshot.results.names("latency"))
    trials = [trial for trial in snapshot.manifest["trial"] if trial in there]
    rows = snapshot.results.read("latency", trials).to_pandas()
    for column, value in THE.items():
        rows = rows[rows[column] == value]
    known = rows.groupby("machine").agg(n=("trial", "nunique"), last=("measured", "max"))
    ordered = [str(name) for name in known.sort_values(["n", "last"], ascending=False).index]
    if machine and machine not in ordered:
        hint = nearest(machine, ordered)
        raise ValueError(f"--machine {machine}: it measured no latency here{hint}")
    if not ordered:
        return Latencies("", {})
    chosen = machine or ordered[0]
    mine = rows[rows["machine"] == chosen]
    times = dict(zip(mine["trial"], mine["p50_ms"], strict=True))
    return Latencies(chosen, times, tuple(name for name in ordered if name != chosen))
