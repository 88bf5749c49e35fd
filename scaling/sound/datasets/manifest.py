"""The user's own table of clips: a text table or Parquet file with the columns path and label.

Further columns, all optional: fold (any whole number from 0), device, city, speaker, source. Paths
are relative to the table's folder, with either slash; an absolute path is kept as written. For the
ways in which such tables are written see `tables` and `columns`.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from scaling.sound.clip_table import some
from scaling.sound.clips import Clips, Dataset, from_files
from scaling.sound.datasets.columns import KNOWN, match
from scaling.sound.datasets.tables import read

NAMES = ("manifest.csv", "manifest.tsv", "manifest.parquet", "manifest.pq")


def scan(root: Path, named: Mapping[str, str] | None = None) -> Clips:
    """The clips of a table, or of the one table called manifest in a folder.

    `named` maps known columns to the table's own names. Raises ValueError in one line: no table,
    not readable, a missing column, and what `from_files` says of rows and files. Warns of columns
    that were guessed or are not used.
    """
    path = _find(root)
    table = read(path)
    found, guessed = match(path, table.header, named or {})
    if guessed:
        warnings.warn(
            f"{path}: reading {', '.join(guessed)} (--column names others)",
            stacklevel=2,
        )
    if unused := [name for name in table.header if name not in found.values()]:
        warnings.warn(
            f"{path}: columns not used: {some(unused)} (known: {', '.join(KNOWN)})",
            stacklevel=2,
        )
    rows = table.frame(list(found.values()))
    rows = rows.rename(columns={word: column for column, word in found.items()})
    rows["path"] = _slashes(path.parent, rows["path"])
    try:
        return from_files("manifest", path.parent, rows.rename(columns={"path": "clip"}))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _slashes(folder: Path, paths: pd.Series) -> pd.Series:
    """Paths with Windows' separators as others write them, unless a file is named just so."""

    def slashed(path: object) -> object:
        if isinstance(path, str) and "\\" in path and "\0" not in path:
            return path if os.path.lexists(folder / path) else path.replace("\\", "/")
        return path

    return paths.map(slashed)


def _find(root: Path) -> Path:
    """The table itself."""
    if not root.is_dir():
        return root
    try:
        found = sorted(path for path in root.iterdir() if path.name.lower() in NAMES)
    except OSError as error:
        raise ValueError(f"folder {root} cannot be read ({error.strerror})") from None
    if len(found) != 1:
        raise ValueError(
            f"{root} holds {' and '.join(path.name for path in found) or 'no manifest'}: name the "
            f"table itself with --root, or call one of {', '.join(NAMES)}"
        )
    return found[0]


DATASET = Dataset(
    name="manifest",
    about="your own clips, listed in a CSV or Parquet file: path, label, and what else is known",
    folders=(),
    classes=None,
    rate=None,
    seconds=None,
    licence="yours",
    address="your own files",
    scan=scan,
    scan_named=scan,
)
