"""Kinds: what people have for sound files that cannot be read, tags before them, and the remedies.

A reason ends in one of the remedies below, so that each is worded once.
"""

CONVERT = "convert it to wav or flac (ffmpeg -i IN OUT.wav)"
REPAIR = "copy or export it again"
CONVERT_DAMAGED = "copy it again, or convert it if it plays to the end (ffmpeg -i IN OUT.wav)"

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
TAGS = 100  # one after the other, which is more than any editor leaves


class UnknownFormat(ValueError):
    """Nothing says that the file is a sound file."""


def check_readable(head: bytes) -> None:
    """Raise ValueError where the first 16 bytes are of a kind that cannot be read."""
    for start, mark, name in UNREADABLE:
        if head[start:].startswith(mark):
            raise ValueError(f"{name}, which cannot be read: {CONVERT}")
    if head.startswith(b"version https://"):
        raise ValueError("a Git LFS pointer in place of the sound: fetch it with git lfs pull")


def tag_length(content: memoryview) -> int:
    """Bytes of the ID3v2 tags (id3.org/id3v2.4.0-structure) that a file begins with."""
    start = 0
    for _ in range(TAGS):
        if bytes(content[start : start + 3]) != b"ID3" or len(content) < start + 10:
            break
        head = content[start : start + 10]
        length = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        start += 10 + length + (10 if head[5] & 0x10 else 0)
    return min(start, len(content))
