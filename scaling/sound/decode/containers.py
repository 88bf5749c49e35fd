"""Containers: how long a file says it is, against how long it is.

Each parser walks the chunks of its container up to the sound, as its specification describes them,
and raises where the file ends before the sound does. What a program wrote into a pipe names no
length, which is no fault. What lies behind the sound (padding, tags) may be missing: no sample is.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

CONVERT = "convert it to wav or flac (ffmpeg -i IN OUT.wav)"
REPAIR = "copy or export it again"
# A program that writes into a pipe cannot know the length and announces about 2 or 4 GiB, which is
# more than any file that is read.
STREAMED = 0x7F000000
STREAMED_64 = 2**62  # the same in containers with lengths of 64 bits
UNKNOWN_FRAMES = 2**62  # libsndfile's count where the header gives none is 2**63 - 1
CHUNKS = 10_000  # more than any writer makes; a file of empty ones would take minutes to walk
MP3_IN_WAV = 0x55  # the format tag (RFC 2361)
# Formats with nothing in their headers, or nothing that libsndfile heeds, to tell a cut from.
WITHOUT_LENGTH = {"AVR", "MAT4", "MAT5", "MPC2K", "PAF", "PVF", "SDS", "IRCAM", "WVE", "XI", "SD2"}
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"

# What people have that libsndfile does not read: (where, bytes, what it is).
UNREADABLE = (
    (4, b"ftyp", "an MP4 file (m4a, aac)"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file (wma)"),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska file (mka, webm)"),
    (0, b"MAC ", "a Monkey's Audio file (ape)"),
    (0, b"wvpk", "a WavPack file (wv)"),
    (0, b"\xff\xf1", "an AAC file"),
    (0, b"\xff\xf9", "an AAC file"),
    (0, b"#!AMR", "an AMR file"),
)


class UnknownFormat(ValueError):
    """Nothing says that the file is a sound file."""


class Chunk(NamedTuple):
    """One chunk of a file: where its content begins, and how long it claims to be, in bytes."""

    name: bytes
    start: int
    length: int


def check_readable(head: bytes) -> None:
    """Raise ValueError where the first 16 bytes are of a kind that cannot be read."""
    for start, mark, name in UNREADABLE:
        if head[start:].startswith(mark):
            raise ValueError(f"{name}, which cannot be read: {CONVERT}")
    if head.startswith(b"version https://"):
        raise ValueError("a Git LFS pointer in place of the sound: fetch it with git lfs pull")


def checked(content: memoryview) -> memoryview | None:
    """Raise ValueError if the file ends before its sound; the MP3 stream, if a WAV holds one."""
    head = bytes(content[:12])
    for mark, parser in PARSERS:
        if head.startswith(mark):
            return parser(content)
    return None


def tag_length(content: memoryview) -> int:
    """Bytes of the ID3v2 tags (id3.org/id3v2.4.0-structure) that a file begins with."""
    start = 0
    while bytes(content[start : start + 3]) == b"ID3" and len(content) >= start + 10:
        head = content[start : start + 10]
        length = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        start += 10 + length + (10 if head[5] & 0x10 else 0)
    return min(start, len(content))


def _missing(content: memoryview, end: int) -> None:
    if end > len(content):
        raise ValueError(f"cut off: its last {end - len(content)} bytes are missing: {REPAIR}")


def _number(content: memoryview, start: int, length: int, order: str) -> int:
    return int.from_bytes(content[start : start + length], "big" if order == "big" else "little")


def _chunks(content: memoryview, start: int, order: str, alignment: int = 2) -> Iterator[Chunk]:
    """Chunks with names of four bytes and lengths of four (of eight where not aligned: CAF)."""
    width = 4 if alignment == 2 else 8
    for _ in range(CHUNKS):
        if start + 4 + width > len(content):
            return
        length = _number(content, start + 4, width, order)
        begin = start + 4 + width
        yield Chunk(bytes(content[start : start + 4]), begin, length)
        start = begin + length + length % alignment
    raise ValueError(f"damaged: more than {CHUNKS} chunks in its header: {REPAIR}")


def _riff(content: memoryview) -> memoryview | None:
    """WAV (Microsoft and IBM, 1991), and RF64 or BW64 with lengths of 64 bits (EBU Tech 3306)."""
    order = "big" if bytes(content[:4]) == b"RIFX" else "little"
    long, tag = 0, 0
    for name, start, claimed in _chunks(content, 12, order):
        if name == b"ds64":
            long = _number(content, start + 8, 8, order)
        elif name == b"fmt ":
            tag = _number(content, start, 2, order)
        elif name == b"data":
            length = long if claimed == 0xFFFFFFFF and long else claimed
            streamed = length >= (STREAMED_64 if length == long else STREAMED)
            if not streamed:
                _missing(content, start + length)
            if tag == MP3_IN_WAV:
                return content[start:] if streamed else content[start : start + length]
            return None
    return None


def _w64(content: memoryview) -> None:
    """Sony Wave64: names of 16 bytes, lengths of 8 that count their own 24 bytes, padded to 8."""
    start = 40
    for _ in range(CHUNKS):
        if start + 24 > len(content):
            return
        length = _number(content, start + 16, 8, "little")
        if bytes(content[start : start + 16]) == W64_DATA:
            if length < STREAMED_64:
                _missing(content, start + length)
            return
        start += max(24, length + -length % 8)


def _iff(content: memoryview) -> None:
    """AIFF and AIFF-C (Apple, 1989, 1991); 8SVX and 16SV (Electronic Arts) differ in a name."""
    for name, start, length in _chunks(content, 12, "big"):
        if name in (b"SSND", b"BODY"):
            if length < STREAMED:
                _missing(content, start + length)
            return


def _au(content: memoryview) -> None:
    """Sun and NeXT: where the sound begins and how long it is; a length of -1 is unknown."""
    order = "big" if bytes(content[:4]) == b".snd" else "little"
    length = _number(content, 8, 4, order)
    if length < STREAMED:
        _missing(content, _number(content, 4, 4, order) + length)


def _caf(content: memoryview) -> None:
    """Apple Core Audio Format: lengths of 8 bytes; -1, for the data, is "up to the end"."""
    for name, start, length in _chunks(content, 8, "big", alignment=1):
        if name == b"data":
            if length < STREAMED_64:
                _missing(content, start + length)
            return


def _nist(content: memoryview) -> None:
    """NIST SPHERE: a header in text, such as `sample_count -i 16000`."""
    try:
        size = int(bytes(content[8:16]))
        lines = bytes(content[:size]).decode("ascii", "replace").splitlines()
        words = [line.split(maxsplit=2) for line in lines]
        fields = {parts[0]: parts[2] for parts in words if len(parts) == 3}
        count = int(fields["sample_count"])
        width = int(fields["sample_n_bytes"]) * int(fields.get("channel_count", "1"))
    except (KeyError, ValueError):
        raise ValueError(f"damaged: its header names no length: {REPAIR}") from None
    _missing(content, size + count * width)


def _voc(content: memoryview) -> None:
    """Creative Voice: blocks of one byte of kind and three of length, up to one of kind 0."""
    start = _number(content, 20, 2, "little")
    for _ in range(CHUNKS):
        if start >= len(content) or content[start] == 0:
            return
        start += 4 + _number(content, start + 1, 3, "little")
        _missing(content, start)


PARSERS: tuple[tuple[bytes, Callable[[memoryview], memoryview | None]], ...] = (
    (b"RIFF", _riff),
    (b"RIFX", _riff),
    (b"RF64", _riff),
    (b"BW64", _riff),
    (b"riff", _w64),
    (b"FORM", _iff),
    (b".snd", _au),
    (b"dns.", _au),
    (b"caff", _caf),
    (b"NIST_1A", _nist),
    (b"Creative Voice File", _voc),
)
