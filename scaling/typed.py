"""What people type: numbers and words of the command line, each refused in one line.

Python reads more as a number than a person means by one: 1_000, digits of other scripts, inf, nan.
Contents: `whole` and `number`, the parsers of options; `filled`.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import typer

DIGITS = 18  # of a whole number
WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)


def whole(least: int) -> Callable[[Any], int]:
    """A parser of whole numbers of at least `least`."""

    def number(value: Any) -> int:
        text = str(value)
        if not WHOLE.fullmatch(text) or len(text) > DIGITS or int(text) < least:
            raise typer.BadParameter(f"{text!r:.40} is not a whole number, {least} or more")
        return int(text)

    return number


def number(value: Any) -> float:
    """A parser of finite numbers; their bounds belong to whoever uses them."""
    text = str(value)
    if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise typer.BadParameter(f"{text!r:.40} is not a number, as 0.5")
    return float(text)


def filled(**options: str | None) -> None:
    """Raises ValueError for an option that is there but says nothing, as `--out "$UNSET"`."""
    for name, value in options.items():
        if value is not None and not value.strip():
            option = name.replace("_", "-")
            raise ValueError(f"--{option} is empty: give it a value, or leave it out")
