"""Suited: whether packed clips suit what a trial wants to hear. Contents: `check`."""

# N clips of the store

import warnings

import numpy as np

from scaling.settings import Sound
from scaling.sound.batches import Mapped
from scaling.sound.clip_table import some
from scaling.sound.clips import Clips
from scaling.sound.store import Store


def check(sound: Sound, clips: Clips, store: Store) -> None:
    """Compare what was packed with what there was, and with what is asked for.

    Raises ValueError where a class has lost all of its clips, as none can be read. Warns where more
    than half of a clip is padded, or cut off.
    """
    lost = sorted(set(clips.table["label"]) - set(store.labels))
    if wanted := [name for name in lost if not sound.classes or name in sound.classes]:
        classes, these = ("classes", "these") if len(wanted) > 1 else ("class", "this")
        rest = ",".join(name for name in sound.classes or store.labels if name not in lost)
        raise ValueError(
            f"--skip-unreadable leaves no clip of {classes} {some(wanted)} ({sound.dataset}), as "
            f"none of theirs can be read: mend them, or train without {these} {classes} by "
            f"--set sound.classes={rest}"
        )
    _warn_lengths(sound, store)


def _warn_lengths(sound: Sound, store: Store) -> None:
    assert isinstance(store.read, Mapped)
    lengths_N = store.read.lengths_N
    heard_N = store.table["label"].isin(sound.classes or store.labels).to_numpy(dtype=bool)
    if not heard_N.any():
        return
    median = float(np.median(lengths_N[heard_N])) / store.rate
    cases = [(lengths_N > 2 * sound.samples, "longer than twice", "the rest is never heard")]
    if sound.fill == "zeros":
        remedy = "most of what is heard is zeros, where sound.fill=tile would repeat the clip"
        cases.append((2 * lengths_N < sound.samples, "shorter than half of", remedy))
    for odd_N, how, what in cases:
        if (odd_N & heard_N).any():
            names = store.table["clip"][odd_N & heard_N]
            warnings.warn(
                f"{len(names)} of {heard_N.sum()} clips of {sound.dataset} are {how} "
                f"sound.seconds={sound.seconds:g} ({some(names)}): {what}; half of all clips last "
                f"{median:.3g} s or more",
                stacklevel=4,
            )
