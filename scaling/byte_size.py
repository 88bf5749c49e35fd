"""Byte size: numbers of bytes as a person writes and reads them, by pydantic's ByteSize.

Contents: `byte_size`, `memory_size`, `file_size`.
"""

import re

from pydantic import ByteSize, TypeAdapter

_SIZE = re.compile(r"\s*[0-9]+(\.[0-9]+)?\s*[kmgt]?i?b\s*", re.IGNORECASE)  # pydantic takes bits


def byte_size(text: str) -> int:
    """`4GiB` or `500 MB` as bytes. Raises ValueError for what is no size."""
    if not _SIZE.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a size: write a number and a unit, such as 4GiB or 500MB"
        )
    return int(TypeAdapter(ByteSize).validate_python(text))


def memory_size(count: float) -> str:
    """Bytes of memory, as `4 GiB` or `1.5 GiB`."""
    return ByteSize(count).human_readable(separator=" ").replace(".0 ", " ")


def file_size(count: float) -> str:
    """Bytes of files, as `27 MB`."""
    return ByteSize(count).human_readable(decimal=True, separator=" ").replace(".0 ", " ")
