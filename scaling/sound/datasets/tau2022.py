"""TAU Urban Acoustic Scenes 2022 Mobile, development set: the 2020 edition in slices of 1 s.

Sources: its documentation (ADDRESS); the task and baseline of DCASE 2024, arXiv 2405.10018, whose
five training lists hold 5 to 100 % of the training clips, smaller ones within larger ones and all
slices of a 10 s recording or none. Layout: `audio/<scene>-<city>-<location>-<segment>-<slice>-
<device>.wav`, `meta.csv`, `evaluation_setup/fold1_{train,evaluate}.csv`; the lists of 2024,
`split{5,10,25,50,100}.csv` and `test.csv`, stand in `split_setup/`. All are tab-separated, with a
column filename. Conventions: as in the 2020 edition (tau). A dataset for each list: all of them
hold fold 1 out and train on fold 0; those of a part of the clips hold only their own.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from scaling.sound.clip_table import UNUSED, some
from scaling.sound.clips import Clips, Dataset, Report, from_files
from scaling.sound.datasets.layout import Layout
from scaling.sound.datasets.published import beside, filenames, listed
from scaling.sound.datasets.tau import AUDIO, DEVICES, META, SETUP, TEST, TRAIN, VERSION_2

NAME = "tau2022_mobile"
ADDRESS = "https://zenodo.org/records/6337421"
LISTS = "https://github.com/CPJKU/dcase2024_task1_baseline/releases/tag/files"
PARTS = (5, 10, 25, 50, 100)  # percent of the training clips
SPLITS = "split_setup/"
SLICES = 10  # of a recording


class Tau2022Tree(NamedTuple):
    """What lies below a root; clips as `audio/<file>`."""

    root: Path  # of the lists
    audio: frozenset[str]
    meta: frozenset[str] | None  # None: no such list
    train: dict[int, frozenset[str]]  # the training lists that are there, by PARTS
    test: frozenset[str] | None
    layout: Layout

    @property
    def listed(self) -> frozenset[str]:
        return frozenset().union(self.meta or (), self.test or (), *self.train.values())


def fields(clip: str) -> dict[str, str]:
    """What a clip's name says: label, city, device and, as meta.csv's identifier, source.

    Raises ValueError for a name of another form.
    """
    words = clip.removeprefix(AUDIO).removesuffix(".wav").split("-")
    if len(words) == 6 and all(words) and words[5] in DEVICES:
        scene, city, location, _, _, device = words
        return {"label": scene, "city": city, "device": device, "source": f"{city}-{location}"}
    line = f"{clip} is not named <scene>-<city>-<location>-<segment>-<slice>-<device>.wav"
    if len(words) == 5:
        line += ": it looks like the 2020 edition (clips of 10 s, tau2020_mobile)"
    elif len(words) == 1:
        line += ": it looks like an evaluation set, whose scenes are not published"
    raise ValueError(f"{line}; {NAME} is the development set at {ADDRESS}")


def look(root: Path) -> Tau2022Tree:
    """Every clip and list below `root`.

    Raises ValueError: no clips, no such names, a list that cannot be read, lists that are not
    within each other or cut a recording, and a clip both in a training and the test list.
    """
    layout, lists, audio = beside(root, AUDIO, META, fields, ADDRESS)
    train = {part: _read(lists / f"{SPLITS}split{part}.csv") for part in PARTS}
    train[100] = train[100] or _read(lists / f"{SETUP}fold1_train.csv")
    test = _read(lists / f"{SPLITS}test.csv") or _read(lists / f"{SETUP}fold1_evaluate.csv")
    known = {part: clips for part, clips in train.items() if clips}
    tree = Tau2022Tree(lists, frozenset(audio), _read(lists / META), known, test, layout)
    for clip in sorted(tree.audio | tree.listed):
        fields(clip)
    _check_lists(tree)
    return tree


def _check_lists(tree: Tau2022Tree) -> None:
    """Raise ValueError where the lists are not as the task has them."""
    remedy = f"take them from {LISTS}"
    for small, large in pairwise(tree.train):
        if outside := sorted(tree.train[small] - tree.train[large]):
            raise ValueError(
                f"{len(outside)} clips of split{small}.csv are not in that of {large} %: "
                f"{some(outside)}; smaller lists are within larger ones: {remedy}"
            )
    whole = _slices(tree.audio | tree.listed)
    for part, clips in tree.train.items():
        held = _slices(clips)
        cut = sorted(name for name, slices in held.items() if slices != whole[name])
        if cut:
            raise ValueError(
                f"the training list of {part} % holds only some slices of {len(cut)} recordings: "
                f"{some(cut)}; it holds all slices of a recording or none: {remedy}"
            )
        if both := sorted(clips & (tree.test or frozenset())):
            raise ValueError(
                f"{len(both)} clips are both in the training list of {part} % and in the test "
                f"list: {some(both)}: {remedy}"
            )


def _slices(clips: Iterable[str]) -> dict[str, set[str]]:
    """The slices of each 10 s recording, which is a name without its slice."""
    found: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        *head, number, device = clip.split("-")
        found["-".join([*head, device])].add(number)
    return found


def _read(path: Path) -> frozenset[str] | None:
    """The clips of one list; None where there is no such file."""
    clips = filenames(path, NAME)
    return None if clips is None else frozenset(clips)


def _needed(tree: Tau2022Tree, part: int) -> tuple[frozenset[str], frozenset[str]]:
    """The training list of this part, and the test list. Raises ValueError for one not there."""
    if part not in tree.train:
        file = f"{SPLITS}split{part}.csv"
        here = ", ".join(f"{known} %" for known in tree.train) or "none"
        raise ValueError(
            f"{tree.root} lacks {file}, the official {part} % of the training clips (there are "
            f"lists of {here}): put it there from {LISTS}"
        )
    if tree.test is None:
        raise ValueError(f"{tree.root} lacks {SPLITS}test.csv: put it there from {LISTS}")
    return tree.train[part], tree.test


def scan(root: Path, part: int) -> Clips:
    """The clips of one list and of the test, in the order of their names; of that of 100 % all
    clips, of which those in neither are UNUSED.

    Raises ValueError as `look` does, and for clips that are listed and not there.
    """
    tree = look(root)
    train, test = _needed(tree, part)
    fold = {**dict.fromkeys(train, TRAIN), **dict.fromkeys(test, TEST)}
    names = sorted(fold if part < 100 else (tree.meta or tree.audio) | train | test)
    if absent := sorted(set(names) - tree.audio):
        raise ValueError(
            f"{len(absent)} clips that {root} lists are not in it: {some(absent)}: unpack all "
            f"archives from {ADDRESS} into one folder"
        )
    rows = [{"clip": clip, "fold": fold.get(clip), **fields(clip)} for clip in names]
    layout = tree.layout
    clips = from_files(_name(part), layout.root, rows, layout.moved, layout.words)
    return replace(clips, table=clips.table.assign(fold=clips.table["fold"].fillna(UNUSED)))


def check(root: Path, part: int) -> Report:
    """Clips of each device against those published, of each list, what is missing, what is extra.

    Raises ValueError as `look` does.
    """
    tree = look(root)
    counted = Counter(fields(clip)["device"] for clip in tree.audio)
    wanted = {device: SLICES * count.all for device, count in VERSION_2.items()}
    lines = [f"{'device':12}{'clips':>10}{'published':>12}"]
    lines += [f"{name:12}{counted[name]:10,}{wanted[name]:12,}" for name in DEVICES]
    whole = len(tree.train.get(100, ())) or SLICES * sum(c.train for c in VERSION_2.values())
    for known, clips in tree.train.items():
        lines.append(f"{f'{known} %':12}{len(clips):10,}  {100 * len(clips) / whole:.1f} % of all")
    lines.append(f"{'test':12}{len(tree.test or ()):10,}")
    absent = sorted(tree.listed - tree.audio)
    extra = [] if tree.meta is None else sorted(tree.audio - tree.listed)
    lines += listed("missing", absent) + listed(f"not in {META}", extra)
    wrong = [f"{len(absent)} listed clips are missing"] if absent else []
    wrong += [f"{len(extra)} clips are not in {META}"] if extra else []
    if other := [device for device in DEVICES if counted[device] != wanted[device]]:
        wrong.append(f"counts of {', '.join(other)} are not those published")
    if part not in tree.train or tree.test is None:
        wrong.append(f"{SPLITS} lacks split{part}.csv or test.csv (from {LISTS})")
    remedy = f"unpack all archives from {ADDRESS} into one folder"
    return Report(
        lines, f"{root} is not as published: {'; '.join(wrong)}: {remedy}" if wrong else ""
    )


def _name(part: int) -> str:
    return NAME if part == 100 else f"{NAME}_{part}"


def _dataset(part: int) -> Dataset:
    scan_part: Callable[[Path], Clips] = partial(scan, part=part)
    check_part: Callable[[Path], Report] = partial(check, part=part)
    share = "" if part == 100 else f", the official {part} % of its training clips"
    return Dataset(
        name=_name(part),
        about="TAU Urban Acoustic Scenes 2022 Mobile: ten scenes, nine devices, slices of 1 s"
        + share,
        folders=(
            "TAU-urban-acoustic-scenes-2022-mobile-development",
            "TAU-urban-acoustic-scenes-2022-mobile",
            "TAU-2022-mobile",
        ),
        classes=10,
        rate=44_100,
        seconds=1.0,
        licence="academic, non-commercial use; see its LICENSE",
        address=ADDRESS,
        scan=scan_part,
        check=check_part,
    )


DATASET, HALF, QUARTER, TENTH, TWENTIETH = (_dataset(part) for part in reversed(PARTS))
