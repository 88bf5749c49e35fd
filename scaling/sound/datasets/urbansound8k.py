"""UrbanSound8K: 8732 excerpts of up to 4 s from field recordings, ten classes, ten folds.

Source: J. Salamon, C. Jacoby, J. P. Bello, A Dataset and Taxonomy for Urban Sound Research, ACM
Multimedia 2014. Layout: `audio/fold{1..10}/<fsID>-<classID>-<occurrence>-<slice>.wav` and
`metadata/UrbanSound8K.csv`. Conventions: the source is the recording on Freesound (fsID); five lie
in two folds, as published. Rates, bit depths and channels differ from file to file. The authors'
protocol is split.protocol=folds with split.fold=1..10: nine folds train. Pons et al. (2019) train
on eight: their code leaves the fold after the test fold unused, which is split.validation_fold=2
for fold 1, and so on up to 1 for fold 10. Contents: `scan`, `check`, on the UrbanSoundTree that
`look` finds.
"""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from scaling.sound.clip_table import NAMED, some
from scaling.sound.clips import Clips, Dataset, Report, from_files
from scaling.sound.datasets.layout import Layout, find_table, joined, locate, of_table
from scaling.sound.datasets.published import compare, none_found, wavs
from scaling.sound.datasets.tables import read_published
from scaling.sound.datasets.tree import walk

ADDRESS = "https://zenodo.org/records/1203745"
REMEDY = f"unpack UrbanSound8K.tar.gz of {ADDRESS} again"
FOLDER, META = "UrbanSound8K", "metadata/UrbanSound8K.csv"
COLUMNS = ("slice_file_name", "fsID", "fold", "classID", "class")
FORM = re.compile(r"([0-9]+)-([0-9])-[0-9]+-[0-9]+\.wav")
# Source: the published table. A label's place is its classID; clips of each label, of each fold.
LABELS = {
    "air_conditioner": 1000,
    "car_horn": 429,
    "children_playing": 1000,
    "dog_bark": 1000,
    "drilling": 1000,
    "engine_idling": 1000,
    "gun_shot": 374,
    "jackhammer": 1000,
    "siren": 929,
    "street_music": 1000,
}
FOLDS = dict(enumerate((873, 888, 925, 990, 936, 823, 838, 806, 816, 837), start=1))
SOURCES, TORN = 1297, 5  # recordings; those of them that lie in two folds


class UrbanSoundRow(NamedTuple):
    """What the table says of a clip."""

    clip: str  # audio/fold<fold>/<file>
    label: str
    fold: int
    source: str


class UrbanSoundTree(NamedTuple):
    """What lies below a root; clips as paths below it, sorted."""

    layout: Layout
    table: Path
    rows: list[UrbanSoundRow]
    absent: list[str]  # listed, and not there
    copies: list[str]  # files elsewhere that bear the name of a clip that is there
    misplaced: list[str]  # files elsewhere that bear the name of one that is not
    extra: list[str]  # files that bear another name
    words: str  # how the tree is laid out; "": as published

    @property
    def torn(self) -> list[str]:
        """The sources that lie in more than one fold."""
        pairs = {(row.source, row.fold) for row in self.rows}
        folds = Counter(source for source, _ in pairs)
        return sorted(source for source, count in folds.items() if count > 1)


def look(root: Path) -> UrbanSoundTree:
    """The tree in `root`, or wherever below it a mirror put the table and the clips.

    Raises ValueError: no clips, and a table that is missing or has a row of another form.
    """
    files = walk(root).files
    if not (sounds := wavs(files)):
        raise none_found(root, "**/*.wav", ADDRESS)
    place = find_table(files, META, "" if META in files else FOLDER) or META
    rows = read(root / place)
    tails = (row.clip.removeprefix("audio/") for row in rows)
    known = {tail.casefold(): tail for tail in tails}
    found = locate(root, sounds, "audio", 2, lambda tail: known.get(tail.casefold()))
    listed = {row.clip for row in rows}
    lacking = listed - set(found.places)
    names, lacks = ({Path(clip).name for clip in clips} for clips in (listed, lacking))
    used = set(found.places.values())
    below = "" if found.root == root else f"{found.root.relative_to(root).as_posix()}/"
    others = [place.removeprefix(below) for place in sounds]
    others = sorted(place for place in others if place not in used)
    return UrbanSoundTree(
        found,
        root / place,
        rows,
        absent=sorted(lacking),
        copies=[place for place in others if Path(place).name in names - lacks],
        misplaced=[place for place in others if Path(place).name in lacks],
        extra=[place for place in others if Path(place).name not in names],
        words=joined(of_table(place, META), found.words),
    )


def read(path: Path) -> list[UrbanSoundRow]:
    """The rows of the table. Raises ValueError that says what cannot be read, or which is wrong."""
    remedy = (
        f"name the folder that holds audio/ and metadata/ with --root (available from {ADDRESS})"
    )
    table = read_published(path, COLUMNS, "the table of UrbanSound8K", remedy)
    folds = {str(fold) for fold in FOLDS}
    targets = {str(target): label for target, label in enumerate(LABELS)}
    rows = []
    for number, words in enumerate(table[list(COLUMNS)].itertuples(index=False), start=1):
        name, source, fold, target, label = words
        form = FORM.fullmatch(name)
        of_name = form is not None and form.groups() == (source, target)
        if not of_name or label != targets[target] or fold not in folds:
            raise ValueError(
                f"{path}: row {number} ({','.join(words)}) does not agree with itself: a file is "
                f"<fsID>-<classID>-<occurrence>-<slice>.wav, a fold 1..10: {REMEDY}"
            )
        rows.append(UrbanSoundRow(f"audio/fold{fold}/{name}", label, int(fold), source))
    return rows


def scan(root: Path) -> Clips:
    """All clips in the order of the table. Warns of sources in two folds and of what is left out.

    Raises ValueError as `look` does, and for clips that are listed and not there.
    """
    tree = look(root)
    if tree.absent:
        lie = f" ({len(tree.misplaced)} in another folder: {some(tree.misplaced)})"
        raise ValueError(
            f"{len(tree.absent)} of {len(tree.rows)} clips that {tree.table} lists are not "
            f"there: {some(tree.absent)}{lie if tree.misplaced else ''}: {REMEDY}"
        )
    for files, what in ((tree.copies, "further copies of clips"), (tree.extra, f"not in {META}")):
        if files:
            warnings.warn(
                f"{len(files)} files below {root} are {what} and are left out: {some(files)}",
                stacklevel=2,
            )
    if tree.torn:
        warnings.warn(
            f"{len(tree.torn)} sources lie in more than one fold: {some(tree.torn)} (as published "
            f"there are {TORN}; split.protocol=made_folds keeps sources together)",
            stacklevel=2,
        )
    rows = [row._asdict() for row in tree.rows]
    return from_files("urbansound8k", tree.layout.root, rows, tree.layout.moved, tree.words)


def check(root: Path) -> Report:
    """Clips, sources, and clips of each class and fold against those published.

    Raises ValueError as `look` does.
    """
    tree = look(root)
    absent = set(tree.absent)
    there = [row for row in tree.rows if row.clip not in absent]
    labels, folds = (Counter(row[place] for row in there) for place in (1, 2))
    counts = {
        "clips": (len(there), sum(LABELS.values())),
        "sources": (len({row.source for row in there}), SOURCES),
        "sources in two folds": (len(tree.torn), TORN),
        **{label: (labels[label], wanted) for label, wanted in LABELS.items()},
        **{f"fold {fold}": (folds[fold], wanted) for fold, wanted in FOLDS.items()},
    }
    notes = [f"in two folds: source {source}" for source in tree.torn]
    notes += [f"in another folder than its fold's: {place}" for place in tree.misplaced[:NAMED]]
    notes += [f"further copies, left out: {len(tree.copies)}"] if tree.copies else []
    notes += [
        "nine folds train: split.protocol=folds split.fold=1; "
        "eight, as Pons et al. 2019: split.validation_fold=2 (of fold 10: 1) too"
    ]
    return compare(root, counts, tree.absent, tree.extra, REMEDY, notes)


DATASET = Dataset(
    name="urbansound8k",
    about="urban sounds of up to 4 s, ten folds (split.validation_fold leaves one out); 8732 clips",
    folders=(FOLDER,),
    classes=len(LABELS),
    rate=44_100,  # as many have; they differ
    seconds=4.0,
    licence="CC BY-NC 3.0",
    address=ADDRESS,
    scan=scan,
    check=check,
)
