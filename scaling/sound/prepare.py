"""From trials to the packed clips they need: one store per dataset and rate."""

import os
from collections.abc import Iterable
from pathlib import Path

from scaling.config import Trial
from scaling.sound import datasets, microphones
from scaling.sound.clips import Clips
from scaling.sound.store import Store, pack


def store_key(trial: Trial) -> str:
    """Which store a trial learns from, as `esc10@22050`."""
    return f"{trial.sound.dataset}@{trial.sound.rate}"


def scan(trials: Iterable[Trial], root: str | os.PathLike[str] | None) -> dict[str, Clips]:
    """The clips of every dataset the trials name. Raises ValueError when one is not where it should
    be.
    """
    names = sorted({trial.sound.dataset for trial in trials})
    if root is not None and len(names) > 1:
        raise ValueError(
            f"--root {os.fspath(root)}: these trials need {', '.join(names)}: set OVERHEAR_DATA to "
            "the folder above them"
        )
    return {name: datasets.scan(name, Path(root) if root is not None else None) for name in names}


def stores(
    trials: Iterable[Trial], clips: dict[str, Clips], skip_unreadable: bool = False
) -> dict[str, Store]:
    """The packed clips behind these trials, by `store_key`; packed now where they are not yet."""
    needed = {store_key(trial): trial.sound for trial in trials}
    return {
        key: pack(clips[sound.dataset], sound.rate, skip_unreadable=skip_unreadable)
        for key, sound in needed.items()
    }


def digests(trials: Iterable[Trial], stores: dict[str, Store]) -> dict[str, str]:
    """What each trial hears, by its id: the digest of its clip table, and that of its microphones.

    Raises ValueError when a microphone's response is not there.
    """
    found = {}
    for trial in trials:
        found[trial.id] = stores[store_key(trial)].digest
        if heard := trial.microphones.heard:
            folder = microphones.find(trial.microphones.responses)
            found[trial.id] += "+" + microphones.digest(heard, folder)
    return found
