"""What figures are drawn from: one snapshot of results folders, whose metrics are read once.

Contents: Data, opened.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property

import pandas as pd

from analysis import fields, reading, table
from analysis.aggregate import MEASURES
from analysis.latency import Latencies, latencies
from analysis.metrics import Recorded, WantedMetrics
from analysis.reading import Source
from analysis.selectors import Selector
from scaling.results.records import Results
from scaling.settings import Trial, unflat

# metrics that are drawn over epochs
CURVES = frozenset([*(measure.metric for measure in MEASURES.values()), "cross_entropy"])
Location = str | os.PathLike[str] | Results


def opened(
    locations: Sequence[Location],
    last: int | None = None,
    unit: str = "",
    studies: Sequence[str] = (),
    machine: str = "",
    where: Selector | None = None,
) -> "Data":
    """The results folders at these paths or URIs as one: one id is one trial, whose records must
    agree. `last` None: as evaluation.last of all trials says, else 1. `studies` and `where`: only
    their trials, and those with these settings. `machine`: whose latencies count, else those of the
    one that measured most.

    Errors: those of reading.load.
    """
    folders = [each if isinstance(each, Results) else Results(each) for each in locations]
    planned = reading.load(folders, studies, where)
    return Data(planned, table.stated_last(planned) if last is None else last, unit, machine)


class Data:
    """A snapshot, how many last evaluated epochs are averaged, the unit and the machine that are
    asked for.

    Errors of every method: those of the function of analysis.table that it calls.
    """

    def __init__(self, results: Source, last: int = 1, unit: str = "", machine: str = "") -> None:
        self.snapshot = reading.load(results)
        self.last, self.unit, self.machine = last, unit, machine
        self._scores: dict[str, pd.DataFrame] = {}
        self._evaluations: dict[tuple[str, str | None], pd.DataFrame] = {}
        self._maps: pd.DataFrame | None = None

    @cached_property
    def latencies(self) -> Latencies:
        """How long the trials take for one clip: latency.latencies'."""
        return latencies(self.snapshot, self.machine)

    @cached_property
    def _recorded(self) -> tuple[Recorded, ...]:
        """The last epochs of every metric, and the curves of what is drawn over epochs."""
        wanted = [WantedMetrics(last=self.last), WantedMetrics(CURVES, "all")]
        return table.recorded(self.snapshot, wanted)

    @property
    def manifest(self) -> pd.DataFrame:
        """One row per planned trial."""
        return self.snapshot.manifest

    def trial(self, name: str) -> Trial:
        """The settings of a planned trial, by its id."""
        planned = self.manifest
        return unflat(planned[planned["trial"] == name].iloc[0])

    def scores(self, metric: str = "accuracy") -> pd.DataFrame:
        """One row per (trial, split, device): table.scores'."""
        if metric not in self._scores:
            ends, _ = self._recorded
            found = table.scores(self.snapshot, metric, self.last, self.unit, ends)
            self._scores[metric] = found
        return self._scores[metric]

    @property
    def where(self) -> str:
        """What a command names to read this."""
        return self.snapshot.results.where

    def fields(self, metric: str) -> pd.DataFrame:
        """One row per (trial, split): fields.sizes' of the maps that were computed."""
        return fields.sizes(self.scores(), self.maps(), metric)

    def evaluations(self, metric: str = "accuracy", device: str | None = None) -> pd.DataFrame:
        """One row per (trial, epoch, split, device), of this device or (None) of all:
        table.evaluations'. Texts may be categories.
        """
        key = (metric, device)
        if key not in self._evaluations:
            _, curves = self._recorded
            if device == "all" and metric in CURVES:
                self._evaluations[key] = curves.values(metric, coded=True)
            else:
                self._evaluations[key] = table.evaluations(self.snapshot, metric, device=device)
        return self._evaluations[key]

    def chance(self) -> "pd.Series[float]":
        """The accuracy of guessing of each planned trial, nan where it is not known."""
        return table.chance(self.snapshot)

    def predictions(
        self, trials: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """The predictions of these trials (None: of all planned ones that have some), one trial at
        a time, so that any number fits into memory: its id and these columns of SCHEMAS (None: all
        but `trial`; `logits` holds an array per row). What has none is left out.
        """
        return table.predictions(self.snapshot, trials, columns)

    def maps(self) -> pd.DataFrame:
        """ERF maps: table.maps'."""
        if self._maps is None:
            self._maps = table.maps(self.snapshot)
        return self._maps
