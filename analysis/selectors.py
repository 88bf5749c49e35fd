"""Selectors: the trials that have certain settings, as `--where` and a claim's sides name them.

Conventions: a selector maps dotted settings to a value as the manifest has it, or to a tuple of
such values, any of which will do; None is a missing one. Contents: Selector, Unmet, parsed, having,
narrowed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from scaling import settings
from scaling.results.claims import selected
from scaling.spelling import nearest

FEW = 8  # values of a setting that a message lists

Selector = Mapping[str, Any]


class Unmet(ValueError):
    """No trial has the settings of a selector."""


def parsed(words: Iterable[str]) -> dict[str, tuple[Any, ...]]:
    """The selector of `KEY=VALUE` words; any of the values of a setting that is named more than
    once will do. Raises ValueError for what is no setting, and for text that is no value of it.
    """
    found: dict[str, tuple[Any, ...]] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            value = settings.as_recorded(name, text)
        except ValueError as error:
            raise ValueError(f"--where {error}") from None
        found[name] = (*found.get(name, ()), value)
    return found


def having(rows: pd.DataFrame, selector: Selector) -> pd.DataFrame:
    """Those of these rows, with a column for each setting, that have the settings."""
    for name, value in selector.items():
        rows = rows[_holds(rows[name], value)]
    return rows


def narrowed(manifest: pd.DataFrame, selector: Selector) -> pd.DataFrame:
    """`having`, of which there is at least one row. Raises Unmet, which names the first setting
    that no trial has beside those before it, and the nearest value; ValueError for no setting.
    """
    left, passed = manifest, ""
    for name, value in selector.items():
        if name not in settings.leaves():
            raise ValueError(f"{name[:60]}: no such setting{nearest(name, settings.leaves())}")
        said, rows = selected({name: value}), having(left, {name: value})
        if rows.empty:
            raise Unmet(f"no trial has {said}{passed}{_nearest(left[name], value)}")
        left, passed = rows, f"{passed or ' where'} {said}"
    return left


def _holds(values: "pd.Series[Any]", wanted: Any) -> "pd.Series[bool]":
    """Whether each value is one of those wanted."""
    listed = wanted if isinstance(wanted, tuple) else (wanted,)
    held = values.isin([each for each in listed if each is not None])
    return (held.fillna(False) | (values.isna() & (None in listed))).astype(bool)


def _nearest(values: "pd.Series[Any]", wanted: Any) -> str:
    """` (the nearest is 64; known: 16, 64)`, of the values that there are."""
    known = sorted(values.dropna().unique().tolist())
    first = next(iter(wanted if isinstance(wanted, tuple) else (wanted,)), None)
    number = isinstance(first, int | float) and not isinstance(first, bool)
    if number and known and not isinstance(known[0], bool):
        close = min(known, key=lambda each: abs(each - first))
        listed = f"; known: {', '.join(map(str, known))}" if 1 < len(known) <= FEW else ""
        return f" (the nearest is {close}{listed})"
    return nearest(str(first), [str(each) if each != "" else "(empty)" for each in known])
