"""Windows: recordings of any rate, length and channel count, cut into clips of a model's length.

Conventions: a recording's samples are those that a store would hold of it. Windows begin a hop
apart, and one more ends where the recording ends. What is left over and shorter than SPARE of a
clip (as encoders add) is not heard, as evaluation hears no more than a clip. A recording that is
shorter than a clip is filled as the model's clips were in training.
Contents: Recording, `find`, `read`; `starts`, `cut`.
"""

# B windows, T samples

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from scaling.settings import Sound
from scaling.sound import waves
from scaling.sound.batches import Mapped
from scaling.sound.clip_table import some
from scaling.sound.datasets import signatures, tree
from scaling.sound.decode import decode_file

SPARE = 0.05  # of a clip


class Recording(NamedTuple):
    """One file, as a model hears it."""

    file: str  # as it was named
    wave_T: np.ndarray = np.zeros(0, "<i2")
    problem: str = ""  # why it cannot be read
    fault: str = ""  # what is wrong with its sound, as silence


def find(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files that are meant: those named, and all recordings below folders, sorted.

    Warns of files in folders that are no recordings. Raises ValueError for a folder that cannot be
    read, and where there is nothing to hear.
    """
    found: list[Path] = []
    named = [Path(each) for each in paths]
    for path in named:
        if not path.is_dir():
            found.append(path)
            continue
        there = tree.walk(path)
        heard: list[str] = []
        others: list[str] = []
        for name in sorted(there.files):
            (heard if _sounds(path / name) else others).append(name)
        found += [path / name for name in heard]
        if others:
            files = "file", "is not a sound file"
            if len(others) > 1:
                files = "files", "are not sound files"
            warnings.warn(
                f"{len(others)} {files[0]} below {path} {files[1]}: {some(others)}", stacklevel=2
            )
    if not found:
        where = ", ".join(map(str, named)) or "no path"
        endings = ", ".join(sorted(signatures.ENDINGS))
        raise ValueError(f"{where}: no recordings found there ({endings})")
    return list(dict.fromkeys(found))


def _sounds(path: Path) -> bool:
    """Whether a file of a folder is a recording, be it one that cannot be read."""
    try:
        return signatures.kind(path) != "other"
    except OSError:
        return True  # reading it says why


def read(path: Path, rate: int) -> Recording:
    """A file as a store at `rate` Hz would hold it; one that cannot be read says why."""
    try:
        if path.is_file() and not path.stat().st_size:
            raise ValueError("the file is empty: leave it out")
        made = waves.converted(*decode_file(path), rate)
    except (ValueError, OSError) as error:
        return Recording(str(path), problem=str(error))
    return Recording(str(path), made.wave_T, made.problem, made.fault)


def starts(samples: int, clip: int, hop: int) -> list[int]:
    """Where the windows of a recording of so many samples begin."""
    found = list(range(0, max(0, samples - clip) + 1, hop))
    if samples - (found[-1] + clip) > SPARE * clip:
        found.append(samples - clip)
    return found


def cut(wave_T: np.ndarray, begin: Sequence[int], sound: Sound) -> Tensor:
    """The windows that begin there, as int16 (B, samples), as a store would give them."""
    starts_B = np.array(begin, dtype=np.int64)
    windows = Mapped(wave_T, starts_B, len(wave_T) - starts_B, sound.fill == "tile")
    return windows(np.arange(len(starts_B)), sound.samples)
