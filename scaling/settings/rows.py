"""Rows: a Trial as the columns of a manifest's row, and back.

Contents: `flat` and its inverse `unflat`; `plain`, a cell as Parquet has it.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from scaling.own.names import family
from scaling.part import RECORDED, Kind
from scaling.settings.checked import checked
from scaling.settings.fields import REQUIRED, Setting, joined, kind_of, settings, words
from scaling.settings.trial import Trial

if TYPE_CHECKING:
    import pandas as pd


@cache
def _paths() -> tuple[tuple[str, Setting, tuple[str, ...]], ...]:
    """Every setting with its name and the parts of that."""
    return tuple((name, each, tuple(name.split("."))) for name, each in settings().items())


def flat(trial: Trial) -> dict[str, Any]:
    """Every setting by its dotted name, in the order of `settings`; tuples become joined text, and
    what the trial's kinds lack is off.
    """
    columns: dict[str, Any] = {}
    kinds: dict[str, str] = {}  # of parts that come in kinds
    foreign = trial.foreign
    for name, each, path in _paths():
        if each.kinds:
            if path[0] not in kinds:
                kinds[path[0]] = _kind(trial, name)
            if kinds[path[0]] not in each.kinds:
                columns[name] = foreign.get(name, each.column)
                continue
        value: Any = trial
        for part in path:
            value = getattr(value, part)
        columns[name] = joined(value) if isinstance(value, tuple) else value
    return columns


def _kind(trial: Trial, name: str) -> str:
    """The kind of a setting's part in a trial, as `Setting.kinds` has it."""
    part: Kind = getattr(trial, name.partition(".")[0])
    return str(family(part.kind))


def unflat(row: "Mapping[str, Any] | pd.Series[Any]") -> Trial:
    """The Trial of a manifest's row, pandas' own rows included: the inverse of `flat`. Other
    columns are ignored, what an older manifest lacks is off, and settings that change nothing,
    which an older version took, stay as they are recorded. Raises ValueError when the row is no
    trial of this version.
    """
    stated: dict[str, Any] = {}
    foreign: dict[str, Any] = {}
    for name, each in settings().items():
        value = plain(row.get(name))
        if value is None:
            continue
        if each.kinds and family(row.get(kind_of(name), _usual(name))) not in each.kinds:
            if value != each.column:
                foreign[name] = value
            continue
        stated[name] = words(name, value) if each.type == tuple[str, ...] else value
    for name in {kind_of(name) for name, each in settings().items() if each.kinds}:
        if settings()[name].off is not REQUIRED:
            stated.setdefault(name, settings()[name].off)
    trial = checked(stated, RECORDED)
    trial.foreign.update(foreign)
    return trial


def plain(value: Any) -> Any:
    """A cell as Parquet has it: numpy's numbers are Python's, pandas' missing values None."""
    found = value.item() if hasattr(value, "item") else value
    return None if found is None or str(found) == "<NA>" or found != found else found


def _usual(name: str) -> Any:
    return settings()[kind_of(name)].off
