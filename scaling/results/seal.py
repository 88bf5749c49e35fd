"""Seal: a digest that a file holds of its own bytes, so that damage to it is noticed.

Every format that Overhear writes has a place for a text of one's own: Parquet and safetensors in
their metadata, a zip archive in its comment, JSON in a field. BLANK is put there first; `sealed`
then writes the SHA-256 of the whole file in its place, taken with BLANK still there. So one bit
changed anywhere in the file is noticed, in its index as in its content, and any other program
reads the file as before. A seal protects against damage, not against a person who makes a new one.
Contents: BLANK, `sealed`, `broken`, `check`, `archive`, `note`, `noted`.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

MARK = b"overhear-sha256:"
DIGITS = 64
BLANK = MARK.decode() + "0" * DIGITS
REACH = 2**20  # bytes at either end of a file in which its seal lies
END = 22  # bytes of a zip archive's end record without its comment (APPNOTE.TXT, 4.3.16)
FIELD = "seal"  # of a note, and of Parquet metadata


def sealed(content: bytes | bytearray | memoryview) -> bytearray:
    """The same content with its digest in the place of the last BLANK, which must be there."""
    made = bytearray(content)
    at = _place(made)
    assert made[at : at + DIGITS] == b"0" * DIGITS, "what is sealed holds a BLANK"
    made[at : at + DIGITS] = _digest(made, at)
    return made


def broken(content: bytes | bytearray) -> bool:
    """Whether content has a seal that does not fit it. What has none, as files of earlier versions,
    cannot be judged and passes.
    """
    at = _place(content)
    return at >= 0 and content[at : at + DIGITS] != _digest(content, at)


def check(content: bytes | bytearray) -> None:
    """Raise ValueError for a content that is `broken`."""
    if broken(content):
        raise ValueError("its checksum does not fit its content")


def archive(file: io.BytesIO) -> memoryview:
    """The content of a file that holds a zip archive without a comment, sealed in its comment.

    It is sealed in place: states of large networks are held once.
    """
    comment = BLANK.encode()
    file.seek(-END, io.SEEK_END)
    assert file.read(4) == b"PK\x05\x06", "an archive without a comment ends in its end record"
    file.seek(-2, io.SEEK_END)
    file.write(len(comment).to_bytes(2, "little") + comment)
    made = file.getbuffer()
    at = len(made) - DIGITS
    made[at:] = _digest(made, at)
    return made


def note(fields: Mapping[str, Any], length: int = 0) -> bytes:
    """A JSON object of these fields and its seal, with spaces after it up to `length` bytes."""
    return bytes(sealed(json.dumps({**fields, FIELD: BLANK}).ljust(length).encode()))


def noted(content: bytes) -> dict[str, Any]:
    """The fields of a note. Raises ValueError for one that is damaged or no JSON object."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it holds no JSON object")
    check(content)
    found.pop(FIELD, None)
    return found


def _place(content: bytes | bytearray) -> int:
    """Where the digits of a content's seal begin; -1 where it has none."""
    at = content.rfind(MARK, max(0, len(content) - REACH))
    if at < 0:
        at = content.find(MARK, 0, REACH)
    return at + len(MARK) if at >= 0 else -1


def _digest(content: bytes | bytearray | memoryview, at: int) -> bytes:
    """The digest of a content whose seal begins there, in hex digits."""
    whole = memoryview(content)
    digest = hashlib.sha256(whole[:at])
    digest.update(b"0" * DIGITS)
    digest.update(whole[at + DIGITS :])
    return digest.hexdigest().encode()
