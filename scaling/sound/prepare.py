"""From trials to the packed clips they need: one store per dataset and rate.

A launch's driver calls `stores`, which reads whatever of the cache was touched since it was made,
and rebuilds what is damaged, before any trial. Workers find what the driver has looked at, and
look at sizes and small files only.
Contents: `store_key`, `scan`, `at_hand`, `stores`, `digests` and `glances` of a launch; `found`,
`behind`, `reopened` and `extras`, with which another node comes by the same.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from scaling.own import parts
from scaling.own.names import DATASET, is_own, taken_apart
from scaling.settings import Trial
from scaling.sound import (
    contents,
    copies,
    datasets,
    microphones,
    public_weights,
    suited,
    transforms,
)
from scaling.sound.cache import kept, place, whole
from scaling.sound.clip_table import digest
from scaling.sound.clips import Clips
from scaling.sound.datasets.reading import AS_IT_IS, Reading
from scaling.sound.packing import pack
from scaling.sound.store import Store
from scaling.storage import shown


def store_key(trial: Trial) -> str:
    """Which store a trial learns from, as `esc10@22050`."""
    return f"{trial.sound.recordings}@{trial.sound.rate}"


def scan(
    trials: Iterable[Trial], root: str | Path | None, reading: Reading = AS_IT_IS
) -> dict[str, Clips]:
    """The clips of every dataset the trials name.

    Raises ValueError when one is not where it should be, or a microphone that the trials name
    cannot be heard through; whether their folder is there is left to `stores`.
    """
    trials = list(trials)
    _check_microphones(trials)
    return {name: datasets.scan(name, root, reading) for name in _datasets(trials, root)}


def _check_microphones(trials: Sequence[Trial]) -> None:
    """Raises ValueError for a microphone that is there and cannot be heard through."""
    for heard, responses, rate in _microphones(trials):
        try:
            folder = microphones.find(responses)
        except ValueError:
            continue
        microphones.load(heard, rate, folder)


def at_hand(
    trials: Iterable[Trial], root: str | Path | None, reading: Reading = AS_IT_IS
) -> tuple[dict[str, Clips], dict[str, str]]:
    """What `scan` finds, and, by the names of the datasets that are not there, why not."""
    trials = list(trials)
    _check_microphones(trials)
    found: dict[str, Clips] = {}
    missing: dict[str, str] = {}
    for name in _datasets(trials, root):
        try:
            found[name] = datasets.scan(name, root, reading)
        except datasets.Missing as error:
            missing[name] = str(error)
    return found, missing


def _datasets(trials: Iterable[Trial], root: str | Path | None) -> list[str]:
    """The datasets that trials name. Raises ValueError for several with one root."""
    trials = list(trials)
    for name, source in {(each.sound.dataset, each.sound.source) for each in trials}:
        if is_own(name):
            parts.loaded(name, source, DATASET)
    names = sorted({trial.sound.dataset for trial in trials})
    if root is not None and len(names) > 1:
        raise ValueError(
            f"--root {shown(str(root))}: these trials need {', '.join(names)}: set OVERHEAR_DATA "
            "to the folder above them"
        )
    return sorted({trial.sound.recordings for trial in trials})


def name_own(dataset: str) -> None:
    """Import a dataset of a person's own, which they name now."""
    kind, _ = taken_apart(dataset)
    if is_own(kind):
        parts.named(kind, DATASET)


def stores(
    trials: Iterable[Trial], clips: dict[str, Clips], skip_unreadable: bool = False
) -> dict[str, Store]:
    """The packed clips behind these trials, by `store_key`; packed now where they are not yet.

    So are the pitch-shifted copies and the rooms that the trials need; what is damaged is made
    again, with a warning. Warns where a trial hears less than half of a clip, or pads more than
    half. Raises ValueError where a class that a trial needs has no readable clip, and for a
    microphone's response that is not there or cannot be used.
    """
    trials = list(trials)
    for heard, responses, rate in _microphones(trials):
        microphones.load(heard, rate, microphones.find(responses))
    found: dict[str, Store] = {}
    for trial in trials:
        key, sound = store_key(trial), trial.sound
        if key not in found:
            found[key] = pack(clips[sound.recordings], sound.rate, skip_unreadable=skip_unreadable)
    for trial in {trial.sound: trial for trial in trials}.values():
        suited.check(trial.sound, clips[trial.sound.recordings], found[store_key(trial)])
    for trial in {(store_key(trial), trial.transforms): trial for trial in trials}.values():
        _prepare(trial, found[store_key(trial)])
    return found


def _microphones(trials: Iterable[Trial]) -> set[tuple[tuple[str, ...], str, int]]:
    """What is heard through, where its responses lie, and at which rate."""
    return {
        (trial.microphones.heard, trial.microphones.responses, trial.sound.rate)
        for trial in trials
        if trial.microphones.heard
    }


def _prepare(trial: Trial, store: Store) -> None:
    """What the trial's transforms need, so that no training step waits for it."""
    for name in trial.transforms:
        transforms.of(trial, name).prepare(store)


def digests(trials: Iterable[Trial], stores: dict[str, Store]) -> dict[str, str]:
    """What each trial hears, by its id: the digest of its clips, and those of its microphones and
    of the public weights it takes over.

    Raises ValueError when a microphone's response or a file of weights is not there.
    """
    return _named(trials, lambda trial: stores[store_key(trial)].digest)


def glances(trials: Iterable[Trial], stores: dict[str, Store]) -> dict[str, str]:
    """The same as earlier versions of Overhear named it, which saw both ends of a file only.

    No digest of clips, where some hold the same bytes and folds are made: earlier versions tore
    such clips apart, so a trial with the same settings learned from others.
    """
    moved = {key for key, store in stores.items() if copies.present(store.table)}

    def glance(trial: Trial) -> str:
        made = trial.split.protocol == "made_folds" and store_key(trial) in moved
        return "" if made else stores[store_key(trial)].glance

    return _named(trials, glance)


def _named(trials: Iterable[Trial], clips: Callable[[Trial], str]) -> dict[str, str]:
    """The digest of each trial's clips, then those of what it reads besides them."""
    trials = list(trials)
    read = extras(trials)
    return {
        trial.id: "+".join([clips(trial), *(read[name] for name in _besides(trial))])
        for trial in trials
    }


def found(folder: Path) -> Store | None:
    """A store that some node packed into `folder`: from there, where that is seen here too, else
    from this node's cache, where it has the same name; None where it is in neither.

    The name begins with the digest of the clips, which is verified.
    """
    for there in (folder, _here(folder)):
        if (files := _files(there)) and (store := _opened(there, folder.name, files)):
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
    trial: Trial,
    folder: Path,
    root: str | None = None,
    skip_unreadable: bool = False,
    reading: Reading = AS_IT_IS,
    glance: str = "",
) -> Clips:
    """The clips that some node packed into `folder`, as this node has them: at `root` where that is
    here, else at their default place.

    They are compared by `glance`, which takes no reading, where the other node has said its own;
    else by all that their files hold. Raises ValueError where they are not here, or others are. Of
    clips that include unreadable ones only `pack` can tell.
    """
    there = root is not None and ("://" in root or Path(root).exists())
    try:
        clips = datasets.scan(trial.sound.recordings, root if there else None, reading)
    except ValueError as error:
        where = f"--root {root} is not there, and " if root and not there else ""
        raise ValueError(
            f"the packed clips of {store_key(trial)} ({folder.name}) are not in its cache "
            f"({_here(folder).parent}), and cannot be packed: {where}{error}"
        ) from None
    if skip_unreadable:
        return clips
    if glance:
        here, wanted = clips.digest, glance
    else:
        here, wanted = (
            digest((contents.recalled(clips) or contents.read(clips)).table),
            _digest(folder),
        )
    if here != wanted:
        raise _others(trial, clips, here, wanted)
    return clips


def reopened(
    trial: Trial,
    folder: Path,
    root: str | None = None,
    skip_unreadable: bool = False,
    reading: Reading = AS_IT_IS,
    glance: str = "",
) -> Store:
    """The store that some node packed into `folder`, on this node: see `found`; where it is not,
    packed here and now from the clips `behind` it, by one process of the node.

    So are the pitch-shifted copies and the rooms that the trial needs. Raises ValueError where the
    clips are not here, others are, or the cache cannot be written.
    """

    def packed(lock: Path) -> Store:
        clips = behind(trial, folder, root, skip_unreadable, reading, glance)
        rate, cache = trial.sound.rate, lock.parent
        made = pack(clips, rate, cache=cache, skip_unreadable=skip_unreadable, progress=False)
        if made.folder.name != folder.name:
            raise _others(trial, clips, made.digest, _digest(folder))
        return made

    store = found(folder)
    if store is None:  # not under the store's own name: `pack` takes that lock
        store = kept(None, f"{folder.name}.reopened", lambda _: found(folder), packed)
    if store.folder != folder:  # beside the other folder they are made already
        _prepare(trial, store)
    return store


def extras(trials: Iterable[Trial]) -> dict[str, str]:
    """The digests of what trials read besides clips, by what it is: the responses of microphones,
    public weights.

    Raises ValueError where one of them is not there.
    """
    read: dict[str, str] = {}
    for trial in trials:
        for name, digest_of in _besides(trial).items():
            if name not in read:  # thousands of trials share microphones and a file of weights
                read[name] = digest_of()
    return read


def _besides(trial: Trial) -> dict[str, Callable[[], str]]:
    """What a trial reads besides clips, by what it is, and how its digest is found."""
    found: dict[str, Callable[[], str]] = {}
    if heard := trial.microphones.heard:
        responses = trial.microphones.responses
        found[f"microphones {', '.join(heard)} of {responses}"] = lambda: microphones.digest(
            heard, microphones.find(responses)
        )
    if weights := trial.transfer.weights:
        address = trial.network.public
        found[f"weights {weights}"] = lambda: public_weights.digest(
            public_weights.find(weights, address)
        )
    return found


def _here(folder: Path) -> Path:
    """The place of a folder of another node's cache in that of this node."""
    return place() / folder.name


def _digest(folder: Path) -> str:
    return folder.name.rpartition("-")[0]


def _others(trial: Trial, clips: Clips, here: str, there: str) -> ValueError:
    return ValueError(
        f"{clips.root} holds other clips of {trial.sound.dataset} (digest {here}) than the sweep "
        f"was planned with ({there}): copy the same files there"
    )
