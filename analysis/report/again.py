"""The command that makes a trial again: the recipe nearest to it, and the settings that differ.

Contents: RETRAIN, commands.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from scaling.settings import changed, flat, unflat
from scaling.settings.fields import settings
from scaling.settings.recipes import RECIPES

RETRAIN = "overhear train --recipe"


def commands(manifest: pd.DataFrame) -> list[list[str] | None]:
    """The words behind RETRAIN for each planned trial: a recipe, then KEY=VALUE.

    None where this version would train something else, as it may after a setting came to mean
    something new.
    """
    recipes = {name: flat(trial) for name, trial in RECIPES.items()}
    rows: list[dict[str, Any]] = manifest.to_dict("records")  # type: ignore[assignment]
    return [_command(row, recipes) for row in rows]


def _command(row: Mapping[str, Any], recipes: Mapping[str, Mapping[str, Any]]) -> list[str] | None:
    known = {name: None if pd.isna(row[name]) else row[name] for name in settings()}
    differing = {
        name: [key for key, value in known.items() if value != recipe[key]]
        for name, recipe in recipes.items()
    }
    nearest = min(differing, key=lambda name: len(differing[name]))
    words = {key: _text(known[key]) for key in differing[nearest] if _has(known, key)}
    try:
        again = changed(RECIPES[nearest], words)
        same = again.id == row["trial"] == unflat(known).id
    except ValueError:
        return None
    return [nearest, *(f"{key}={value}" for key, value in words.items())] if same else None


def _has(known: Mapping[str, Any], name: str) -> bool:
    """Whether the trial's kinds have this setting: to state another would be refused."""
    kinds = settings()[name].kinds
    return not kinds or known[f"{name.rpartition('.')[0]}.kind"] in kinds


def _text(value: Any) -> str:
    """A value as `overhear train` reads it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
