"""Decode: a sound file's samples, all of them, or one line that says why not.

libsndfile decodes. It reads a file that was cut off up to its end without a word, takes estimated
lengths for facts, and believes what headers claim. So we read the structure of the file first: the
container says how many bytes and samples there should be, and what is claimed is bounded before any
memory is set aside. Files are read once, as bytes; their names and neighbours decide nothing.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scaling.sound.decode import containers, counts, kinds, mpeg, ogg
from scaling.sound.decode.library import SAMPLES, Decoded, SoundPart, check_bounds, decoded

__all__ = ["FILE", "Decoded", "decode_bytes", "decode_file", "read_regular"]

FILE = 8 * SAMPLES  # bytes of the largest file: SAMPLES in 64-bit floats, the widest there are


def decode_file(path: Path) -> Decoded:
    """Read a sound file as it is: every channel, its own rate.

    Raises ValueError as `read_regular` and `decode_bytes` do.
    """
    content = read_regular(path)
    try:
        return decode_bytes(content)
    except kinds.UnknownFormat:
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
    tests = {
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((name for holds, name in tests.items() if holds(mode)), "a special file")


def decode_bytes(content: bytes | memoryview) -> Decoded:
    """Decode the content of a sound file as it is: every channel, its own rate.

    Raises ValueError with the reason in a few words and the remedy: not readable, cut off, damaged,
    empty, beyond the bounds of `library`, not finite.
    """
    found: list[Decoded] = []
    for part in _parts(memoryview(content).toreadonly()):
        found.append(decoded(part))
        wave, rate = found[-1]
        check_bounds(sum(len(each.samples) for each in found), wave.shape[1], rate)
        if wave.shape[1] != found[0].samples.shape[1] or rate != found[0].rate:
            raise ValueError("several recordings in one file, of unlike rate or channels: split it")
    if len(found) > 1:
        wave = np.concatenate([each.samples for each in found])
    if not len(wave):
        raise ValueError("empty: it holds no samples: leave it out")
    # A sum of squares is finite only where all samples are, and takes no memory of its own.
    flat = wave.reshape(-1)
    if not np.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
        raise ValueError("not finite: it holds NaN or infinite samples: export it again")
    return Decoded(wave, rate)


def _parts(content: memoryview) -> Iterator[SoundPart]:
    """The recordings in a file, each checked to be whole as far as its container tells."""
    tag = kinds.tag_length(content)
    sound = content[tag:]
    if bytes(sound[:4]) == b"OggS":
        yield from map(SoundPart, ogg.links(sound))
        return
    kinds.check_readable(bytes(sound[:16]))
    stream = containers.checked(sound)
    if mpeg.begins(stream):
        frames, counted = mpeg.normalized(stream)
        yield SoundPart(memoryview(frames), counted)
    else:
        yield SoundPart(stream, counts.flac(sound), counts.gsm(sound))
