"""TUT Acoustic Scenes 2017: fifteen scenes, development and evaluation, 10 s in two channels.

Source: A. Mesaros et al., DCASE 2017 Challenge, DCASE Workshop 2017. Layout, of each of the two
trees: `audio/*.wav`, `meta.txt` (path, label, location; tab-separated, no header) and, for
development, `evaluation_setup/fold{1..4}_{evaluate,test}.txt`. Conventions: the source is the
location; no location is in both trees. Two datasets, so that each official protocol is
split.protocol=folds and neither can train on what it should not: `tut2017` trains on development
(fold 0) and holds evaluation out (fold 1); `tut2017_development` has the four folds of the
cross-validation, of which each trains on the other three. Contents: `scan`, `scan_development` and
their checks, on the TutTree that `look` finds.
"""

import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from scaling.sound.clip_table import some
from scaling.sound.clips import Clips, Dataset, Report, from_files
from scaling.sound.datasets.layout import Layout, joined, locate
from scaling.sound.datasets.published import compare, lower_ending, none_found, wavs
from scaling.sound.datasets.tables import text
from scaling.sound.datasets.tree import walk

DEVELOPMENT = "TUT-acoustic-scenes-2017-development"
EVALUATION = "TUT-acoustic-scenes-2017-evaluation"
ADDRESSES = {
    DEVELOPMENT: "https://zenodo.org/records/400515",
    EVALUATION: "https://zenodo.org/records/1040168",
}
TRAIN, TEST = 0, 1  # folds of tut2017
META, SETUP = "meta.txt", "evaluation_setup"
FOLDS = (1, 2, 3, 4)  # of the cross-validation within development


class TutCount(NamedTuple):
    """Clips, clips of each class, locations."""

    clips: int
    each: int
    locations: int


# Source: both published tables.
PUBLISHED = {DEVELOPMENT: TutCount(4680, 312, 248), EVALUATION: TutCount(1620, 108, 109)}
LABELS = (
    *("beach", "bus", "cafe/restaurant", "car", "city_center", "forest_path", "grocery_store"),
    *("home", "library", "metro_station", "office", "park", "residential_area", "train", "tram"),
)


class TutRow(NamedTuple):
    """What meta.txt says of a clip."""

    clip: str
    label: str
    location: str


class TutTree(NamedTuple):
    """What lies below one of the two folders; clips as `audio/<file>`."""

    root: Path  # of meta.txt and the lists of folds
    name: str  # DEVELOPMENT or EVALUATION
    audio: list[str]  # sorted
    rows: list[TutRow]
    layout: Layout

    @property
    def absent(self) -> list[str]:
        """What is listed and not there."""
        return sorted({row.clip for row in self.rows} - set(self.audio))

    @property
    def extra(self) -> list[str]:
        """What is there and not listed."""
        return sorted(set(self.audio) - {row.clip for row in self.rows})

    @property
    def remedy(self) -> str:
        """What mends a tree that is not whole."""
        return f"unpack all archives of {ADDRESSES[self.name]} into one folder"


def look(root: Path, name: str) -> TutTree:
    """One of the two trees.

    Raises ValueError: no clips, clips of the other tree, meta.txt missing or of another form.
    """
    sounds = wavs(walk(root).files)
    published = [place for place in sounds if place.startswith("audio/") and place.count("/") == 1]
    layout = locate(root, published or sounds, "audio", 1, lower_ending)
    audio = sorted(layout.places)
    if not audio:
        raise none_found(root, "audio/*.wav", ADDRESSES[name])
    # evaluation clips are numbered, development ones named after their location
    other = [clip for clip in audio if Path(clip).stem.isdecimal() != (name == EVALUATION)]
    if other:
        raise ValueError(
            f"{len(other)} clips in {root} are not named as those of {name} ({some(other)}): name "
            f"the folder above {DEVELOPMENT} and {EVALUATION} with --root"
        )
    lists = root / layout.home.removesuffix("audio")
    return TutTree(lists, name, audio, read(lists / META, name), layout)


def read(path: Path, name: str) -> list[TutRow]:
    """The rows of a meta.txt. Raises ValueError that says which row is wrong."""
    rows = []
    for number, words in enumerate(_lines(path, name), start=1):
        if len(words) != len(TutRow._fields) or not all(words):
            raise ValueError(
                f"{path}: row {number} has not the three fields path, label, location, separated "
                f"by tabs: take {META} from {ADDRESSES[name]}"
            )
        rows.append(TutRow(*words))
    return rows


def scan(root: Path) -> Clips:
    """Development as fold 0, then evaluation as fold 1, each in the order of its meta.txt.

    Raises ValueError as `look` does, where one of the two trees is missing, and for clips that are
    listed and not there. Warns of clips that are left out.
    """
    trees = _both(root)
    rows = [
        {"clip": f"{tree.name}/{clip}", "label": label, "source": location, "fold": fold}
        for fold, tree in zip((TRAIN, TEST), trees, strict=True)
        for clip, label, location in _whole(tree)
    ]
    places = {
        f"{tree.name}/{clip}": (tree.layout.root / place).relative_to(root).as_posix()
        for tree in trees
        for clip, place in tree.layout.places.items()
    }
    moved = {clip: place for clip, place in places.items() if clip != place}
    homes = [str(tree.layout.root.relative_to(root)) for tree in trees if moved]
    words = joined(" and ".join(homes), *(tree.layout.words for tree in trees))
    return from_files("tut2017", root, rows, moved, words)


def scan_development(root: Path) -> Clips:
    """The development set in the order of its meta.txt, with the folds of its cross-validation.

    `root` is its own folder or the one above. Raises ValueError as `scan` and `folds` do; warns of
    clips that are left out, and where the lists of the folds are missing.
    """
    tree = _development(root)
    fold = folds(tree.root)
    if not fold:
        warnings.warn(
            f"{tree.root} has no lists in {SETUP}: the official folds are unknown "
            f"(split.protocol=made_folds needs none; the lists are at {ADDRESSES[DEVELOPMENT]})",
            stacklevel=2,
        )
    rows = [
        {"clip": clip, "label": label, "source": location, "fold": fold.get(clip)}
        for clip, label, location in _whole(tree)
    ]
    layout = tree.layout
    below = layout.root.relative_to(root).as_posix()
    words = joined("" if below in (".", DEVELOPMENT) else below, layout.words)
    return from_files("tut2017_development", layout.root, rows, layout.moved, words)


def folds(root: Path) -> dict[str, int]:
    """Which fold of the cross-validation tests each clip; empty where there are no lists.

    Raises ValueError where some of the four lists are missing, and for a clip that two folds test.
    """
    found: dict[int, list[str]] = {}
    for fold in FOLDS:
        same = (root / SETUP / f"fold{fold}_{part}.txt" for part in ("evaluate", "test"))
        if path := next(filter(Path.exists, same), None):
            found[fold] = [words[0] for words in _lines(path, DEVELOPMENT)]
    if found and (lacks := [f"fold{fold}_evaluate.txt" for fold in FOLDS if fold not in found]):
        raise ValueError(
            f"{root / SETUP} lacks {some(lacks)}: unpack the archive of meta data from "
            f"{ADDRESSES[DEVELOPMENT]}"
        )
    times = Counter(clip for clips in found.values() for clip in clips)
    if again := sorted(clip for clip, count in times.items() if count > 1):
        raise ValueError(
            f"{len(again)} clips are tested by more than one fold in {root / SETUP}: {some(again)}"
        )
    return {clip: fold for fold, clips in found.items() for clip in clips}


def check(root: Path) -> Report:
    """Clips, classes and locations of both trees against those published. Raises as `look` does."""
    trees = _both(root)
    shared = set.intersection(*({row.location for row in tree.rows} for tree in trees))
    counts = {**_counts(trees[0]), **_counts(trees[1]), "locations in both": (len(shared), 0)}
    missing = [f"{tree.name}/{clip}" for tree in trees for clip in tree.absent]
    extra = [f"{tree.name}/{clip}" for tree in trees for clip in tree.extra]
    return compare(root, counts, missing, extra, " and ".join(tree.remedy for tree in trees))


def check_development(root: Path) -> Report:
    """The same of the development set, and its folds. Raises ValueError as `folds` does too."""
    tree = _development(root)
    fold = folds(tree.root)
    tested = Counter(fold.values())
    notes = [f"fold {number} tests {count:,} clips" for number, count in tested.items()]
    if not fold:
        notes.append(f"no lists in {SETUP}: the official folds are unknown")
    elif untested := sorted({row.clip for row in tree.rows} - set(fold)):
        notes.append(f"clips that no fold tests: {len(untested)} ({some(untested)})")
    return compare(tree.root, _counts(tree), tree.absent, tree.extra, tree.remedy, notes)


def _both(root: Path) -> tuple[TutTree, TutTree]:
    """Development and evaluation, wherever they lie below `root`."""
    found = {name: _folder(root, name) for name in PUBLISHED}
    if lacks := [name for name, folder in found.items() if folder is None]:
        raise ValueError(
            f"{root} does not hold {' and '.join(lacks)}: unpack the archives of "
            f"{' and '.join(ADDRESSES[name] for name in lacks)} there, or name the folder that "
            "holds both with --root (tut2017_development needs only the one)"
        )
    development, evaluation = (look(folder or root, name) for name, folder in found.items())
    return development, evaluation


def _development(root: Path) -> TutTree:
    return look(_folder(root, DEVELOPMENT) or root, DEVELOPMENT)


def _folder(root: Path, name: str) -> Path | None:
    """The least deep folder of this name below `root`; None where there is none."""
    if (root / name).is_dir():
        return root / name
    found = [folder for folder in walk(root).folders if folder.rpartition("/")[2] == name]
    return root / min(found, key=lambda folder: folder.count("/")) if found else None


def _whole(tree: TutTree) -> list[TutRow]:
    """The rows of a tree that holds every clip it lists; warns of those that it does not list."""
    if tree.absent:
        raise ValueError(
            f"{len(tree.absent)} of {len(tree.rows)} clips that {tree.root / META} lists are not "
            f"there: {some(tree.absent)}: {tree.remedy}"
        )
    if tree.extra:
        warnings.warn(
            f"{len(tree.extra)} clips in {tree.root / 'audio'} are not in {META} and are left out: "
            f"{some(tree.extra)}",
            stacklevel=3,
        )
    return tree.rows


def _counts(tree: TutTree) -> dict[str, tuple[int, int]]:
    """Clips that are listed and there, locations, clips of each class: found, published."""
    part, published = tree.name.rpartition("-")[2], PUBLISHED[tree.name]
    there = set(tree.audio)
    labels = Counter(row.label for row in tree.rows if row.clip in there)
    counts = {
        f"{part} clips": (labels.total(), published.clips),
        f"{part} locations": (len({row.location for row in tree.rows}), published.locations),
    }
    for label in sorted({*LABELS, *labels}):
        counts[f"{part} {label}"] = (labels[label], published.each if label in LABELS else 0)
    return counts


def _lines(path: Path, name: str) -> list[list[str]]:
    """The tab-separated words of every line that is not empty."""
    try:
        content = text(path)
    except ValueError as error:
        raise ValueError(f"{error}: take it from {ADDRESSES[name]}") from None
    return [line.split("\t") for line in content.splitlines() if line.strip()]


DATASET = Dataset(
    name="tut2017",
    about="TUT Acoustic Scenes 2017: development (fold 0) against evaluation (1); 6300 clips",
    folders=("TUT-acoustic-scenes-2017",),
    classes=len(LABELS),
    rate=44_100,
    seconds=10.0,
    licence="non-commercial use; see its EULA",
    address=" and ".join(ADDRESSES.values()),
    scan=scan,
    check=check,
)
ALONE = DATASET._replace(
    name="tut2017_development",
    about="TUT Acoustic Scenes 2017, development set: fifteen scenes, four folds; 4680 clips",
    folders=("TUT-acoustic-scenes-2017", DEVELOPMENT),
    address=ADDRESSES[DEVELOPMENT],
    scan=scan_development,
    check=check_development,
)
