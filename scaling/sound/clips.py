"""The clip table: one row per clip, whatever dataset it comes from, and its checks.

A dataset's reader fills a pandas DataFrame with the columns of COLUMNS; `table` checks it and gives
it its one form. Conventions: rows stay in the reader's order, which no reader leaves to the file
system, and are counted from 1. Contents: COLUMNS, Clips, Dataset, Report; `table`, `digest`; for
clips that are files `from_files` and `fingerprint`; `scaling.sound.decode` reads them.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scaling.sound.decode import Decoded as Decoded
from scaling.sound.decode import decode_file as decode_file

# name: (pandas type, meaning). Text that is unknown is "", a fold that is unknown is <NA>.
COLUMNS: dict[str, tuple[str, str]] = {
    "clip": ("str", "path below the dataset's root, unique: the clip's name in every record"),
    "label": ("str", "class"),
    "fold": ("Int64", "the dataset's own fold, or UNUSED"),
    "device": ("str", "recording device"),
    "city": ("str", "where it was recorded"),
    "speaker": ("str", "who speaks"),
    "source": ("str", "recording that the clip was cut from: clips of one source belong together"),
    "size": ("Int64", "bytes of the file"),
    "fingerprint": ("str", "hash of the file's first and last 4096 bytes"),
}
# The fold, below all that a person can name, of clips that a dataset's own protocol leaves out:
# neither trained on nor held out. Only readers set it, and behind `table`, so that a gap in a
# person's table is never taken for it.
UNUSED = -1
NAMED = 5  # how many of many offenders an error names before it counts the rest


Rows = pd.DataFrame | Iterable[Mapping[str, object]]


@dataclass(frozen=True)
class Clips:
    """A dataset as found under one root."""

    dataset: str
    root: Path
    table: pd.DataFrame  # COLUMNS, one row per clip
    decode: Callable[[Path], Decoded]  # root / clip -> sound; raises ValueError with the reason

    @cached_property
    def digest(self) -> str:
        """16 hex digits that name this table and the files behind it, wherever the root lies."""
        return digest(self.table)


class Report(NamedTuple):
    """What was found below a root, against what was published."""

    lines: list[str]  # the facts, for people
    problem: str = ""  # one line: what is wrong, and the remedy; "": all is as published


class Dataset(NamedTuple):
    """What a reader says about its dataset; `scaling.sound.datasets` lists them."""

    name: str
    about: str
    folders: tuple[str, ...] | None  # names below a data root, in order; (): --root; None: no files
    classes: int | None  # None: whatever the user's own data hold
    rate: int | None  # Hz, as distributed
    seconds: float | None  # of one clip, as distributed; about the mean where lengths differ
    licence: str
    address: str  # where to get it
    scan: Callable[[Path], Clips]  # root -> clips; raises ValueError in one line
    check: Callable[[Path], Report] | None = None  # root -> what its reader can tell of the files


def digest(table: pd.DataFrame) -> str:
    """16 hex digits of the SHA-256 of all rows: names, labels, sizes, fingerprints; no root."""
    lines = table[list(COLUMNS)].to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def table(rows: Rows) -> pd.DataFrame:
    """The rows in the form of COLUMNS: its columns, types and order; what is not given is unknown.

    Raises ValueError for a table without rows, a clip without a name or a label, a clip listed
    twice, and a fold that is no whole number from 0.
    """
    given = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
    if not len(given):
        raise ValueError("no clips found: the table has no rows")
    unknown = set(given.columns) - set(COLUMNS)
    assert not unknown, f"a reader gave columns {unknown}, the clip table has {list(COLUMNS)}"
    columns = {}
    for name, (kind, _) in COLUMNS.items():
        values = enumerate(given.get(name, [None] * len(given)), start=1)
        read = _text if kind == "str" else _whole
        columns[name] = pd.Series([read(value, row) for row, value in values], dtype=kind)
    made = pd.DataFrame(columns)
    _check_names(made)
    return made


def _text(value: Any, _: int) -> str:
    return "" if pd.isna(value) else str(value)


def _whole(value: Any, row: int) -> int | None:
    """A whole number from 0, also as 3.0 or "3"; None where it is unknown."""
    if pd.isna(value) or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if number < 0 or not number.is_integer():
        raise ValueError(
            f"fold={value} in row {row}: a fold is a whole number from 0, or empty where unknown"
        )
    return int(number)


def _check_names(made: pd.DataFrame) -> None:
    """Every clip has a name of its own and a label."""
    for column in ("clip", "label"):
        blank = np.flatnonzero(made[column].str.strip() == "")
        if len(blank):
            row = int(blank[0])
            clip = "" if column == "clip" else f" (clip {made['clip'][row]})"
            raise ValueError(f"row {row + 1}{clip} has no {column}; such rows: {len(blank)}")
    again = np.flatnonzero(made["clip"].duplicated())
    if len(again):
        clip = made["clip"][int(again[0])]
        rows = np.flatnonzero(made["clip"] == clip) + 1
        raise ValueError(f"clip {clip} is listed {len(rows)} times, in rows {some(rows)}")


def some(words: Iterable[object]) -> str:
    """The first few of many words and how many more there are."""
    every = [str(word) for word in words]
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more


def from_files(dataset: str, root: Path, rows: Rows) -> Clips:
    """Clips that are files below `root`: `table` of the rows, with size and fingerprint of each.

    Raises ValueError as `table` does, and one that names the files that cannot be opened.
    """
    made = table(rows)
    prints: list[tuple[int, str]] = []
    absent: list[str] = []
    for clip in made["clip"]:
        try:
            prints.append(fingerprint(root / clip))
        except OSError as error:
            absent.append(f"{clip} ({error.strerror})")
    if absent:
        raise ValueError(
            f"{len(absent)} of {len(made)} clips cannot be opened below {root}: {some(absent)}"
        )
    made["size"] = pd.Series([size for size, _ in prints], dtype="Int64")
    made["fingerprint"] = pd.Series([mark for _, mark in prints], dtype="str")
    return Clips(dataset, root, made, decode_file)


def fingerprint(path: Path) -> tuple[int, str]:
    """Size in bytes; 16 hex digits of the SHA-256 of the first and last 4096. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        ends = file.read(4096)
        file.seek(max(0, size - 4096))
        ends += file.read(4096)
    return size, hashlib.sha256(ends).hexdigest()[:16]
