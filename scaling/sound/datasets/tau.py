"""TAU Urban Acoustic Scenes 2020 Mobile, development set: ten scenes, ten cities, nine devices.

Source: T. Heittola, A. Mesaros, T. Virtanen, Acoustic scene classification in DCASE 2020 Challenge,
DCASE Workshop 2020. Layout: `audio/<scene>-<city>-<location>-<segment>-<device>.wav`, `meta.csv`
and `evaluation_setup/fold1_{train,test,evaluate}.csv`, tab-separated, with a column filename.
Conventions: everything said of a clip is read off its name; clips of one location are one source.
The official fold holds fold 1 out and trains on fold 0; what it leaves out is UNUSED. Version 2
dropped five faulty clips and re-synchronised 118: lists of version 1 with audio of version 2 name
clips that are not there. Contents: `scan` and `check`, on the TauTree that `look` finds.
"""

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from scaling.sound.clip_table import UNUSED, some
from scaling.sound.clips import Clips, Dataset, Report, from_files
from scaling.sound.datasets.layout import Layout
from scaling.sound.datasets.published import beside, filenames, listed

NAME = "tau2020_mobile"
ADDRESS = "https://zenodo.org/records/3819968"
TRAIN, TEST = 0, 1  # folds
AUDIO, META, SETUP = "audio/", "meta.csv", "evaluation_setup/"
TRAIN_LIST = f"{SETUP}fold1_train.csv"
TEST_LISTS = (f"{SETUP}fold1_evaluate.csv", f"{SETUP}fold1_test.csv")  # the same clips


class TauCount(NamedTuple):
    """Clips of one device: in all, in the training list, in the test list, in neither."""

    all: int
    train: int
    test: int
    unused: int

    def row(self, name: str) -> str:
        """One line of a table."""
        return f"{name:12}" + "".join(f"{number:8,}" for number in self)


# Source: the datasets' documentation. The versions differ in devices b and c only.
VERSION_1 = {
    "a": TauCount(14_400, 10_215, 330, 3855),
    **dict.fromkeys(("b", "c", "s1", "s2", "s3"), TauCount(1080, 750, 330, 0)),
    **dict.fromkeys(("s4", "s5", "s6"), TauCount(1080, 0, 330, 750)),
}
VERSION_2 = {**VERSION_1, "b": TauCount(1078, 749, 329, 0), "c": TauCount(1077, 748, 329, 0)}
VERSIONS = {1: VERSION_1, 2: VERSION_2}
DEVICES = tuple(VERSION_1)


class TauTree(NamedTuple):
    """What lies below a root; clips as `audio/<file>`."""

    root: Path  # of the lists
    audio: list[str]  # sorted
    meta: list[str] | None  # None: no such list
    train: list[str] | None
    test: list[str] | None
    layout: Layout = Layout(Path(), "", {}, "")

    @property
    def absent(self) -> list[str]:
        """What is listed and not there."""
        return sorted(self.listed - set(self.audio))

    @property
    def extra(self) -> list[str]:
        """What is there and not listed, where meta.csv should list all."""
        return [] if self.meta is None else sorted(set(self.audio) - self.listed)

    @property
    def listed(self) -> set[str]:
        return {*(self.meta or ()), *(self.train or ()), *(self.test or ())}

    def versions(self) -> dict[str, str]:
        """What each part looks like: `version 2`, `version 1` or `neither version`."""
        parts = {AUDIO: [(self.audio, "all")]}
        if self.meta is not None:
            parts[META] = [(self.meta, "all")]
        if self.train is not None and self.test is not None:
            parts[SETUP] = [(self.train, "train"), (self.test, "test")]
        return {name: _version(lists) for name, lists in parts.items()}


def look(root: Path) -> TauTree:
    """Every clip and list below `root`.

    Raises ValueError: no clips, no such names, a list that cannot be read, half of the fold, a clip
    both in its training and its test list.
    """
    layout, lists, audio = beside(root, AUDIO, META, fields, ADDRESS)
    train = filenames(lists / TRAIN_LIST, NAME)
    test = next(filter(None, (filenames(lists / name, NAME) for name in TEST_LISTS)), None)
    if (train is None) != (test is None):
        lacks = TRAIN_LIST if train is None else " and ".join(TEST_LISTS)
        raise ValueError(f"{lists} lacks {lacks}: unpack the archive of meta data from {ADDRESS}")
    if both := sorted(set(train or ()) & set(test or ())):
        raise ValueError(f"{len(both)} clips are both in training and test list: {some(both)}")
    tree = TauTree(lists, audio, filenames(lists / META, NAME), train, test, layout)
    for clip in sorted({*tree.audio, *tree.listed}):
        fields(clip)
    return tree


def fields(clip: str) -> dict[str, str]:
    """What a clip's name says: label, city, device and, as meta.csv's identifier, source.

    Raises ValueError for a name of another form.
    """
    words = clip.removeprefix(AUDIO).removesuffix(".wav").split("-")
    if len(words) == 5 and all(words) and words[4] in DEVICES:
        scene, city, location, _, device = words
        return {"label": scene, "city": city, "device": device, "source": f"{city}-{location}"}
    line = f"{clip} is not named <scene>-<city>-<location>-<segment>-<device>.wav"
    if len(words) == 6:
        line += ": it looks like the 2022 edition (clips of 1 s)"
    elif len(words) == 1:
        line += ": it looks like an evaluation set, whose scenes are not published"
    raise ValueError(f"{line}; {NAME} is the development set at {ADDRESS}")


def scan(root: Path) -> Clips:
    """All clips in the order of their names: those in meta.csv, without it those in audio/.

    Raises ValueError as `look` does, and for clips that are listed and not there. Warns of clips
    that are left out, and where the lists of the fold are missing.
    """
    tree = look(root)
    if tree.absent:
        raise ValueError(
            f"{len(tree.absent)} clips that {root} lists are not in it: {some(tree.absent)}; "
            f"{_looks(tree)}: {_remedy(tree)}"
        )
    if tree.extra:
        warnings.warn(
            f"{len(tree.extra)} clips in {root / AUDIO} are not in {META} and are left out: "
            f"{some(tree.extra)}; {_looks(tree)}",
            stacklevel=2,
        )
    fold = {**dict.fromkeys(tree.train or (), TRAIN), **dict.fromkeys(tree.test or (), TEST)}
    names = tree.audio if tree.meta is None else sorted(tree.listed)
    rows = [{"clip": c, "fold": fold.get(c), **fields(c)} for c in names]
    layout = tree.layout
    clips = from_files(NAME, layout.root, rows, layout.moved, layout.words)
    if not fold:
        warnings.warn(
            f"{root} has no {TRAIN_LIST}: the official fold is unknown (split.protocol=pairs needs "
            f"none; the lists are in the archive of meta data at {ADDRESS})",
            stacklevel=2,
        )
        return clips
    return replace(clips, table=clips.table.assign(fold=clips.table["fold"].fillna(UNUSED)))


def check(root: Path) -> Report:
    """Clips of each device and part against those published, what is missing, what is extra.

    Counts are held against the version that the audio looks like, else version 2. Raises ValueError
    as `look` does.
    """
    tree = look(root)
    versions = tree.versions()
    wanted = VERSION_1 if versions[AUDIO] == "version 1" else VERSION_2
    unused = set(tree.audio) - {*(tree.train or ()), *(tree.test or ())}
    parts = [_devices(clips or ()) for clips in (tree.audio, tree.train, tree.test, unused)]
    found = {device: TauCount(*(part[device] for part in parts)) for device in DEVICES}
    lines = [f"{'device':12}" + "".join(f"{name:>8}" for name in TauCount._fields)]
    for device, count in found.items():
        lines.append(count.row(device))
        if count != wanted[device]:
            lines.append(wanted[device].row("  published"))
    lines.append(TauCount(*(part.total() for part in parts)).row("all"))
    lines += [f"{part:18}{versions.get(part, 'not there')}" for part in (AUDIO, META, SETUP)]
    lines += listed("missing", tree.absent) + listed(f"not in {META}", tree.extra)
    wrong = [f"{len(tree.absent)} listed clips are missing"] if tree.absent else []
    wrong += [f"{len(tree.extra)} clips are not in {META}"] if tree.extra else []
    if other := [device for device in DEVICES if found[device] != wanted[device]]:
        wrong.append(f"counts of {', '.join(other)} are not those published")
    if len(set(versions.values())) > 1:
        wrong.append(_looks(tree))
    problem = f"{root} is not as published: {'; '.join(wrong)}: {_remedy(tree)}" if wrong else ""
    return Report(lines, problem)


def _devices(clips: Iterable[str]) -> Counter[str]:
    return Counter(fields(clip)["device"] for clip in clips)


def _version(lists: list[tuple[list[str], str]]) -> str:
    """Which version has just these clips of devices b and c, in which alone the two differ."""
    counts = [(_devices(clips), part) for clips, part in lists]
    for number, published in VERSIONS.items():
        if all(
            count[device] == getattr(published[device], part)
            for count, part in counts
            for device in "bc"
        ):
            return f"version {number}"
    return "neither version"


def _looks(tree: TauTree) -> str:
    return ", ".join(f"{name} looks like {version}" for name, version in tree.versions().items())


def _remedy(tree: TauTree) -> str:
    versions = tree.versions()
    if versions[AUDIO] == "version 2" and "version 1" in versions.values():
        return f"take {META} and {SETUP} of version 2 from {ADDRESS}"
    return f"unpack all archives of version 2 from {ADDRESS} into one folder"


DATASET = Dataset(
    name=NAME,
    about="TAU Urban Acoustic Scenes 2020 Mobile: ten scenes, ten cities, nine devices; 64 h",
    folders=(
        "TAU-urban-acoustic-scenes-2020-mobile-development",
        "TAU-urban-acoustic-scenes-2020-mobile",
        "TAU-2020-mobile",
    ),
    classes=10,
    rate=44_100,
    seconds=10.0,
    licence="academic, non-commercial use; see its LICENSE",
    address=ADDRESS,
    scan=scan,
    check=check,
)
