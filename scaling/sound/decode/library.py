"""Library: libsndfile, given bytes, kept within bounds, and its complaints in our words.

What a header claims is bounded before any memory is set aside for it.
"""

import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from scaling.sound.decode.containers import UNKNOWN_FRAMES, WITHOUT_LENGTH
from scaling.sound.decode.kinds import CONVERT, CONVERT_DAMAGED, REPAIR, UnknownFormat
from scaling.sound.decode.mpeg import begins

# The largest recording, all channels together: 25 minutes at 44.1 kHz mono; 256 MiB when decoded.
SAMPLES = 2**26
# An hour at the lowest rate becomes 160 million samples at 44.1 kHz, which still fits in memory.
SECONDS = 3600
# Hydrophones record from 1 kHz, the fastest converters (for bats) at 768 kHz.
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz
CHANNELS = 64  # seventh-order ambisonics, the widest recording in use
BLOCK = 2**20  # samples read at a time where the length is unknown
# Where libsndfile looks for a Mac's resource fork of sound that has no name. It is never given a
# name, because it would look beside the file of that name.
FORK = Path("._")
# The library's code for a file whose format it does not know (SF_ERR_UNRECOGNISED_FORMAT).
UNRECOGNISED = 1


class Decoded(NamedTuple):
    """One clip as it lies in its file."""

    samples: np.ndarray  # float32, (samples, channels), full scale 1
    rate: int  # Hz


class SoundPart(NamedTuple):
    """What libsndfile is given: a file, or one of the recordings that it joins."""

    content: memoryview
    counted: int = 0  # samples of each channel, where we know and the library does not
    kept: int = 0  # samples less what fills up the last block, where we know that


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


def decoded(part: SoundPart) -> Decoded:
    """What libsndfile makes of one recording, as long as announced. Raises ValueError."""
    try:
        file = _Forward(_Bytes(part.content))
    except soundfile.LibsndfileError as error:
        if error.code == UNRECOGNISED:
            raise UnknownFormat(f"format not recognised: {CONVERT}") from None
        text = error.error_string.lower()
        if "channel count over" in text or "too many channels" in text:
            raise ValueError(f"more than {CHANNELS} channels: keep those that are needed") from None
        if "unsupported" in text or "unimplemented" in text or "not supported" in text:
            raise ValueError(f"its encoding cannot be read: {CONVERT}") from None
        if FORK.exists():
            raise ValueError(
                f"not decodable beside a file named {FORK}, which libsndfile takes for a part of "
                f"it: remove {FORK} from the working directory"
            ) from None
        raise ValueError(f"damaged or cut off: its header is broken: {REPAIR}") from None
    with file:
        if file.format in WITHOUT_LENGTH:
            raise ValueError(
                f"a {file.format} file: it would not show if samples were missing: {CONVERT}"
            )
        if file.format == "MP3" and not begins(part.content):
            raise ValueError(f"damaged: its first MPEG frame is broken: {CONVERT_DAMAGED}")
        known = file.frames < UNKNOWN_FRAMES
        expected = part.counted or (file.frames if known else 0)
        check_bounds(expected, file.channels, file.samplerate)
        samples = _announced(file, expected) if expected else _blocks(file)
        return Decoded(samples[: part.kept or None], file.samplerate)


def _announced(file: _Forward, expected: int) -> np.ndarray:
    """All samples of a file that says how many there are."""
    samples = np.empty((expected + 1, file.channels), np.float32)
    count, read = 0, 1
    while count <= expected and read:
        count += (read := _read(file, samples[count:], count))
    if count < expected:
        raise ValueError(
            f"cut off or damaged: {count} of {expected} samples could be read: {REPAIR}"
        )
    if count > expected:
        raise ValueError(f"damaged: more than the {expected} samples that it announces: {REPAIR}")
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
    """How many samples were read into `samples`, after `count` earlier ones."""
    try:
        return len(file.read(out=samples))
    except soundfile.LibsndfileError:
        raise ValueError(
            f"cut off or damaged: it cannot be decoded beyond sample {count}: {REPAIR}"
        ) from None
