"""Again: the command that trains a recorded trial once more, on its own.

Contents: command.
"""

import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any

from scaling.settings import changed, flat, unflat
from scaling.settings.recipes import RECIPES


def command(row: Mapping[str, Any]) -> str:
    """`overhear train --recipe NAME key=value ...` of a manifest's row, from the recipe that says
    most of it; "" where this version of Overhear no longer has such a trial, or it learns
    from others.
    """
    try:
        trial = unflat(row)
    except ValueError:
        return ""
    if trial.sources:
        return ""
    wanted = flat(trial)
    apart = {}
    for name, has in _recipes().items():
        apart[name] = {k: _typed(v) for k, v in wanted.items() if has[k] != v}
    for name in sorted(apart, key=lambda each: len(apart[each])):
        try:
            made = changed(RECIPES[name], apart[name])
        except ValueError:  # a setting of another kind, which this recipe cannot lose
            continue
        if made.id == row["trial"]:
            words = [f"{key}={value}" for key, value in apart[name].items()]
            return shlex.join(["overhear", "train", "--recipe", name, *words])
    return ""


@cache
def _recipes() -> dict[str, dict[str, Any]]:
    """The settings of each recipe; made once, as a report asks for thousands of commands."""
    return {name: flat(trial) for name, trial in RECIPES.items()}


def _typed(value: Any) -> str:
    """A value as a person types it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
