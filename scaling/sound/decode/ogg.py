"""Ogg (RFC 3533): its pages checked, and a chain of recordings taken apart.

libsndfile reads the first recording of a chain and leaves out pages that are damaged, both without
a word. Every page carries a checksum and a number, and the last of a stream is marked, so nothing
can be missing that we do not see.
"""

import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from scaling.sound.decode.kinds import CONVERT, CONVERT_DAMAGED, REPAIR

HEADER = 27  # bytes of a page before its table of lengths
# zlib's checksum reads bits from the other end than Ogg's, which is else the same.
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
FIRST, LAST = 2, 4  # flags of a page
RECORDINGS = 10_000  # in one file: a chain of more is damaged or made to exhaust
CODECS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus", b"\x7fFLAC": "FLAC", b"Speex   ": "Speex"}


class OggPage(NamedTuple):
    """One page: where it lies, in bytes, and what its header says."""

    start: int
    end: int
    flags: int
    stream: int  # serial number
    number: int
    packet: bytes  # the first bytes of its content


def pages(content: memoryview) -> Iterator[OggPage]:
    """Every page of a file, each whole. Raises ValueError for one that is cut off or damaged."""
    start = 0
    while start < len(content):
        head = bytes(content[start : start + HEADER])
        if head[:4] != b"OggS"[: len(head)]:
            rest = content[start:]
            if not any(rest) or bytes(rest[:3]) == b"TAG":  # padding, or another format's tag
                return
            raise ValueError(f"damaged: no Ogg page begins at byte {start}: {CONVERT_DAMAGED}")
        lengths = bytes(content[start + HEADER :][: head[26]]) if len(head) == HEADER else b""
        if len(head) < HEADER or len(lengths) < head[26]:
            raise ValueError(f"cut off: its last page is not whole: {REPAIR}")
        end = start + HEADER + len(lengths) + sum(lengths)
        if end > len(content):
            missing = end - len(content)
            raise ValueError(f"cut off: its last {missing} bytes are missing: {REPAIR}")
        page = bytes(content[start:end])
        if _checksum(page) != int.from_bytes(head[22:26], "little"):
            raise ValueError(f"damaged: the Ogg page at byte {start} has changed: {REPAIR}")
        stream, number = (int.from_bytes(head[at : at + 4], "little") for at in (14, 18))
        packet = page[HEADER + len(lengths) :][:8]
        yield OggPage(start, end, head[5], stream, number, packet)
        start = end


def links(content: memoryview) -> Iterator[memoryview]:
    """The recordings that a file joins, one after the other: most files hold one.

    Raises ValueError where pages are missing or damaged, and where several recordings sound at the
    same time.
    """
    recordings: list[list[OggPage]] = []
    beginning = False
    for page in pages(content):
        if page.flags & FIRST and not beginning:
            if len(recordings) == RECORDINGS:
                raise ValueError(f"more than {RECORDINGS} recordings in one file: split it")
            recordings.append([])
        if not recordings:
            raise ValueError(f"cut off: its beginning is missing: {REPAIR}")
        beginning = bool(page.flags & FIRST)
        recordings[-1].append(page)
    for recording in recordings:
        _check(recording)
        yield content[recording[0].start : recording[-1].end]


def _check(recording: list[OggPage]) -> None:
    """Raise ValueError unless one stream of sound has all its pages, up to the last."""
    heads = [page for page in recording if page.flags & FIRST]
    sounds = [page for page in heads if any(page.packet.startswith(mark) for mark in CODECS)]
    if len(sounds) != 1:
        raise ValueError(f"{len(sounds)} recordings at the same time in one file: {CONVERT}")
    own = [page for page in recording if page.stream == sounds[0].stream]
    for before, page in pairwise(own):
        if page.number != before.number + 1:
            raise ValueError(
                f"damaged: {page.number - before.number - 1} Ogg pages are missing before byte "
                f"{page.start}: {REPAIR}"
            )
    if not own[-1].flags & LAST:
        raise ValueError(
            f"cut off: it ends after page {own[-1].number} without a mark of its end: {REPAIR}"
        )


def _checksum(page: bytes) -> int:
    """CRC-32 of a page with its own field zero: polynomial 0x04c11db7, from zero, not inverted."""
    plain = (page[:22] + bytes(4) + page[26:]).translate(REVERSED)
    value = zlib.crc32(plain, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)
