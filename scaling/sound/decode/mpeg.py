"""MPEG audio (MP3): its frames counted, and its length written where the decoder looks for it.

The decoder behind libsndfile believes a Xing or Info header, and estimates the length where there
is none, from the size of the file and its first frame: cover art, a rate that varies or a second
file joined to the first make that wrong. Every frame says how long it is (ISO/IEC 11172-3, section
2.4.2.3), so we count them, and put an Info header of our own in front where there is no true one.
"""

from typing import NamedTuple

from scaling.sound.decode.kinds import CONVERT_DAMAGED, REPAIR, tag_length

# kbit/s by version and layer, for the bitrate indices 1 to 14 (ISO/IEC 11172-3 and 13818-3)
BITRATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44_100, 48_000, 32_000)  # Hz in MPEG-1; MPEG-2 halves them, MPEG-2.5 halves them again
FREE_FRAME = 16_384  # bytes of the longest frame of free format that is looked for
TAGS = 1_000  # between frames; a file of nothing else would take minutes to walk
INFO_BYTES = 192  # enough for an Info header and the encoder's part of it, which stays empty


class MpegFrame(NamedTuple):
    """What the four bytes at the beginning of a frame say."""

    layer: int
    version: int  # 1, or 2 for MPEG-2 and 2.5
    rate: int  # Hz
    channels: int
    length: int  # bytes; 0: free format, which ends where the next frame begins
    padding: int  # bytes, within length
    samples: int  # of each channel
    side: int  # bytes between the header and where a Xing header lies


class _Stream(NamedTuple):
    frames: list[tuple[int, int]]  # where each frame of sound begins, and its bytes
    first: MpegFrame
    announced: int | None  # frames, by the Xing header of the first stream
    announced_bytes: int | None
    headers: int  # how many frames hold a Xing, Info or VBRI header in place of sound
    start: int  # where the first frame lies, a header's included
    end: int  # after the last frame


def begins(content: memoryview) -> bool:
    """Whether MPEG audio lies at the beginning: a frame and another like it, or the end."""
    start = _first(content)
    found = frame(content, start)
    if found is None or not found.length:
        return found is not None
    after = frame(content, start + found.length)
    return start + found.length >= len(content) or (after is not None and _alike(after, found))


def frame(content: memoryview, start: int) -> MpegFrame | None:
    """The frame whose header lies at `start`; None where there is none."""
    head = bytes(content[start : start + 4])
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version_bits, layer_bits = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate_bits, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version_bits == 1 or layer_bits == 0 or bitrate == 15 or rate_bits == 3:
        return None
    layer, version = 4 - layer_bits, 1 if version_bits == 3 else 2
    rate = RATES[rate_bits] >> {3: 0, 2: 1, 0: 2}[version_bits]
    channels = 1 if head[3] >> 6 == 3 else 2
    samples = {1: 384, 2: 1152, 3: 1152 if version == 1 else 576}[layer]
    slot = 4 if layer == 1 else 1
    bits = BITRATES[version, layer][bitrate - 1] * 1000 if bitrate else 0
    length = (samples // 8 // slot * bits // rate + padding) * slot if bits else 0
    side = {(1, 2): 32, (1, 1): 17, (2, 2): 17, (2, 1): 9}[version, channels]
    return MpegFrame(layer, version, rate, channels, length, padding * slot, samples, side)


def normalized(content: memoryview) -> tuple[bytes | memoryview, int]:
    """The frames of an MPEG stream without its tags, and how many samples they hold at least.

    A header in front tells how many frames there are; layers I and II have no such header.

    Raises ValueError where the last frame or any that a header announces is missing, where what
    lies between frames is no frame, and where the rate or the channels change.
    """
    stream = _walk(content)
    _check_announced(content, stream)
    if stream.first.layer != 3:
        return content[stream.start : stream.end], len(stream.frames) * stream.first.samples
    if stream.headers == 1 and stream.announced == len(stream.frames):
        return content[stream.start : stream.end], 0  # the encoder's own header, with its delay
    sound = b"".join(content[start : start + length] for start, length in stream.frames)
    first = stream.frames[0][0]
    return _info(bytes(content[first : first + 4]), stream.first, len(stream.frames)) + sound, 0


def _walk(content: memoryview) -> _Stream:
    start = _first(content)
    first = frame(content, start)
    assert first is not None, "see begins"
    at, headers, frames = start, 0, list[tuple[int, int]]()
    announced, announced_bytes = None, None
    tags = 0
    free = 0  # bytes of a frame of free format, without padding
    while at < len(content):
        found = frame(content, at)
        if found is None:
            skipped = _not_sound(content, at)
            if skipped is None:
                break
            at += skipped
            tags += 1
            if tags > TAGS:
                raise ValueError(f"damaged: more than {TAGS} tags between its frames: {REPAIR}")
            continue
        if not _alike(found, first):
            raise ValueError(
                f"damaged or joined of unlike recordings at byte {at}, where layer, version, rate "
                f"and channels change from {first[:4]} to {found[:4]}: split it"
            )
        if not found.length:
            free = free or _free_length(content, at)
        length = found.length or free + found.padding
        if at + length > len(content):
            missing = at + length - len(content)
            raise ValueError(f"cut off: its last {missing} bytes are missing: {REPAIR}")
        header = _header(content, at, found)
        if header is None:
            frames.append((at, length))
        else:
            if not headers and not frames:
                announced, announced_bytes = header
            headers += 1
        at += length
    if not frames:
        raise ValueError("empty: it holds no frame of sound: leave it out")
    return _Stream(frames, first, announced, announced_bytes, headers, start, sum(frames[-1]))


def _check_announced(content: memoryview, stream: _Stream) -> None:
    if stream.announced is None or stream.announced <= len(stream.frames):
        return
    # Some encoders count the header itself; then its count of bytes is no more than there are.
    there = len(content) - stream.start
    if stream.announced == len(stream.frames) + 1 and (stream.announced_bytes or 0) <= there:
        return
    raise ValueError(
        f"cut off: {len(stream.frames)} of {stream.announced} frames are there: {REPAIR}"
    )


def _first(content: memoryview) -> int:
    """Where the first frame lies, after tags and padding."""
    start = tag_length(content)
    return start + _zeros(content, start)


def _zeros(content: memoryview, at: int) -> int:
    """How many bytes of padding lie at `at`."""
    if at == len(content) or content[at]:
        return 0
    return len(content) - at - len(bytes(content[at:]).lstrip(b"\0"))


def _free_length(content: memoryview, at: int) -> int:
    """Bytes of a frame of free format less its padding: up to the next header of the same kind."""
    own = frame(content, at)
    assert own is not None
    for start in range(at + 4, min(at + FREE_FRAME, len(content) - 3)):
        if content[start] == 0xFF and (found := frame(content, start)):
            length = start - at - own.padding
            after = frame(content, start + length + found.padding)
            if not found.length and _alike(found, own) and after and _alike(after, own):
                return length
    raise ValueError(f"damaged: frames of free format have no clear length: {REPAIR}")


def _alike(one: MpegFrame, other: MpegFrame) -> bool:
    """Whether two frames can be of one recording."""
    return one[:4] == other[:4]


def _header(content: memoryview, at: int, found: MpegFrame) -> tuple[int | None, int | None] | None:
    """Frames and bytes that a Xing, Info or VBRI header announces; None where a frame has none."""
    begin = at + 4 + found.side
    mark = bytes(content[begin : begin + 4])
    if mark in (b"Xing", b"Info"):
        # A header lies in an empty frame; in any other, these four bytes are sound.
        if any(content[at + 6 : begin]):
            return None
        flags = int.from_bytes(content[begin + 4 : begin + 8], "big")
        frames = int.from_bytes(content[begin + 8 : begin + 12], "big") if flags & 1 else None
        skip = 12 if flags & 1 else 8
        size = content[begin + skip : begin + skip + 4]
        return frames, int.from_bytes(size, "big") if flags & 2 else None
    if bytes(content[at + 36 : at + 40]) == b"VBRI":
        size = content[at + 46 : at + 50]
        return int.from_bytes(content[at + 50 : at + 54], "big"), int.from_bytes(size, "big")
    return None


def _not_sound(content: memoryview, at: int) -> int | None:
    """Bytes of the tag or padding at `at`; None where no more than the end of the file follows."""
    left = len(content) - at
    mark = bytes(content[at : at + 11])
    if mark.startswith(b"TAG"):
        return min(left, 227 if mark.startswith(b"TAG+") else 128)
    if mark.startswith(b"ID3"):
        return max(1, tag_length(content[at:]))
    if mark.startswith(b"APETAGEX"):
        size = int.from_bytes(content[at + 12 : at + 16], "little")
        return min(left, size + 32)
    if mark == b"LYRICSBEGIN":
        for end in (b"LYRICSEND", b"LYRICS200"):
            found = bytes(content[at : at + 2**20]).find(end)
            if found >= 0:
                return found + len(end)
    if content[at] == 0:
        return _zeros(content, at)
    if left < 4 and content[at] == 0xFF:
        raise ValueError(f"cut off: its last frame is missing: {REPAIR}")
    raise ValueError(
        f"damaged: byte {at} of its {len(content)} begins no MPEG frame: {CONVERT_DAMAGED}"
    )


def _info(head: bytes, first: MpegFrame, frames: int) -> bytes:
    """A frame without sound that announces `frames`, of the kind of those that follow."""
    kinds = (
        bytes((0xFF, head[1] | 1, index << 4 | head[2] & 0x0C, head[3])) for index in range(1, 15)
    )
    made, found = next(
        (made, found)
        for made in kinds
        if (found := frame(memoryview(made), 0)) and found.length >= INFO_BYTES
    )
    body = b"Info" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (made + b"\0" * first.side + body).ljust(found.length, b"\0")
