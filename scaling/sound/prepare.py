"""From trials to the packed clips they need: one store per dataset and rate."""

from collections.abc import Iterable
from pathlib import Path

from scaling import transfer
from scaling.config import Trial
from scaling.sound import datasets, microphones
from scaling.sound.clips import Clips
from scaling.sound.pitch import pitched
from scaling.sound.rooms import rooms
from scaling.sound.store import Store, pack
from scaling.storage import shown


def store_key(trial: Trial) -> str:
    """Which store a trial learns from, as `esc10@22050`."""
    return f"{trial.sound.dataset}@{trial.sound.rate}"


def scan(trials: Iterable[Trial], root: str | Path | None) -> dict[str, Clips]:
    """The clips of every dataset the trials name. Raises ValueError when one is not where it should
    be.
    """
    names = sorted({trial.sound.dataset for trial in trials})
    if root is not None and len(names) > 1:
        raise ValueError(
            f"--root {shown(str(root))}: these trials need {', '.join(names)}: set OVERHEAR_DATA "
            "to the folder above them"
        )
    return {name: datasets.scan(name, root) for name in names}


def stores(
    trials: Iterable[Trial], clips: dict[str, Clips], skip_unreadable: bool = False
) -> dict[str, Store]:
    """The packed clips behind these trials, by `store_key`; packed now where they are not yet.

    So are the pitch-shifted copies and the rooms that the trials need.
    """
    found: dict[str, Store] = {}
    for trial in trials:
        key, sound = store_key(trial), trial.sound
        if key not in found:
            found[key] = pack(clips[sound.dataset], sound.rate, skip_unreadable=skip_unreadable)
        # made here, with a progress bar, so that no training step waits for them
        kinds = {trial.augment.transform, trial.evaluation.disagreement}
        if kinds & {"pitch", "combination"}:
            pitched(found[key])
        if kinds & {"reverb", "combination"}:
            rooms(sound.rate, cache=found[key].folder.parent)
    return found


def digests(trials: Iterable[Trial], stores: dict[str, Store]) -> dict[str, str]:
    """What each trial hears, by its id: the digest of its clip table, and those of its microphones
    and of the public weights it takes over.

    Raises ValueError when a microphone's response or a file of weights is not there.
    """
    found = {}
    public: dict[str, str] = {}  # thousands of trials share a file of weights
    for trial in trials:
        found[trial.id] = stores[store_key(trial)].digest
        if heard := trial.microphones.heard:
            folder = microphones.find(trial.microphones.responses)
            found[trial.id] += "+" + microphones.digest(heard, folder)
        if weights := trial.transfer.weights:
            if weights not in public:
                public[weights] = transfer.digest(transfer.find(weights))
            found[trial.id] += "+" + public[weights]
    return found
