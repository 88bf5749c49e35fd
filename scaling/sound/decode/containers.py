"""Containers: how long a file says it is, against how long it is.

Each parser walks the chunks of its container up to the sound, as its specification describes them,
and raises where the file ends before the sound does, or the sound before what belongs to it. What a
program wrote into a pipe names no length, which is no fault. What lies after the sound (padding,
tags) may be missing: no sample is. A parser gives what libsndfile can read of the file: mostly all.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from scaling.sound.decode.kinds import CONVERT, CONVERT_DAMAGED, REPAIR

# A program that writes into a pipe cannot know the length and announces about 2 or 4 GiB, which is
# more than any file that is read.
STREAMED = 0x7F000000
STREAMED_64 = 2**62  # the same in containers with lengths of 64 bits
UNKNOWN_FRAMES = 2**62  # libsndfile's count where the header gives none is 2**63 - 1
CHUNKS = 10_000  # more than any writer makes; a file of empty ones would take minutes to walk
MP3_IN_WAV = 0x55  # format tag (RFC 2361)
# Formats with nothing in their headers, or nothing that libsndfile heeds, to tell a cut from.
WITHOUT_LENGTH = {"AVR", "MAT4", "MAT5", "MPC2K", "PAF", "PVF", "SDS", "IRCAM", "WVE", "XI", "SD2"}
W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


class Chunk(NamedTuple):
    """One chunk of a file: where its content begins, and how long it claims to be, in bytes."""

    name: bytes
    start: int
    length: int


def checked(content: memoryview) -> memoryview:
    """What libsndfile is to read of a file without the tags before it; the MP3 stream of a WAV.

    Raises ValueError if the file ends before its sound, or its sound before the file.
    """
    head = bytes(content[:20])
    for mark, parser in PARSERS:
        if head.startswith(mark):
            return parser(content)
    return content


def _missing(content: memoryview, end: int) -> None:
    if end > len(content):
        raise ValueError(f"cut off: its last {end - len(content)} bytes are missing: {REPAIR}")


def number(content: memoryview, start: int, length: int, order: str) -> int:
    """The unsigned number in `length` bytes; order is "big" or "little"."""
    return int.from_bytes(content[start : start + length], "big" if order == "big" else "little")


def chunks(content: memoryview, start: int, order: str, alignment: int = 2) -> Iterator[Chunk]:
    """Chunks with names of four bytes and lengths of four (of eight where not aligned: CAF)."""
    width = 4 if alignment == 2 else 8
    for _ in range(CHUNKS):
        if start + 4 + width > len(content):
            return
        length = number(content, start + 4, width, order)
        begin = start + 4 + width
        yield Chunk(bytes(content[start : start + 4]), begin, length)
        start = begin + length + length % alignment
    raise ValueError(f"damaged: more than {CHUNKS} chunks in its header: {REPAIR}")


def _ends(content: memoryview, end: int, whole: int) -> None:
    """Raise ValueError if between the end of the sound and of the whole no chunk begins."""
    if end + 9 > min(whole, len(content)):
        return
    # Some writers leave out the padding after an odd number of bytes.
    for start in {end, end + end % 2}:
        name = bytes(content[start : start + 4])
        if name.isascii() and name.decode().isprintable():
            return
    raise ValueError(f"damaged: its sound continues past its announced end: {REPAIR}")


def _exact(content: memoryview, end: int) -> memoryview:
    """The file up to the end of its sound, after which only zeros may lie."""
    _missing(content, end)
    if bytes(content[end:]).strip(b"\0"):
        raise ValueError(
            f"damaged: {len(content) - end} bytes lie after its announced end: {CONVERT_DAMAGED}"
        )
    return content[:end]


def _riff(content: memoryview) -> memoryview:
    """WAV (Microsoft and IBM, 1991), and RF64 or BW64 with lengths of 64 bits (EBU Tech 3306)."""
    order = "big" if bytes(content[:4]) == b"RIFX" else "little"
    long, tag = 0, 0
    for name, start, claimed in chunks(content, 12, order):
        if name == b"ds64":
            long = number(content, start + 8, 8, order)
        elif name == b"fmt ":
            tag = number(content, start, 2, order)
        elif name == b"data":
            length = long if claimed == 0xFFFFFFFF and long else claimed
            streamed = length >= (STREAMED_64 if length == long else STREAMED)
            if not streamed:
                _missing(content, start + length)
                if length:
                    _ends(content, start + length, 8 + number(content, 4, 4, order))
            if tag == MP3_IN_WAV:
                return content[start:] if streamed else content[start : start + length]
            break
    if bytes(content[:4]) == b"BW64":  # which libsndfile knows under its older name
        return memoryview(b"RF64" + bytes(content[4:]))
    return content


def _w64(content: memoryview) -> memoryview:
    """Sony Wave64: names of 16 bytes, lengths of 8 that count their own 24 bytes, padded to 8.

    libsndfile takes all that lies after the sound for sound.
    """
    start = 40
    for _ in range(CHUNKS):
        if start + 24 > len(content):
            break
        length = number(content, start + 16, 8, "little")
        if bytes(content[start : start + 16]) == W64_DATA:
            if length >= STREAMED_64 or length <= 24:
                break
            end = start + length
            _missing(content, end)
            behind = end + -end % 8
            whole = min(number(content, 16, 8, "little"), len(content))
            if behind + 24 <= whole and not bytes(content[behind : behind + 4]).isalpha():
                raise ValueError(f"damaged: its sound continues past its announced end: {REPAIR}")
            return content[:end]
        start += max(24, length + -length % 8)
    return content


def _iff(content: memoryview) -> memoryview:
    """AIFF and AIFF-C (Apple, 1989, 1991); 8SVX and 16SV (Electronic Arts) differ in a name."""
    needed = 0  # bytes of uncompressed sound
    for name, start, length in chunks(content, 12, "big"):
        if name == b"COMM" and bytes(content[8:12]) == b"AIFF":
            channels, frames, bits = (
                number(content, start + at, width, "big") for at, width in ((0, 2), (2, 4), (6, 2))
            )
            needed = channels * frames * -(-bits // 8)
        if name in (b"SSND", b"BODY"):
            if 0 < length < STREAMED:
                _missing(content, start + length)
                _ends(content, start + length, 8 + number(content, 4, 4, "big"))
                # A writer may count its padding as sound.
                if needed + 7 + number(content, start, 4, "big") > length > needed > 0:
                    raise ValueError(f"damaged: it skips some of its sound: {REPAIR}")
            # libsndfile takes all that lies after a BODY for sound.
            return content[: start + length] if name == b"BODY" else content
    return content


def _au(content: memoryview) -> memoryview:
    """Sun and NeXT: where the sound begins and how long it is; a length of -1 is unknown."""
    order = "big" if bytes(content[:4]) == b".snd" else "little"
    length = number(content, 8, 4, order)
    if length >= STREAMED:  # libsndfile knows no other mark than -1
        return memoryview(b"".join((content[:8], b"\xff" * 4, content[12:])))
    return _exact(content, number(content, 4, 4, order) + length) if length else content


def _caf(content: memoryview) -> memoryview:
    """Apple Core Audio Format: lengths of 8 bytes; -1, for the data, is "up to the end"."""
    for name, start, length in chunks(content, 8, "big", alignment=1):
        if name == b"data":
            if length >= STREAMED_64:  # libsndfile does not know -1
                there = (len(content) - start).to_bytes(8, "big")
                return memoryview(b"".join((content[: start - 8], there, content[start:])))
            _missing(content, start + length)
            behind = bytes(content[start + length :][:8]).lstrip(b"\0")[:4]
            if not (behind.isascii() and behind.decode().isprintable()):
                raise ValueError(f"damaged: its sound continues past its announced end: {REPAIR}")
            break
    return content


def _nist(content: memoryview) -> memoryview:
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
    return _exact(content, size + count * width)


def _voc(content: memoryview) -> memoryview:
    """Creative Voice: blocks of one byte of kind and three of length, up to one of kind 0.

    libsndfile takes all that lies after the head of the first block of sound for sound.
    """
    start, sound = number(content, 20, 2, "little"), 0
    for _ in range(CHUNKS):
        if start >= len(content) or content[start] == 0:
            break
        if content[start] in (1, 2, 9):  # sound, more of it, sound in the later form
            if sound:
                raise ValueError(f"a VOC file of several blocks, which cannot be read: {CONVERT}")
            sound = start + 4 + number(content, start + 1, 3, "little")
        start += 4 + number(content, start + 1, 3, "little")
        _missing(content, start)
    # SoX leaves 8 bytes of its own header out of the length.
    if start + 9 < len(content):
        _exact(content, start + 9)
    return content


def _flac(content: memoryview) -> memoryview:
    """FLAC (RFC 9639) without its number of samples, so that all are read, and without an ID3 tag.

    libsndfile stops where the header says. See `counts.flac`.
    """
    end = len(content) - 128 if bytes(content[-128:-125]) == b"TAG" else len(content)
    first = bytes((content[21] & 0xF0,)) + bytes(4) if len(content) > 26 else b""
    return memoryview(b"".join((content[:21], first, content[26:end])))


PARSERS: tuple[tuple[bytes, Callable[[memoryview], memoryview]], ...] = (
    (b"fLaC", _flac),
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
