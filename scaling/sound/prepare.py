"""From trials to the packed clips they need: one store per dataset and rate.

Contents: `store_key`, `scan`, `at_hand`, `stores` and `digests` of a launch; `found`, `behind`,
`reopened` and `extras`, with which another node comes by the same.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from scaling import transfer
from scaling.config import Trial
from scaling.sound import datasets, microphones
from scaling.sound.cache import kept, whole
from scaling.sound.clips import Clips, digest
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
    return {name: datasets.scan(name, root) for name in _named(trials, root)}


def at_hand(
    trials: Iterable[Trial], root: str | Path | None
) -> tuple[dict[str, Clips], dict[str, str]]:
    """What `scan` finds, and, by the names of the datasets that are not there, why not."""
    found: dict[str, Clips] = {}
    missing: dict[str, str] = {}
    for name in _named(trials, root):
        try:
            found[name] = datasets.scan(name, root)
        except datasets.Missing as error:
            missing[name] = str(error)
    return found, missing


def _named(trials: Iterable[Trial], root: str | Path | None) -> list[str]:
    """The datasets that trials name. Raises ValueError for several with one root."""
    names = sorted({trial.sound.dataset for trial in trials})
    if root is not None and len(names) > 1:
        raise ValueError(
            f"--root {shown(str(root))}: these trials need {', '.join(names)}: set OVERHEAR_DATA "
            "to the folder above them"
        )
    return names


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
        _make_copies(trial, found[key])
    return found


def _make_copies(trial: Trial, store: Store) -> None:
    """Pitch copies and rooms, made with a progress bar, so that no training step waits for them."""
    kinds = {trial.augment.transform, trial.evaluation.disagreement}
    if kinds & {"pitch", "combination"}:
        pitched(store)
    if kinds & {"reverb", "combination"}:
        rooms(trial.sound.rate, cache=store.folder.parent)


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


def found(folder: Path) -> Store | None:
    """A store that some node packed into `folder`: from there, where that is seen here too, else
    from this node's cache, where it has the same name; None where it is in neither.

    The name begins with the digest of the clips, which is verified.
    """
    for place in (folder, _here(folder)):
        if (files := _files(place)) and (store := _opened(place, folder.name, files)):
            return store
    return None


@lru_cache(maxsize=8)
def _opened(place: Path, name: str, _files: tuple[object, ...]) -> Store | None:
    """The store at a place, if it is whole and of this name; looked at once while its files are the
    same, as a worker has many trials with it.
    """
    store = whole(Store.open, place)
    return store if store and name == f"{digest(store.table)}-{store.rate}" else None


def _files(place: Path) -> tuple[object, ...]:
    """What tells the files of a store from others in their place; empty where there are none."""
    try:
        found = [(path.name, path.stat()) for path in sorted(place.iterdir())]
    except OSError:
        return ()
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def behind(
    trial: Trial, folder: Path, root: str | None = None, skip_unreadable: bool = False
) -> Clips:
    """The clips that some node packed into `folder`, as this node has them: at `root` where that is
    here, else at their default place.

    Raises ValueError where they are not here, or others are. Of clips that include unreadable ones
    only `pack` can tell.
    """
    there = root is not None and ("://" in root or Path(root).exists())
    try:
        clips = datasets.scan(trial.sound.dataset, root if there else None)
    except ValueError as error:
        where = f"--root {root} is not there, and " if root and not there else ""
        raise ValueError(
            f"the packed clips of {store_key(trial)} ({folder.name}) are not in its cache "
            f"({_here(folder).parent}), and cannot be packed: {where}{error}"
        ) from None
    if clips.digest != _digest(folder) and not skip_unreadable:
        raise _others(trial, clips, folder)
    return clips


def reopened(
    trial: Trial, folder: Path, root: str | None = None, skip_unreadable: bool = False
) -> Store:
    """The store that some node packed into `folder`, on this node: see `found`; where it is not,
    packed here and now from the clips `behind` it, by one process of the node.

    So are the pitch-shifted copies and the rooms that the trial needs. Raises ValueError where the
    clips are not here, others are, or the cache cannot be written.
    """

    def packed(lock: Path) -> Store:
        clips = behind(trial, folder, root, skip_unreadable)
        rate, cache = trial.sound.rate, lock.parent
        made = pack(clips, rate, cache=cache, skip_unreadable=skip_unreadable, progress=False)
        if made.folder.name != folder.name:
            raise _others(trial, clips, folder)
        return made

    store = found(folder)
    if store is None:  # not under the store's own name: `pack` takes that lock
        store = kept(None, f"{folder.name}.reopened", lambda _: found(folder), packed)
    if store.folder != folder:  # beside the other folder they are made already
        _make_copies(trial, store)
    return store


def extras(trials: Iterable[Trial]) -> dict[str, str]:
    """The digests of what trials read besides clips, by what it is: the responses of microphones,
    public weights.

    Raises ValueError where one of them is not there.
    """
    read: dict[str, str] = {}
    for trial in trials:
        if heard := trial.microphones.heard:
            responses = trial.microphones.responses
            name = f"microphones {', '.join(heard)} of {responses}"
            if name not in read:
                read[name] = microphones.digest(heard, microphones.find(responses))
        if weights := trial.transfer.weights:
            name = f"weights {weights}"
            if name not in read:
                read[name] = transfer.digest(transfer.find(weights))
    return read


def _here(folder: Path) -> Path:
    """The place of a folder of another node's cache in that of this node."""
    return kept(None, folder.name, lambda place: place, lambda place: place)


def _digest(folder: Path) -> str:
    return folder.name.rpartition("-")[0]


def _others(trial: Trial, clips: Clips, folder: Path) -> ValueError:
    return ValueError(
        f"{clips.root} holds other clips of {trial.sound.dataset} (digest {clips.digest}) than the "
        f"sweep was planned with ({_digest(folder)}): copy the same files there"
    )
