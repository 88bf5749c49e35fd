"""Phrases: the values of settings in words, and which of these differ among rows of a table.

Conventions: a column's name is the dotted name of its setting; an empty text says nothing.
Contents: varies, constant, varies_within, where_varied, phrases, phrase, as_typed.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from scaling import settings

LABELS = {"true": "true labels", "uniform": "random labels", "permuted": "permuted labels"}


def varies(values: "pd.Series[Any]") -> bool:
    """Whether these values differ; a missing one is a value."""
    return bool(values.nunique(dropna=False) > 1)


def constant(text: str, frame: pd.DataFrame) -> "pd.Series[Any]":
    """The same text for every row."""
    return pd.Series(text, index=frame.index, dtype="str")


def varies_within(values: "pd.Series[Any]", groups: "pd.Series[Any]") -> "pd.Series[bool]":
    """Whether the values of each row's group differ."""
    # of codes, as pandas counts a missing value as none
    codes = pd.Series(values.factorize(use_na_sentinel=False)[0], index=values.index)
    return codes.groupby(groups).transform("nunique") > 1


def where_varied(values: "pd.Series[Any]", groups: "pd.Series[Any]") -> "pd.Series[Any]":
    """A setting's values in words in groups of rows where they differ, else nothing."""
    apart = varies_within(values, groups)
    if not apart.any():  # to say thousands of values takes time
        return pd.Series("", index=values.index, dtype="str")
    return values.map(phrase(str(values.name))).where(apart, "")


def phrases(parts: "Sequence[pd.Series[Any]]", index: "pd.Index[Any]") -> "pd.Series[Any]":
    """The parts of each row that are not empty, with commas between."""
    said = [part for part in parts if (part != "").any()]
    if len(said) == 1:
        return said[0].astype("str")
    rows = zip(*said, strict=True) if said else ("" for _ in index)
    return pd.Series([", ".join(filter(None, row)) for row in rows], index=index, dtype="str")


def phrase(name: str) -> Callable[[Any], str]:
    """How to say a value of this setting."""
    said: dict[str, Callable[[Any], str]] = {
        "network.damping": lambda value: f"damped {as_typed(value)}" if value else "base",
        "network.initialization": str,
        "sound.features.kind": lambda value: str(value).replace("_", "-"),
        "split.labels": LABELS.__getitem__,
        "split.fraction": lambda value: f"{100 * value:.15g} % of the clips",
        "training.patience_counts": lambda value: f"counting {value}",
        "pruning.target": lambda value: f"to {value} weights" if value else "",
        "pruning.target_width": lambda value: f"to width {value}" if value else "",
        "pruning.keep": lambda value: f"to {100 * value:.15g} %" if value else "",
        "pruning.limit": lambda value: f"to {value}" if value else "",
    }
    if name.endswith(".options"):  # of a part of one's own: hidden=8
        return lambda value: value if isinstance(value, str) and value else f"default {name}"
    if name.endswith(".source"):
        return lambda value: f"{name}={as_typed(value)[:12]}"
    return said.get(name, lambda value: f"{_short(name)}={as_typed(value)}")


@cache
def _short(name: str) -> str:
    """The fewest last words of a dotted name that no other setting ends in."""
    parts = name.split(".")
    endings = [".".join(parts[-k:]) for k in range(1, len(parts) + 1)]
    known = [f".{other}" for other in settings.leaves()]
    return next(e for e in endings if sum(other.endswith(f".{e}") for other in known) == 1)


def as_typed(value: Any) -> str:
    """A setting's value as a person would type it."""
    if value == "":
        return "(empty)"
    if pd.isna(value):
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
