"""The datasets that can be trained on, and where they are found.

A reader is one file here that ends in a `Dataset`; one line in DATASETS makes it known. A root is
looked for at --root (a path, or a URI whose tree is then mirrored into the cache), else below the
folder that the environment variable OVERHEAR_DATA names, else below data/. Contents: DATASETS,
`find`, `scan`, `check`, `find_root`, Missing.
"""

import os
import warnings
from pathlib import Path
from pkgutil import resolve_name

from scaling.own import options, parts
from scaling.own.names import DATASET, is_own, module_of, taken_apart
from scaling.own.sources import held, imported
from scaling.sound.clips import Clips, Dataset, Report, check_copies
from scaling.sound.datasets import labels
from scaling.sound.datasets.reading import AS_IT_IS, Reading, grouped
from scaling.sound.fetch import mirror
from scaling.spelling import nearest
from scaling.storage import shown


class Missing(ValueError):
    """A dataset is not where it was looked for."""


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        resolve_name(f"{__name__}.{where}")
        for where in (
            "synthetic:DATASET",
            "esc50:ESC10",
            "esc50:ESC50",
            "urbansound8k:DATASET",
            "tau:DATASET",
            *(f"tau2022:{part}" for part in ("DATASET", "HALF", "QUARTER", "TENTH", "TWENTIETH")),
            "tut2017:DATASET",
            "tut2017:ALONE",
            "fsdd:DATASET",
            "audiomnist:DATASET",
            "tess:DATASET",
            "manifest:DATASET",
            "folders:DATASET",
        )
    )
}


def find(name: str) -> Dataset:
    """The dataset of that name. Raises ValueError for an unknown one, and names the nearest; for a
    person's own that nobody has named here or sent along.
    """
    kind, words = taken_apart(name)
    if is_own(kind):
        return _own(kind, words)
    if name not in DATASETS:
        raise ValueError(f"{name}: no such dataset{nearest(name, DATASETS, 'overhear data list')}")
    return DATASETS[name]


def _own(name: str, words: tuple[str, ...]) -> Dataset:
    if not held(module_of(name)):
        raise ValueError(
            f"{DATASET.field}={name}: a record names this code, which runs only if you say where "
            f"it lies: {parts.VARIABLE}=FOLDER"
        )
    found = imported(name, DATASET.what)
    if callable(found):
        own = options.values(found, words, DATASET.prefix)
        found = options.called(f"{DATASET.field}={name}", found, {}, own)
    if not isinstance(found, Dataset):
        raise ValueError(
            f"{DATASET.field}={name} is a {type(found).__name__}: it must be a Dataset of "
            "scaling.sound.clips, or make one"
        )
    listed = parts.entries(DATASET.entry_points)
    if taken := sorted({found.name, *(k for k, v in listed.items() if v == name)} & {*DATASETS}):
        raise ValueError(f"{DATASET.field}={name} calls itself {taken[0]}, as a shipped one does")
    return found


def scan(name: str, root: Path | str | None = None, reading: Reading = AS_IT_IS) -> Clips:
    """The clips of one dataset, read as `reading` says.

    Raises ValueError for an unknown name and whatever its reader refuses, Missing for a root that
    is not there. Warns of labels that nobody may have meant, where they are a person's own.
    """
    dataset = find(name)
    if reading.columns and not dataset.scan_named:
        raise ValueError(
            f"--column {'='.join(reading.columns[0])}: {name} has no table of yours: leave "
            "--column out, or list the clips in a manifest"
        )
    place = find_root(dataset, root)
    if dataset.scan_named and reading.columns:
        clips = dataset.scan_named(place, reading.named)
    else:
        clips = dataset.scan(place)
    if reading.group_from is not None:
        clips = grouped(clips, reading.group_from)
    if dataset.classes is None:
        for line in labels.doubtful(clips.table["label"]):
            warnings.warn(line, stacklevel=2)
    found = clips.table["label"].nunique()
    if dataset.classes not in (None, found):
        raise ValueError(
            f"{name} has {dataset.classes} classes, but {clips.root} holds {found}: "
            "name the right dataset, or list your own choice of clips in a manifest"
        )
    check_copies(clips, published=dataset.folders != ())
    return clips


def check(name: str, root: Path | str | None = None) -> Report:
    """What the dataset's reader can tell of its files before any is read; most say nothing.

    Raises ValueError for an unknown name, a missing root, and whatever its reader refuses.
    """
    dataset = find(name)
    place = find_root(dataset, root)
    return dataset.check(place) if dataset.check else Report([])


def find_root(dataset: Dataset, root: Path | str | None = None) -> Path:
    """Where a dataset lies: `root` if given (its mirror, if it is a URI), else the first default
    place that exists.

    `Path()` for a dataset without files. Raises Missing that names the places looked at, and what
    `mirror` says of a URI.
    """
    if dataset.folders is None:
        if root is not None:
            raise ValueError(f"{dataset.name} needs no files: leave --root {shown(str(root))} out")
        return Path()
    if isinstance(root, str) and "://" in root:
        return mirror(root)
    if root is not None:
        places = [Path(root).expanduser()]
    else:
        bases = filter(None, (os.environ.get("OVERHEAR_DATA"), "data"))
        places = [Path(base).expanduser() / name for base in bases for name in dataset.folders]
    for place in places:
        if place.exists():
            return place
    if not places:
        raise Missing(f"{dataset.name} has no default folder: give yours with --root")
    line = f"{dataset.name} not found at {', '.join(map(str, places))}: give its folder with --root"
    if dataset.folders:
        line += f", or set OVERHEAR_DATA to the folder above it (available from {dataset.address})"
    raise Missing(line)
