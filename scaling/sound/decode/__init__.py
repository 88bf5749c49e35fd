"""Decode: a sound file's samples, all of them, or one line that says why not.

libsndfile decodes. It reads a file that was cut off up to its end without a word, takes estimated
lengths for facts, and believes what headers claim. So we read the structure of the file first: the
container says how many bytes and samples there should be, and what is claimed is bounded before any
memory is set aside. Files are read once, as bytes; their names and neighbours decide nothing.
"""

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from scaling.sound.decode import containers, mpeg, ogg
from scaling.sound.decode.containers import CONVERT, REPAIR

# The largest recording, all channels together: 25 minutes at 44.1 kHz mono; 256 MiB when decoded.
SAMPLES = 2**26
FILE = 8 * SAMPLES  # bytes of the largest file: SAMPLES in 64-bit floats, the widest there are
# An hour at the lowest rate becomes 160 million samples at 44.1 kHz, which still fits in memory.
SECONDS = 3600
# Hydrophones record from 1 kHz, the fastest converters (for bats) at 768 kHz.
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz
CHANNELS = 64  # seventh-order ambisonics, the widest recording in use
BLOCK = 2**20  # samples read at a time where the length is unknown
# The library's code for a file whose format it does not know (SF_ERR_UNRECOGNISED_FORMAT).
UNRECOGNISED = 1


class Decoded(NamedTuple):
    """One clip as it lies in its file."""

    samples: np.ndarray  # float32, (samples, channels), full scale 1
    rate: int  # Hz


def decode_file(path: Path) -> Decoded:
    """Read a sound file as it is: every channel, its own rate.

    Raises ValueError as `read_regular` and `decode_bytes` do.
    """
    content = read_regular(path)
    try:
        return decode_bytes(content)
    except containers.UnknownFormat:
        if path.suffix.lower() != ".raw":
            raise
        raise ValueError("raw samples without a header: convert it to wav or flac") from None


def read_regular(path: Path) -> bytes:
    """All bytes of a regular file of at most FILE bytes; nothing else is waited for or read.

    Raises ValueError with the reason: no such file, no right to read it, a folder, a pipe, a socket
    or a device, or too many bytes.
    """
    # Opening a pipe that nobody writes into would wait for ever, but for O_NONBLOCK.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags)
    except FileNotFoundError:
        raise ValueError("no such file") from None
    except OSError as error:
        if path.is_socket():
            raise ValueError("a socket, not a regular file: leave it out") from None
        raise ValueError(f"it cannot be opened ({(error.strerror or 'error').lower()})") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{_kind(status.st_mode)}, not a regular file: leave it out")
        content = b""
        if status.st_size <= FILE:
            with open(handle, "rb", closefd=False) as file:
                content = file.read(FILE + 1)
    except OSError as error:
        raise ValueError(f"it cannot be read ({(error.strerror or 'error').lower()})") from None
    finally:
        os.close(handle)
    if (size := max(len(content), status.st_size)) > FILE:
        raise ValueError(f"{size} bytes, the most is {FILE}: cut the recording into clips")
    return content


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((name for holds, name in kinds.items() if holds(mode)), "a special file")


def decode_bytes(content: bytes | memoryview) -> Decoded:
    """Decode the content of a sound file as it is: every channel, its own rate.

    Raises ValueError with the reason in a few words and the remedy: not readable, cut off, damaged,
    empty, beyond the bounds above, not finite.
    """
    parts = [_samples(part) for part in _parts(memoryview(content).toreadonly())]
    kinds = {(rate, samples.shape[1]) for samples, rate in parts}
    if len(kinds) > 1:
        told = " and ".join(f"{rate} Hz x {channels}" for rate, channels in sorted(kinds))
        raise ValueError(
            f"several recordings in one file, unlike in rate x channels ({told}): split it"
        )
    (rate, channels), *_ = kinds
    samples = parts[0].samples if len(parts) == 1 else np.concatenate([part[0] for part in parts])
    if not len(samples):
        raise ValueError("empty: it holds no samples: leave it out")
    check_bounds(len(samples), channels, rate)
    # A sum is finite only where all its terms are, and takes no memory of its own.
    if not np.isfinite(samples.sum(dtype=np.float64)) and not np.isfinite(samples).all():
        raise ValueError("not finite: it holds NaN or infinite samples: export it again")
    return Decoded(samples, rate)


class _Part(NamedTuple):
    """What libsndfile is given: a file, or one of the recordings that it joins."""

    content: memoryview
    counted: int = 0  # samples of each channel that we counted where the library only estimates


def _parts(content: memoryview) -> Iterator[_Part]:
    """The recordings in a file, each checked to be whole as far as its container tells."""
    sound = content[containers.tag_length(content) :]
    head = bytes(sound[:16])
    if head.startswith(b"OggS"):
        yield from map(_Part, ogg.links(sound))
        return
    containers.check_readable(head)
    stream = containers.checked(sound)
    if stream is None and mpeg.begins(sound):
        stream = sound
    if stream is None:
        yield _Part(sound)
    else:
        frames, counted = mpeg.normalized(stream)
        yield _Part(memoryview(frames), counted)


def check_bounds(frames: int, channels: int, rate: int) -> None:
    """Raise ValueError where a recording claims more than any that can be used.

    `frames` are samples of one channel, `rate` is in Hz.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(
            f"a rate of {rate} Hz, not {LOWEST_RATE} to {HIGHEST_RATE}: mend its header or "
            "resample it"
        )
    if not 1 <= channels <= CHANNELS:
        raise ValueError(f"{channels} channels, not 1 to {CHANNELS}: keep those that are needed")
    if frames > rate * SECONDS:
        raise ValueError(
            f"{frames} samples at {rate} Hz, longer than {SECONDS} s: cut it into clips"
        )
    if frames * channels > SAMPLES:
        raise ValueError(
            f"{frames} samples x {channels} channels, the most is {SAMPLES}: cut it into clips"
        )


class _Bytes(io.RawIOBase):
    """Bytes as libsndfile reads them: a seek beyond either end, which damaged headers ask for, is
    not an exception, which the library could not hand on."""

    def __init__(self, content: memoryview) -> None:
        super().__init__()
        self.content, self.at = content, 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self.content[self.at : self.at + len(buffer)]
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: len(self.content)}[whence]
        if start + offset >= 0:
            self.at = start + offset
        return self.at

    def tell(self) -> int:
        return self.at

    def write(self, _: object) -> int:
        return 0


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file read from beginning to end.

    soundfile else seeks after every read, which some codecs refuse, and asks for the number of
    samples, which some headers do not tell.
    """

    def seekable(self) -> bool:
        return False


def _samples(part: _Part) -> Decoded:
    """What libsndfile makes of one recording, as long as announced. Raises ValueError."""
    try:
        file = _Forward(_Bytes(part.content))
    except soundfile.LibsndfileError as error:
        if error.code == UNRECOGNISED:
            raise containers.UnknownFormat(f"format not recognised: {CONVERT}") from None
        text = error.error_string.lower()
        if "unsupported" in text or "unimplemented" in text or "not supported" in text:
            raise ValueError(f"its encoding cannot be read: {CONVERT}") from None
        raise ValueError(f"damaged or cut off: its header is broken: {REPAIR}") from None
    with file:
        if file.format in containers.WITHOUT_LENGTH:
            raise ValueError(
                f"a {file.format} file: it would not show if samples were missing: {CONVERT}"
            )
        known = file.frames < containers.UNKNOWN_FRAMES
        check_bounds(file.frames if known else 0, file.channels, file.samplerate)
        samples = _whole(file, part.counted) if known else _blocks(file)
        return Decoded(samples, file.samplerate)


def _whole(file: _Forward, counted: int) -> np.ndarray:
    """All samples that are announced, or that were `counted` where the library estimates."""
    samples = np.empty((file.frames, file.channels), np.float32)
    count, read = 0, 1
    while count < len(samples) and read:
        count += (read := _read(file, samples[count:], count))
    if count < (expected := counted or len(samples)):
        raise ValueError(
            f"cut off or damaged: {count} of {expected} samples could be read: {REPAIR}"
        )
    return samples[:count]


def _blocks(file: _Forward) -> np.ndarray:
    """Samples until they end, for a file whose writer could not know how many there would be."""
    blocks: list[np.ndarray] = []
    count = 0
    while True:
        block = np.empty((max(1, BLOCK // file.channels), file.channels), np.float32)
        read = _read(file, block, count)
        count += read
        check_bounds(count, file.channels, file.samplerate)
        if not read:
            return np.concatenate(blocks) if blocks else block[:0]
        blocks.append(block[:read])


def _read(file: _Forward, samples: np.ndarray, count: int) -> int:
    """How many samples were read into `samples`, behind `count` earlier ones."""
    try:
        return len(file.read(out=samples))
    except soundfile.LibsndfileError:
        raise ValueError(
            f"cut off or damaged: it cannot be decoded beyond sample {count}: {REPAIR}"
        ) from None
