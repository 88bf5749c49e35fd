"""Clips: a dataset as found below a root, and the files that its clips are.

What is said of each clip stands in its row of `scaling.sound.clip_table`; `scaling.sound.decode`
reads the files. Contents: Clips, Dataset, Report; for clips that are files `from_files`,
`check_copies`, `open_regular` and `fingerprint`.
"""

import hashlib
import os
import stat
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pandas as pd

from scaling.sound import copies
from scaling.sound.clip_table import Rows, glance, some, table
from scaling.sound.decode import Decoded as Decoded
from scaling.sound.decode import decode_file as decode_file


@dataclass(frozen=True)
class Clips:
    """A dataset as found under one root."""

    dataset: str
    root: Path
    table: pd.DataFrame  # COLUMNS, one row per clip
    decode: Callable[[Path], Decoded]  # path(clip) -> sound; raises ValueError with the reason
    # clips that lie elsewhere below root than was published: where
    places: Mapping[str, str] = field(default_factory=dict)
    layout: str = ""  # how that tree is laid out, in words; "": as published

    def path(self, clip: str) -> Path:
        """The file of a clip, which keeps its published name wherever a mirror put it."""
        return self.root / self.places.get(clip, clip)

    @cached_property
    def digest(self) -> str:
        """What a look tells of this table and its files, wherever the root lies: see `glance`.

        What records and stores are named by is `digest` of a table whose files have been read.
        """
        return glance(self.table)


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
    # scan of a table, whose own names of columns are given by ours: --column path=filename
    scan_named: Callable[[Path, Mapping[str, str]], Clips] | None = None


def from_files(
    dataset: str,
    root: Path,
    rows: Rows,
    places: Mapping[str, str] | None = None,
    layout: str = "",
) -> Clips:
    """Clips that are files below `root`: `table` of the rows, with size and fingerprint of each.

    `places` and `layout` say where and how clips lie that are not where they were published. Files
    that hold the same bytes as others get their content, too, by which splits keep them together.

    Raises ValueError as `table` does, and one that names the files that cannot be opened, or that
    are listed twice.
    """
    clips = Clips(dataset, root, table(rows), decode_file, places or {}, layout)
    made = clips.table
    prints: list[tuple[int, str]] = []
    absent: list[str] = []
    for clip in made["clip"]:
        try:
            prints.append(fingerprint(clips.path(clip)))
        except OSError as error:
            absent.append(f"{clip} ({error.strerror})")
    if absent:
        raise ValueError(
            f"{len(absent)} of {len(made)} clips cannot be opened below {root}: {some(absent)}"
        )
    made["size"] = pd.Series([size for size, _ in prints], dtype="Int64")
    made["fingerprint"] = pd.Series([mark for _, mark in prints], dtype="str")
    if twice := copies.listed_twice(made, clips.path):
        pairs = (
            f"{made['clip'][one]} and {made['clip'][other]} (rows {one + 1} and {other + 1})"
            for one, other in twice
        )
        raise ValueError(
            f"{len(twice)} clips of {dataset} are files that are listed already, under another "
            f"name: {some(pairs)}: list each file once"
        )
    made["content"] = copies.contents(made, clips.path)
    return clips


def open_regular(path: Path) -> BinaryIO:
    """A file, opened for reading; a FIFO, socket or device, which could block, raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(None, "it is no regular file, but a folder, FIFO, socket or device")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_copies(clips: Clips, published: bool) -> None:
    """Warn of files that hold the same bytes as others.

    Raises ValueError where such have two labels. Those of a published dataset are its users' to
    know, and not to mend: it warns of them.
    """
    groups = [
        group
        for _, group in clips.table[clips.table["content"] != ""].groupby("content", sort=False)
    ]
    groups = [group for group in groups if len(group) > 1]
    torn = [
        group
        for group in groups
        if group["label"].nunique() > 1 and _is_sound(clips.path(group["clip"].iloc[0]))
    ]
    if torn:
        named = some(
            " = ".join(
                f"{clip} ({label})" for clip, label in _ends(group)[["clip", "label"]].values
            )
            for group in torn
        )
        line = (
            f"{len(torn)} recordings of {clips.dataset} have two labels, under names of files that "
            f"hold the same bytes: {named}"
        )
        if not published:
            raise ValueError(f"{line}: leave out the wrong ones")
        warnings.warn(f"{line}: at most one of them is right", stacklevel=3)
    if groups:
        named = some(" = ".join(_ends(group)["clip"]) for group in groups)
        warnings.warn(
            f"{sum(map(len, groups))} files of {clips.dataset} hold the same bytes as others of "
            f"them ({named}): made folds keep each recording on one side",
            stacklevel=3,
        )


def _ends(group: pd.DataFrame) -> pd.DataFrame:
    """Two rows of a group, of two labels where it has them."""
    return group.sort_values("label", kind="stable").iloc[[0, -1]]


def _is_sound(path: Path) -> bool:
    """Whether a file can be decoded; error pages saved as sound files are equal, too."""
    try:
        decode_file(path)
    except (ValueError, OSError):
        return False
    return True


def fingerprint(path: Path) -> tuple[int, str]:
    """Size in bytes; 16 hex digits of the SHA-256 of the first and last 4096. Raises OSError."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        ends = file.read(4096)
        file.seek(max(0, size - 4096))
        ends += file.read(4096)
    return size, hashlib.sha256(ends).hexdigest()[:16]
