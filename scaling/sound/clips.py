"""The clip table: one row per clip, whatever dataset it comes from, and its checks.

A dataset's reader fills a pandas DataFrame with the columns of COLUMNS; `table` checks it and gives
it its one form. Conventions: rows stay in the reader's order, which no reader leaves to the file
system, and are counted from 1. Contents: COLUMNS, Clips, Dataset, Report; `table`, `digest`,
`glance`, `same`, `check_devices`; for clips that are files `from_files`, `check_copies` and
`fingerprint`; `scaling.sound.decode` reads them.
"""

import hashlib
import os
import re
import stat
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from scaling.sound import copies
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
    "content": ("str", "SHA-256 of the file's bytes; empty until they have all been read"),
}
EARLIER = tuple(COLUMNS)[:9]  # the columns that the first form of digest covered
FORM = "2-"  # begins a digest of content; one of the first form begins with its hex digits
# The fold, below all that a person can name, of clips that a dataset's own protocol leaves out:
# neither trained on nor held out. Only readers set it, and after `table`, so that a gap in a
# person's table is never taken for it.
UNUSED = -1
ALL = "all"  # the records' name for the mean over all devices
# Larger whole numbers have no exact counterpart among the floats that tables hold them in.
FOLD_LIMIT = 2**53
NAMED = 5  # how many of many offenders an error names before it counts the rest
LONG = 200  # characters of one that it names


Rows = pd.DataFrame | Iterable[Mapping[str, object]]


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


def digest(table: pd.DataFrame) -> str:
    """What names clips in stores and records: `2-` and 16 hex digits of the SHA-256 of all rows.

    It covers names, labels and all else that the table says, and every byte of every file, but
    neither root nor time: equal clips have it on every machine. The table's files have been read.
    Clips without files have their `glance`, which covers all that they are.
    """
    if table["size"].isna().all():
        return glance(table)
    assert (table["content"] != "").all(), "a file of this table has not been read"
    columns = [name for name in COLUMNS if name != "fingerprint"]
    return FORM + _hashed(table[columns])


def glance(table: pd.DataFrame) -> str:
    """16 hex digits of the SHA-256 of all rows, with size and both ends of each file.

    It takes no reading, and does not see what changes in the middle of a file. Before `digest` it
    named clips in records: those are compared by it (see `same`).
    """
    return _hashed(table[list(EARLIER)])


def same(recorded: str, digest: str, glance: str) -> bool:
    """Whether clips with this digest and glance are those that a record names, in either form.

    All may have further digests after a `+`, of microphones and weights.
    """
    return recorded in (digest, glance)


def _hashed(rows: pd.DataFrame) -> str:
    lines = rows.to_csv(index=False, lineterminator="\n")
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def table(rows: Rows) -> pd.DataFrame:
    """The rows in the form of COLUMNS: its columns, types and order; what is not given is unknown.

    Raises ValueError for a table without rows, a clip without a name or a label, a clip listed
    twice, a fold that is no whole number from 0, text that is no text (lists, bytes that are not
    UTF-8, NUL), a device that bears the records' own name, and two Unicode forms of one label.
    """
    given = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows), dtype=object)
    if not len(given):
        raise ValueError("no clips found: the table has no rows")
    unknown = set(given.columns) - set(COLUMNS)
    assert not unknown, f"a reader gave columns {unknown}, the clip table has {list(COLUMNS)}"
    columns = {}
    for name, (kind, _) in COLUMNS.items():
        values = enumerate(given.get(name, [None] * len(given)), start=1)
        read = _text if kind == "str" else _whole
        columns[name] = pd.Series([read(value, row, name) for row, value in values], dtype=kind)
    made = pd.DataFrame(columns)
    _check_names(made)
    check_devices(made)
    _check_forms(made["label"])
    return made


def _unknown(value: Any) -> bool:
    """Whether a cell is empty; what holds several values, such as a list, is not."""
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _text(value: Any, row: int, column: str) -> str:
    """The text of a cell; "" where it is unknown."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            raise ValueError(
                f"{column}={value!r:.80} in row {row}: these bytes are not UTF-8 text: write the "
                "column as text"
            ) from None
    elif _unknown(value):
        return ""
    elif not pd.api.types.is_scalar(value):
        raise ValueError(
            f"{column}={value!r:.80} in row {row} is a {type(value).__name__}: "
            "a cell holds one text, so give each clip a single value"
        )
    else:
        text = str(value)
    if "\0" in text or (not text.isascii() and re.search("[\ud800-\udfff]", text)):
        why = "holds a NUL character" if "\0" in text else "is not valid Unicode"
        raise ValueError(f"{column}={text!a:.80} in row {row} {why}: rename it")
    return text


def _whole(value: Any, row: int, column: str) -> int | None:
    """A whole number from 0, also as 3.0 or "3"; None where it is unknown."""
    if _unknown(value) or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        number = re.fullmatch(r"\s*([0-9]+)(?:\.0*)?\s*", value, re.ASCII)
        # longer ones are above the limit, and take Python long to read
        found = int(number[1]) if number and len(number[1].lstrip("0")) < 20 else -1
    elif isinstance(value, float | np.floating):
        found = int(value) if np.isfinite(value) and float(value).is_integer() else -1
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        found = int(value)
    else:
        found = -1
    if not 0 <= found < FOLD_LIMIT:
        raise ValueError(
            f"{column}={value!s:.40} in row {row}: a {column} is a whole number from 0 up to "
            f"{FOLD_LIMIT - 1}, in plain digits, or empty where unknown"
        )
    return found


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


def check_devices(made: pd.DataFrame) -> None:
    """Raises ValueError for a device whose name the records need, or which is blank."""
    for device in made["device"].unique():
        if device != "" and device.strip() in ("", ALL):
            rows = np.flatnonzero(made["device"] == device)
            raise ValueError(
                f"device={device!r} in row {rows[0] + 1} (clip {made['clip'][int(rows[0])]}): "
                + (
                    f"{ALL!r} is what records call the mean over devices: rename the device"
                    if device.strip()
                    else "a device has a name, or the cell is empty where it is unknown"
                )
                + f"; such rows: {len(rows)}"
            )


def _check_forms(labels: pd.Series) -> None:
    """No label is written in two Unicode forms: they look alike and would be two classes."""
    forms: dict[str, str] = {}
    for label in labels.unique():
        first = forms.setdefault(unicodedata.normalize("NFC", label), label)
        if first != label:
            raise ValueError(
                f"label {label[:LONG]} is written in two Unicode forms, {first!a} (e.g. row "
                f"{int((labels == first).argmax()) + 1}) and {label!a} (e.g. row "
                f"{int((labels == label).argmax()) + 1}), which would be two classes: "
                "write both in the composed form (NFC)"
            )


def some(words: Iterable[object]) -> str:
    """The first few of many words and how many more there are."""
    every = [text if len(text := str(word)) <= LONG else f"{text[:LONG]}..." for word in words]
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more


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
