"""Tables as people's programs write them: text of any usual encoding and delimiter, or Parquet.

A table is read as its content says, whatever its ending. Text cells stay text, so that a label NA
or a speaker 007 is what was written. Conventions: rows are counted from 1, after the header; both
kinds are bounded before they are read. Contents: Table, `read`, `read_published`, `text`.
"""

import codecs
import csv
import io
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scaling import arrow
from scaling.sound.clip_table import some
from scaling.sound.clips import open_regular

ROWS = 5_000_000  # AudioSet, the largest dataset of clips, has two million
BYTES = 2**29  # of a text table, or of what is read of a Parquet file: 100 for each row
FIELD = 2**17  # characters of one cell
DELIMITERS = ",;\t|"  # a comma wins where several fit equally well
MARKS = (  # byte order marks, the longer first
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # zipped (.xlsx, .ods), older (.xls)
PARQUET = b"PAR1"


class Table(NamedTuple):
    """A table, of which Parquet's cells are read as they are asked for."""

    path: Path
    header: list[str]
    cells: Callable[[Collection[str]], dict[str, list[object]]]  # of columns that it has

    def frame(self, names: Collection[str]) -> pd.DataFrame:
        """Some of its columns, cells as they are. Raises ValueError as `read` does."""
        cells = self.cells(names)
        return pd.DataFrame({name: pd.Series(cells[name], dtype=object) for name in names})


def read(path: Path) -> Table:
    """A table, as text or Parquet.

    Raises ValueError in one line: not readable, a spreadsheet's own format, too large, rows that
    do not fit the header.
    """
    content = _bounded(path)
    if content[:4] == PARQUET or path.suffix.lower() in (".parquet", ".pq"):
        return _parquet(path, content)
    if any(content.startswith(mark) for mark in SPREADSHEETS):
        raise ValueError(f"{path} is a spreadsheet's own format: save it as CSV (UTF-8) there")
    rows = _split(path, _decoded(path, content))
    if not rows:
        raise ValueError(f"{path} cannot be read (it is empty)")
    header, *rows = rows
    if len(set(header)) < len(header):
        raise ValueError(f"{path}: a column is named twice in {some(header)}: rename one")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(
                f"{path}: row {number} has {len(row)} fields, the header {len(header)}: quote "
                "fields that hold the delimiter"
            )
    place = {name: number for number, name in enumerate(header)}
    return Table(
        path, header, lambda names: {name: [row[place[name]] for row in rows] for name in names}
    )


def read_published(path: Path, columns: Iterable[str], what: str, remedy: str = "") -> pd.DataFrame:
    """A published dataset's text table, every cell as text.

    Raises ValueError, with the remedy, as `read` does; and where a column is not there, as the
    file then is not `what` it should be.
    """
    try:
        table = read(path)
        frame = table.frame(table.header)
    except ValueError as error:
        raise ValueError(f"{error}: {remedy}" if remedy else str(error)) from None
    if missing := [name for name in columns if name not in frame]:
        raise ValueError(f"{path} has no column {missing[0]}: it is not {what}")
    return frame


def text(path: Path) -> str:
    """All of a text file. Raises ValueError where it cannot be read or is too long."""
    return _decoded(path, _bounded(path))


def _decoded(path: Path, content: bytes) -> str:
    """The text of a file in whatever encoding it is; a guess is said in a warning.

    Raises ValueError where it is no text.
    """
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "")
    head = content[:1000]
    if not encoding and head.count(0) * 3 > len(head):  # letters of UTF-16 are half NULs
        encoding = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
    try:
        return content.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        reason, row = error.reason, content[: error.start].count(b"\n")
    if not encoding and b"\0" not in content:
        try:
            guessed = content.decode("cp1252")
        except UnicodeDecodeError:
            pass
        else:
            warnings.warn(
                f"{path} is not UTF-8 (row {row}) and is read as Windows-1252: save it as UTF-8 if "
                "accents come out wrong",
                stacklevel=2,
            )
            return guessed
    raise ValueError(
        f"{path} cannot be read as text in {encoding or 'UTF-8'} ({reason}, row {row}): save it as "
        "CSV (UTF-8)"
    )


def _bounded(path: Path) -> bytes:
    """The whole file, or of Parquet, which pyarrow maps, its first bytes."""
    try:
        with open_regular(path) as file:
            head = file.read(4)
            if head == PARQUET:
                return head
            content = head + file.read(BYTES + 1 - len(head))
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    if len(content) > BYTES:
        raise ValueError(
            f"{path} has more than {BYTES:,} bytes: list paths and labels alone, or save it as "
            "Parquet"
        )
    return content


def _split(path: Path, text: str) -> list[list[str]]:
    """Header and rows, whichever character separates them."""
    delimiter = ""
    if text[:4].lower() == "sep=":  # a spreadsheet's own note
        line, _, text = text.partition("\n")
        delimiter = line[4:5]
    head = next((line for line in text.splitlines() if line.strip()), "")
    # a delimiter is the character that splits the header into the most columns
    delimiter = delimiter or max(DELIMITERS, key=lambda character: len(_fields(head, character)))
    spaced = len(named := _fields(head, delimiter)) > 1 and all(n[:1] == " " for n in named[1:])
    before = csv.field_size_limit(FIELD)
    rows: list[list[str]] = []
    try:
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=spaced, strict=True
        )
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > ROWS + 1:
                raise ValueError(f"{path} has more than {ROWS:,} rows: split it into several")
    except csv.Error as error:
        long = "field limit" in str(error)
        what = f"a field has more than {FIELD:,} characters" if long else str(error)
        raise ValueError(
            f"{path} cannot be read as CSV: {what} after row {max(0, len(rows) - 1)}: is a "
            "quotation mark never closed there?"
        ) from None
    finally:
        csv.field_size_limit(before)
    return rows


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _parquet(path: Path, content: bytes) -> Table:
    """A Parquet file; an index that pandas wrote under a name is a column like others."""
    if content[:4] != PARQUET:
        raise ValueError(f"{path} cannot be read as Parquet: it does not begin as such a file does")

    def cells(names: Collection[str]) -> dict[str, list[object]]:
        with _reading(path):
            with pq.ParquetFile(path) as file:
                _check_size(path, file, names)
                texts = [
                    name for name in names if arrow.textual(file.schema_arrow.field(name).type)
                ]
            # texts that repeat stay one text each until their length in all is known
            with pq.ParquetFile(path, read_dictionary=texts) as file:
                read = file.read(columns=list(names))
            if (size := sum(arrow.length(read.column(name)) for name in texts)) > BYTES:
                raise ValueError(
                    f"{path} holds {size:,} characters, the most is {BYTES:,}: is it a table of "
                    "clips?"
                )
            return {name: read.column(name).to_pylist() for name in names}

    with _reading(path), pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
    return Table(path, [name for name in names if not name.startswith("__index_level_")], cells)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes pyarrow say becomes one line."""
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError, OverflowError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path} cannot be read as Parquet ({reason:.200}): write it again"
        ) from None


def _check_size(path: Path, file: pq.ParquetFile, chosen: Collection[str]) -> None:
    """Raises ValueError for more rows or bytes than a table of clips has, and for nested cells."""
    metadata = file.metadata
    if metadata.num_rows > ROWS:
        raise ValueError(
            f"{path} claims {metadata.num_rows:,} rows, the most is {ROWS:,}: split it into several"
        )
    for name in chosen:
        if pa.types.is_nested(kind := file.schema_arrow.field(name).type):
            raise ValueError(
                f"{path}: column {name} holds {kind} from row 1 on: a cell holds one text, so give "
                "each clip a single value"
            )
    size = sum(
        part.total_uncompressed_size
        for group in range(metadata.num_row_groups)
        for part in map(metadata.row_group(group).column, range(metadata.num_columns))
        if part.path_in_schema in chosen
    )
    if size > BYTES:
        raise ValueError(
            f"{path}: columns {', '.join(chosen)} have {size:,} bytes, the most is {BYTES:,}: is "
            "it a table of clips?"
        )
