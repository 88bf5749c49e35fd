"""Arrow: how long the texts of a Parquet file are, told before they are unfolded.

A text that a file holds once may stand in all of its rows, so a small file can unpack to more than
the memory. Read as a dictionary (`read_dictionary` of the columns that are `textual`), it stays one
text, and `length` counts what it stands for. No torch. Contents: `textual`, `length`.
"""

import pyarrow as pa
import pyarrow.compute as pc

_TEXTS = ("string", "large_string", "binary", "large_binary")


def textual(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts, of any width, as views or by dictionary: Parquet
    holds all of them alike.
    """
    return str(kind).removeprefix("dictionary<values=").startswith(_TEXTS)


def length(column: pa.ChunkedArray) -> int:
    """Bytes of a column of texts, whose chunks may hold each text once."""
    total = 0
    for chunk in column.chunks:
        texts = chunk.dictionary if isinstance(chunk, pa.DictionaryArray) else chunk
        lengths = pc.binary_length(texts)
        if isinstance(chunk, pa.DictionaryArray):
            lengths = lengths.take(chunk.indices)
        total += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    return total
