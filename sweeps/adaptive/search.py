"""Search: studies that state a space of settings, where each next trial follows from the last.

A study states SPACE, the settings that are searched and their ranges; BASE, the trial in which they
are set, and the first to run; SAMPLES, how many trials in all; and METRIC, of validation clips. The
state of a search is read from the manifest and the records at every launch. Knows neither Ray nor
Optuna: sweeps.engine.ray_adaptive brings them together. Contents: Uniform, LogUniform, Integer and
Choice; Search with `check` and `described`; Ended; Ledger, the trials of a search.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from scaling import optional
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.settings import Trial, changed, flat, leaves, unflat
from scaling.spelling import SETTINGS, nearest
from sweeps.adaptive import early_stopping
from sweeps.study_file import TRIALS

if TYPE_CHECKING:  # studies state spaces, and need no torch
    import pandas as pd

    from scaling.results.manifest import Plan
    from scaling.sound.store import Store

# Trials are compared on the same clips, heard and scored in the same way.
FIXED = ("seed", "split", "evaluation", "microphones", "transfer")
FIXED_SOUND = ("sound.dataset", "sound.options", "sound.rate", "sound.classes")


@dataclass(frozen=True)
class Uniform:
    """Any number from low to high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self, -math.inf)

    def has(self, value: Any) -> bool:
        """Whether a value lies in it."""
        return _is_number(value) and self.low <= value <= self.high

    @property
    def ends(self) -> tuple[Any, ...]:
        """What bounds it."""
        return self.low, self.high


class LogUniform(Uniform):
    """Any number from low to high, as often in each factor of ten."""

    def __post_init__(self) -> None:
        _check_bounds(self, 0)


@dataclass(frozen=True)
class Integer:
    """A whole number from low to high, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        _check_bounds(self, -math.inf)
        if not all(isinstance(end, int) for end in self.ends):
            raise ValueError(f"{self} must have whole numbers")

    def has(self, value: Any) -> bool:
        """Whether a value lies in it."""
        return _is_number(value) and value == int(value) and self.low <= value <= self.high

    @property
    def ends(self) -> tuple[Any, ...]:
        """What bounds it."""
        return self.low, self.high


@dataclass(frozen=True)
class Choice:
    """One of some values, in no order."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        values = self.values
        if not isinstance(values, tuple) or len(set(values)) < max(2, len(values)):
            raise ValueError(f"{self} must be a tuple of at least two different values")

    def has(self, value: Any) -> bool:
        """Whether a value is one of them."""
        return value in self.values

    @property
    def ends(self) -> tuple[Any, ...]:
        """All of it."""
        return self.values


Dimension = Uniform | Integer | Choice


class Search(NamedTuple):
    """What a study searches."""

    base: Trial
    space: dict[str, Dimension]
    samples: int
    metric: str = "accuracy"

    def values(self, trial: Trial) -> dict[str, Any]:
        """What a trial has for the settings that are searched."""
        settings = flat(trial)
        return {name: settings[name] for name in self.space}

    def has(self, trial: Trial) -> bool:
        """Whether a trial is one of this search."""
        values = self.values(trial)
        within = all(each.has(values[name]) for name, each in self.space.items())
        return within and changed(self.base, values).id == trial.id


def check(search: Search) -> None:
    """Raises ValueError for a space that cannot be searched; knows each setting's own bounds."""
    base, space, samples, metric = search
    if not isinstance(base, Trial):
        raise ValueError(f"BASE={base!r:.60} must be the Trial whose settings SPACE varies")
    if not isinstance(space, dict) or not space:
        raise ValueError(f"SPACE={space!r:.60} must be a dict of settings and their ranges")
    if not isinstance(samples, int) or not 1 <= samples <= TRIALS:
        raise ValueError(
            f"SAMPLES={samples!r} must be the number of trials to run, from 1 to {TRIALS:,}"
        )
    if metric not in early_stopping.METRICS:
        raise ValueError(
            f"METRIC={metric!r}: no such metric{nearest(metric, early_stopping.METRICS)}"
        )
    if base.split.validation_fold is None:
        raise ValueError(
            "BASE has no validation clips, and a search may choose only by them: set "
            "split.validation_fold"
        )
    values, size = flat(base), 1.0
    for name, dimension in space.items():
        if name not in leaves():
            raise ValueError(f"SPACE: {name}: no such setting{nearest(name, leaves(), SETTINGS)}")
        if name.split(".")[0] in FIXED or name in FIXED_SOUND:
            raise ValueError(f"SPACE: {name} cannot vary: trials are compared on the same clips")
        if not isinstance(dimension, Dimension):
            raise ValueError(
                f"SPACE: {name}={dimension!r:.60} must be a Uniform, LogUniform, Integer or Choice"
            )
        kind = leaves()[name]
        if isinstance(dimension, Uniform) and float not in (kind, *get_args(kind)):
            raise ValueError(f"SPACE: {name} takes no fractions: use Integer or Choice")
        for end in dimension.ends:
            try:
                changed(base, {name: end})
            except ValueError as error:
                raise ValueError(f"SPACE: {name}={end} in BASE: {error}") from None
        if not dimension.has(values[name]):
            raise ValueError(
                f"SPACE: {name} of BASE is {values[name]}, which is outside {dimension}: BASE is "
                "the first to run"
            )
        many = len(dimension.ends) if isinstance(dimension, Choice) else math.inf
        size *= 1 + dimension.high - dimension.low if isinstance(dimension, Integer) else many
    if samples > size:
        raise ValueError(f"SAMPLES={samples}: SPACE has only {size:.0f} points")


def check_installed(study: str) -> None:
    """Raises ValueError where Optuna, which proposes, is not installed."""
    optional.need("search", f"the search of study {study}")


def described(search: Search) -> str:
    """The search in a line."""
    space = ", ".join(f"{name} in {_shown(each)}" for name, each in search.space.items())
    return (
        f"searches {space}: {search.samples} trials in all, each chosen by the {search.metric} of "
        "earlier ones on validation clips"
    )


class Ended(NamedTuple):
    """How a trial of a search ended."""

    status: Status
    scores: list[float]  # of validation clips, in the order of epochs; the last one counts


class Ledger:
    """The trials of a search: those planned, by this launch or an earlier one, and what became of
    them.
    """

    def __init__(
        self, study: str, search: Search, tables: "Mapping[str, pd.DataFrame]", results: Results
    ) -> None:
        """`tables` have the clips of BASE, which all trials share."""
        self.study, self.search, self.tables, self.results = study, search, tables, results
        manifest = results.read("manifest").to_pylist()
        mine = [row for row in manifest if row["study"] == study]
        trials: dict[str, Trial] = {}
        for row in sorted(mine, key=lambda row: row["planned"]):
            try:
                if search.has(trial := unflat(row)):
                    trials[trial.id] = trial
            except ValueError:  # of another version of Overhear, or around another BASE
                continue
        self.plan = self._planned(trials.values())

    def proposed(self, values: Mapping[str, Any]) -> "Plan":
        """The trial with these settings, by itself. Raises ValueError where there can be none."""
        return self._planned([changed(self.search.base, values)])

    def add(self, plan: "Plan", stores: "dict[str, Store]") -> None:
        """Write a proposed trial down, before it runs."""
        from scaling.results.manifest import record
        from scaling.sound.prepare import digests, glances

        named = digests(plan.trials, stores), glances(plan.trials, stores)
        record(plan, named[0], self.results, named[1])
        self.plan = self._planned([*self.plan.trials, *plan.trials])

    def ended(self, trials: Iterable[Trial]) -> dict[str, Ended]:
        """What became of those of the trials that have ended, by id."""
        outcomes = self.results.outcomes(trial.id for trial in trials)
        scores = early_stopping.scores(self.results, outcomes, self.search.metric)
        return {
            name: Ended(
                outcome.status, [value for _, value in sorted(scores.get(name, {}).items())]
            )
            for name, outcome in outcomes.items()
        }

    def left(self) -> list[Trial]:
        """Trials that are planned and have not ended."""
        ended = self.results.ended()
        return [trial for trial in self.plan.trials if trial.id not in ended]

    def _planned(self, trials: Iterable[Trial]) -> "Plan":
        from scaling.results.manifest import plan

        return plan(self.study, list(trials), self.tables)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_bounds(dimension: Uniform | Integer, above: float) -> None:
    """Raises ValueError unless above < low < high, all finite."""
    low, high = dimension.ends
    if not (_is_number(low) and _is_number(high) and above < low < high < math.inf):
        bound = f"{above:g} < low" if math.isfinite(above) else "low"
        raise ValueError(f"{dimension} must satisfy {bound} < high")


def _shown(dimension: Dimension) -> str:
    if isinstance(dimension, Choice):
        return "{" + ", ".join(map(str, dimension.values)) + "}"
    kind = ", logarithmic" if isinstance(dimension, LogUniform) else ""
    return f"{dimension.low:g} to {dimension.high:g}{kind}"
