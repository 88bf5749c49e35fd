"""Waves: every clip read, hashed, decoded, mixed to mono and resampled, by several threads.

Contents: `write` for the store's packing, `examine` for a look that keeps nothing, `converted` for
one recording.
"""

# T samples of a clip

import hashlib
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from scaling.sound import checksums, contents
from scaling.sound.cache import each
from scaling.sound.clips import Clips
from scaling.sound.contents import Read
from scaling.sound.usable import fault


class PackedWaves(NamedTuple):
    """What packing has made of the clips, besides their waves."""

    reads: list[Read]  # of every clip
    lengths: list[int]  # of the readable ones
    faults: list[str]
    bad: dict[str, str]
    limited: int  # samples
    waves: str  # SHA-256


class Examined(NamedTuple):
    """What decoding every clip has shown."""

    clips: Clips  # with the content of each file that is there
    reads: list[Read]
    unreadable: dict[str, str]  # by clip: why it cannot be decoded
    unusable: dict[str, str]  # by clip: what is wrong with its sound


def examine(clips: Clips, *, workers: int | None = None, progress: bool = True) -> Examined:
    """Read and decode every clip, keep nothing of it."""
    names = clips.table["clip"].tolist()
    label = f"checking {clips.dataset}" if progress else ""
    found: list[Read] = []
    bad: dict[str, str] = {}
    faults: dict[str, str] = {}
    has_files = contents.has_files(clips)
    outcomes = each(lambda name: _samples(clips, None, name, has_files), names, workers, label)
    for name, outcome in zip(names, outcomes, strict=True):
        found.append(outcome.read)
        if outcome.problem:
            bad[name] = outcome.problem
        elif outcome.fault:
            faults[name] = outcome.fault
    read = contents.filled(clips, [each.content for each in found]) if has_files else clips
    return Examined(read, found, bad, faults)


def write(clips: Clips, rate: int, path: Path, workers: int | None, label: str) -> PackedWaves:
    """Stream every readable clip to `path`."""
    names = clips.table["clip"].tolist()
    reads: list[Read] = []
    lengths: list[int] = []
    faults: list[str] = []
    bad: dict[str, str] = {}
    limited, content, has_files = 0, hashlib.sha256(), contents.has_files(clips)
    outcomes = each(lambda name: _samples(clips, rate, name, has_files), names, workers, label)
    with path.open("wb") as file, closing(outcomes) as made:
        for name, outcome in zip(names, made, strict=True):
            reads.append(outcome.read)
            if outcome.problem:
                bad[name] = outcome.problem
                continue
            file.write(outcome.wave_T.data)
            content.update(outcome.wave_T.data)
            lengths.append(len(outcome.wave_T))
            faults.append(outcome.fault)
            limited += outcome.limited
    return PackedWaves(reads, lengths, faults, bad, limited, content.hexdigest())


class Converted(NamedTuple):
    """What has become of one clip."""

    read: Read  # of its file
    problem: str = ""  # why it cannot be read
    fault: str = ""  # what is wrong with its sound
    wave_T: np.ndarray = np.zeros(0, "<i2")
    limited: int = 0  # samples beyond full scale


def _samples(clips: Clips, rate: int | None, name: str, is_file: bool) -> Converted:
    """One clip as stored (rate None: without its wave), hashed while it is read."""
    path, read = clips.path(name), contents.NONE
    try:
        if is_file:  # the decoder then finds its bytes in memory
            read = contents.read_file(path)
        samples, own_rate = clips.decode(path)
        if is_file and checksums.stamp(path) != read.stamp:
            return Converted(contents.NONE, "it changed while it was read: run again")
    except (ValueError, OSError) as error:
        return Converted(read, str(error))
    made = converted(samples, own_rate, rate)
    return made._replace(read=read)


def converted(samples: np.ndarray, own_rate: int, rate: int | None) -> Converted:
    """A decoded recording (T, channels) as a store holds it at `rate` Hz: mono, as int16."""
    wave_T = samples.mean(axis=1)
    wrong = fault(samples, wave_T)
    if rate is None:
        return Converted(contents.NONE, "", wrong)
    if rate != own_rate:
        wave_T = soxr.resample(wave_T, own_rate, rate, quality="HQ")
    if not len(wave_T):
        return Converted(contents.NONE, f"too short: nothing is left of it at {rate} Hz")
    whole_T = np.clip(np.rint(32768 * wave_T), -32768, 32767).astype("<i2")
    beyond = int(np.count_nonzero(np.abs(wave_T) > 1))
    return Converted(contents.NONE, "", wrong, whole_T, beyond)
