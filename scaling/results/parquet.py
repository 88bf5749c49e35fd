"""Parquet: one record file read within bounds, and its columns as its kind has them. No torch.

A small file may claim or unpack to more than any memory holds. Each function raises ValueError with
what is wrong, in a few words; scaling.results.records names file and remedy. Contents: `bounded`,
`read`, `fitted`.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scaling import arrow
from scaling.results.schemas import SCHEMAS

ROWS = 10_000_000  # of one file; the largest legitimate ones have a few hundred thousand
VALUES = 250_000_000  # of one column, lists counted by their items
BYTES = 2 * 2**30  # of one file once it is unpacked


def bounded(metadata: Any) -> int:
    """How many bytes the text of a Parquet file may take once it is read, by its pyarrow metadata.

    Raises ValueError for a file that claims more rows, values or bytes than any record has.
    """
    if metadata.num_rows > ROWS:
        raise ValueError(f"it claims {metadata.num_rows:,} rows, a record has at most {ROWS:,}")
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    if size > BYTES:
        raise ValueError(f"it unpacks to {size:,} bytes, a record has at most {BYTES:,}")
    for column in range(metadata.num_columns):
        values = sum(group.column(column).num_values for group in groups)
        if values > VALUES:
            name = metadata.schema.column(column).path
            raise ValueError(f"{name} claims {values:,} values, at most {VALUES:,} are read")
    return int(metadata.num_rows * size)


def read(content: bytes, coded: Sequence[str] = ()) -> pa.Table:
    """A Parquet file's table, as it holds it, texts of the columns `coded` as a dictionary. Raises
    ValueError for one that is too large, before it is unpacked, and what pyarrow raises for what is
    no Parquet file.

    A long text that the file holds once may stand in all of its rows: where that could be too
    much, texts are read as a dictionary first, and counted.
    """
    there = pq.read_metadata(pa.BufferReader(content)).schema.names if coded else ()
    file = pq.ParquetFile(
        pa.BufferReader(content),
        read_dictionary=[name for name in coded if name in there],  # it refuses unknown names
        page_checksum_verification=True,
    )
    if bounded(file.metadata) <= BYTES:
        return file.read(use_threads=False)
    texts = [field.name for field in file.schema_arrow if arrow.textual(field.type)]
    folded = pq.ParquetFile(
        pa.BufferReader(content), read_dictionary=texts, page_checksum_verification=True
    ).read(use_threads=False)
    for name in texts:
        if (size := arrow.length(folded[name])) > BYTES:
            raise ValueError(f"{name} unpacks to {size:,} bytes, at most {BYTES:,} are read")
    return folded


def fitted(kind: str, table: pa.Table, coded: Sequence[str] = ()) -> pa.Table:
    """The table with the columns of its kind, in their types, and after them those that a later
    Overhear may have added. A setting that an older one lacks is null. Each of the columns `coded`
    is a dictionary in which a text stands once.
    """
    names = table.schema.names
    columns = []
    for field in (schema := SCHEMAS[kind]):
        if (count := names.count(field.name)) > 1:
            raise ValueError(f"it has {count} columns {field.name}")
        if not count and not field.nullable:
            raise ValueError(f"it has no column {field.name}")
        column = table[field.name] if count else pa.nulls(table.num_rows, field.type)
        wanted = pa.dictionary(pa.int32(), field.type) if field.name in coded else field.type
        if column.type != field.type and column.type != wanted:
            try:
                column = column.cast(field.type)
            except pa.ArrowException:
                raise ValueError(
                    f"{field.name} is {column.type}, not {field.type}, and cannot become it"
                ) from None
        if column.null_count and not field.nullable:
            raise ValueError(f"{field.name} is empty in {column.null_count} rows")
        columns.append(_coded(column) if field.name in coded else column)
    fields = [field.with_type(it.type) for field, it in zip(schema, columns, strict=True)]
    made = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    for name in dict.fromkeys(names):
        if name not in schema.names:
            made = made.append_column(table.schema.field(name), table[name])
    made.validate(full=True)  # text that is not UTF-8, offsets that point elsewhere
    return made


def _coded(texts: pa.ChunkedArray) -> pa.DictionaryArray:
    """The texts as codes, one for each; the dictionary of a file may hold a text twice."""
    coded = texts.combine_chunks().dictionary_encode()
    if len(pc.unique(coded.dictionary)) == len(coded.dictionary):
        return coded
    return coded.cast(coded.type.value_type).dictionary_encode()
