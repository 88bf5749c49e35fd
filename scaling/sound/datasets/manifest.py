"""The user's own table of clips: a CSV or Parquet file with the columns path and label.

Further columns, all optional: fold (any whole number from 0), device, city, speaker, source. Paths
are relative to the table's folder; an absolute path is kept as written. A CSV file is UTF-8,
comma-separated, with a header.
"""

import csv
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa

from scaling.sound.clips import Clips, Dataset, from_files

NAMES = ("manifest.csv", "manifest.parquet")
KNOWN = ("path", "label", "fold", "device", "city", "speaker", "source")


def scan(root: Path) -> Clips:
    """The clips of a table, or of the manifest.csv or manifest.parquet in a folder.

    Raises ValueError in one line: no table, not readable, a missing column, and what `from_files`
    says of rows and files. Warns of columns that are not used.
    """
    path = _find(root)
    rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    for name in ("path", "label"):
        if name not in rows:
            raise ValueError(f"{path} has no column {name}: it has {', '.join(map(str, rows))}")
    if unused := [str(name) for name in rows if name not in KNOWN]:
        warnings.warn(
            f"{path}: columns not used: {', '.join(unused)} (known: {', '.join(KNOWN)})",
            stacklevel=2,
        )
    rows = rows[[name for name in KNOWN if name in rows]]
    return from_files("manifest", path.parent, rows.rename(columns={"path": "clip"}))


def _find(root: Path) -> Path:
    """The table itself."""
    if not root.is_dir():
        return root
    found = [root / name for name in NAMES if (root / name).exists()]
    if len(found) != 1:
        raise ValueError(
            f"{root} holds {'both' if found else 'neither'} {' and '.join(NAMES)}: "
            "name the table itself with --root"
        )
    return found[0]


def _read_csv(path: Path) -> pd.DataFrame:
    """Every field as text, so that a label NA or a speaker 007 stays what was written."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            rows = [row for row in reader if row]
        if len(set(header)) < len(header):
            raise ValueError(f"a column is named twice in {', '.join(header)}")
        for number, row in enumerate(rows, start=1):
            if len(row) != len(header):
                raise ValueError(f"row {number} has {len(row)} fields, the header {len(header)}")
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as UTF-8 CSV: {error}") from None
    return pd.DataFrame(rows, columns=pd.Index(header))


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        rows: pd.DataFrame = pd.read_parquet(path, dtype_backend="numpy_nullable")
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} cannot be read as Parquet: {reason}") from None
    return rows


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
)
