"""What figures are drawn from: one snapshot of a results folder, each metric read once.

Contents: Data.
"""

import pandas as pd

from analysis import table
from analysis.table import Snapshot
from scaling.results.records import Results


class Data:
    """A snapshot, how many last evaluated epochs are averaged, and the unit that is asked for.

    Errors of every method: those of the function of analysis.table that it calls.
    """

    def __init__(self, results: Results | Snapshot, last: int = 1, unit: str = "") -> None:
        self.snapshot = table.load(results)
        self.last, self.unit = last, unit
        self._scores: dict[str, pd.DataFrame] = {}
        self._evaluations: dict[str, pd.DataFrame] = {}
        self._maps: pd.DataFrame | None = None

    @property
    def manifest(self) -> pd.DataFrame:
        """One row per planned trial."""
        return self.snapshot.manifest

    def scores(self, metric: str = "accuracy") -> pd.DataFrame:
        """One row per (trial, split, device): table.scores'."""
        if metric not in self._scores:
            self._scores[metric] = table.scores(self.snapshot, metric, self.last, self.unit)
        return self._scores[metric]

    def evaluations(self, metric: str = "accuracy") -> pd.DataFrame:
        """One row per (trial, epoch, split, device): table.evaluations'."""
        if metric not in self._evaluations:
            self._evaluations[metric] = table.evaluations(self.snapshot, metric)
        return self._evaluations[metric]

    def chance(self) -> "pd.Series[float]":
        """The accuracy of guessing of each planned trial, nan where it is not known."""
        return table.chance(self.snapshot)

    def maps(self) -> pd.DataFrame:
        """ERF maps: table.maps'."""
        if self._maps is None:
            self._maps = table.maps(self.snapshot)
        return self._maps
