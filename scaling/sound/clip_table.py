"""The clip table: one row per clip, whatever dataset it comes from, and its checks.

A dataset's reader fills a pandas DataFrame with the columns of COLUMNS; `table` checks it and gives
it its one form. Conventions: rows stay in the reader's order, which no reader leaves to the file
system, and are counted from 1. Contents: COLUMNS; `table`, `check_devices`; `digest`, `glance` and
`same`, by which clips are named; `some`, which words an error names of many.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

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
