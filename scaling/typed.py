"""What people type: the parsers of options and arguments, which refuse a value before a command
loads anything. Each message follows the option's name (overhear.errors): `--hop 'x' is not a
number, such as 0.5`.

Python reads more as a number than a person means by one: 1_000, digits of other scripts, inf, nan.
Contents: `whole`, `threads`, `number`, `bounded`, `size`, `rectangle`, `widths`; `text`, `word`,
`device`, `pair`; `results`, `recording`, `folder`, `ending`.
"""

import math
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from scaling.spelling import closest

DIGITS = 18  # of a whole number
WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(in|cm|mm|pt|)\s*", re.ASCII)
INCHES = {"": 1.0, "in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72}
SMALLEST, LARGEST = 1, 50  # of a figure, inches
RECTANGLE = re.compile(r"([1-9][0-9]{0,5})[x×]([1-9][0-9]{0,5})", re.ASCII)
WIDEST = 4096  # channels of a network's first stage
DEVICE = re.compile(r"auto|cpu|cuda(:(0|[1-9][0-9]{0,3}))?", re.ASCII)


def whole(least: int, most: int | None = None) -> Callable[[Any], int]:
    """A parser of whole numbers of at least `least`, and at most `most` where there is one."""
    bound = f", {least} or more" if most is None else f" from {least} to {most:,}"

    def number(value: Any) -> int:
        text = str(value)
        readable = WHOLE.fullmatch(text) and len(text) <= DIGITS
        if not readable or not least <= int(text) <= (math.inf if most is None else most):
            raise typer.BadParameter(f"{text!r:.40} is not a whole number{bound}")
        return int(text)

    return number


def threads(least: int) -> Callable[[Any], int]:
    """A parser of how many CPU threads to use, at most one for each of this machine's processors;
    where `least` is 0, 0 takes all of them.
    """
    parse = whole(least)

    def number(value: Any) -> int:
        found, there = parse(value), os.cpu_count() or 1
        if found > there:
            processors = f"{there:,} processor{'s' if there > 1 else ''}"
            remedy = f"give {there:,} or fewer" + ("" if least else ", or 0 for all")
            raise typer.BadParameter(f"{found:,}: this machine has {processors}: {remedy}")
        return found

    return number


def number(value: Any) -> float:
    """A parser of finite numbers."""
    text = str(value)
    if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise typer.BadParameter(f"{text!r:.40} is not a number, such as 0.5")
    return float(text)


def bounded(
    *, above: float | None = None, least: float | None = None, most: float | None = None
) -> Callable[[Any], float]:
    """A parser of finite numbers within bounds."""
    low = [] if above is None else [f"above {above:g}"]
    low += [] if least is None else [f"{least:g} or more"]
    bound = ", ".join([*low, *([] if most is None else [f"at most {most:,g}"])])

    def number_within(value: Any) -> float:
        found = number(value)
        if (
            (above is not None and found <= above)
            or (least is not None and found < least)
            or (most is not None and found > most)
        ):
            raise typer.BadParameter(f"{value!s:.40} is out of bounds: {bound}")
        return found

    return number_within


def size(value: Any) -> float:
    """A parser of sizes of figures, as inches: `3.3in`, `84mm`, `8.4cm`, `240pt`, or inches."""
    found = SIZE.fullmatch(str(value))
    inches = float(found[1]) * INCHES[found[2]] if found else 0.0
    if not SMALLEST <= inches <= LARGEST:
        raise typer.BadParameter(
            f"{str(value)!r:.40} is not a size from 1in to 50in: write it as 3.3in, 84mm or 240pt"
        )
    return inches


def rectangle(value: Any) -> str:
    """A parser of sizes of a network's input, as `128x431`."""
    if not RECTANGLE.fullmatch(str(value)):
        raise typer.BadParameter(
            f"{str(value)!r:.40} is not ROWSxCOLUMNS, each from 1 to 999,999, such as 128x431"
        )
    return str(value)


def widths(value: Any) -> str:
    """A parser of widths of networks, as `8,16,32`: at least two."""
    words = str(value).split(",")
    if not all(WHOLE.fullmatch(word) and len(word) <= DIGITS for word in words):
        raise typer.BadParameter(f"{str(value)!r:.40} is not a list of widths, such as 8,16,32,64")
    found = {int(word) for word in words}
    if len(found) < 2 or min(found) < 1 or max(found) > WIDEST:
        raise typer.BadParameter(
            f"{value!s:.40}: name at least two widths, each from 1 to {WIDEST:,}, such as "
            "8,16,32,64"
        )
    return str(value)


def text(value: Any) -> str:
    """A parser of text that says something, unlike `--out "$UNSET"`."""
    if not str(value).strip():
        raise typer.BadParameter("is empty: give it a value, or leave it out")
    return str(value)


def word(*known: str) -> Callable[[Any], str]:
    """A parser of one of some words."""

    def one(value: Any) -> str:
        if value and value not in known:
            near = closest(str(value), known)
            meant = f" (did you mean {near}?)" if near else ""
            listed = " or ".join([", ".join(known[:-1]), known[-1]])
            raise typer.BadParameter(f"{str(value)!r:.40} is not {listed}{meant}")
        return str(value)

    return one


def device(value: Any) -> str:
    """A parser of devices that may compute; whether this machine has it shows later."""
    if value and not DEVICE.fullmatch(str(value)):
        raise typer.BadParameter(f"{str(value)!r:.40} is not auto, cpu, cuda or cuda:N")
    return str(value)


def pair(value: Any) -> str:
    """A parser of settings."""
    name, equals, _ = str(value).partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"{str(value)!r:.60} is not KEY=VALUE, such as network.width=64")
    return str(value)


def results(value: Any) -> str:
    """A parser of results folders: one on this machine holds a manifest."""
    where = text(value)
    if "://" in where or _mode(f"{where}/manifest", stat.S_ISDIR):
        return where
    if where.endswith(".csv"):
        return where  # what `overhear claims --keep` wrote, or else that command says
    if _mode(where, stat.S_ISDIR):
        if not os.access(where, os.R_OK | os.X_OK):
            return where  # reading it says what its rights lack
        why = "it has no manifest"
    else:
        why = "it is a file" if _mode(where, stat.S_ISREG) else "it does not exist"
    raise typer.BadParameter(not_results(where, why))


def not_results(where: str, why: str) -> str:
    """What is said of a place that is no results folder."""
    return (
        f"{where} is not a results folder ({why}): give the folder that `overhear sweep` wrote, "
        "results/STUDY unless --out named another"
    )


def recording(value: Any) -> str:
    """A parser of files and folders that must be there."""
    if not _mode(text(value), bool):
        raise typer.BadParameter(f"{value} does not exist: name a recording or a folder of them")
    return str(value)


def folder(value: Any) -> str:
    """A parser of places to write to: on this machine a folder, or one that can be made."""
    if "://" in text(value):
        return str(value)
    if _mode(value, stat.S_ISREG):
        raise typer.BadParameter(f"{value} is a file: name a folder, which is made where missing")
    place = Path(value).expanduser().absolute()
    above = next((each for each in (place, *place.parents) if _mode(str(each), bool)), place)
    if not _mode(str(above), stat.S_ISDIR):
        raise typer.BadParameter(f"{value} lies below {above}, which is a file: name a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise typer.BadParameter(f"{value}: you may not write to {above}: name another folder")
    return str(value)


def ending(suffix: str) -> Callable[[Any], str]:
    """A parser of files to write, of one ending; one that stands there is replaced."""

    def file(value: Any) -> str:
        if not text(value).endswith(suffix):
            raise typer.BadParameter(f"{value} does not end in {suffix}: name a {suffix} file")
        if os.path.isdir(value):  # noqa: PTH112 (Path raises for a name that is too long)
            raise typer.BadParameter(f"{value} is a folder: name a {suffix} file")
        return str(value)

    return file


def _mode(path: str, asked: Callable[[int], bool]) -> bool:
    """Whether something is there, of which this is true."""
    try:
        return asked(Path(path).stat().st_mode)
    except (OSError, ValueError):  # not there, or no name that could be
        return False
