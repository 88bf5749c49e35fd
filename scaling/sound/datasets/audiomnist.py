"""AudioMNIST: ten digits, sixty speakers, 50 takes of each.

Source: S. Becker et al., AudioMNIST, https://github.com/soerenab/AudioMNIST. Layout:
`data/<speaker 01..60>/<digit>_<speaker>_<take 0..49>.wav`. Conventions: the fold is unknown. Five
folds of 36, 12 and 12 speakers are published, but not who is in which here; made_folds with five
folds holds twelve speakers out as well. Two takes of speaker 36 are published as copies of others.
"""

import filecmp
import re
import warnings
from collections import Counter
from pathlib import Path

import pandas as pd

from scaling.sound.clip_table import some
from scaling.sound.clips import Clips, Dataset, Report, from_files
from scaling.sound.datasets.layout import Layout
from scaling.sound.datasets.published import compare, named

ADDRESS = "https://github.com/soerenab/AudioMNIST"
SPEAKERS = tuple(f"{number:02}" for number in range(1, 61))
TAKES = 50  # of each digit by each speaker
FORM = re.compile(r"data/(?P<speaker>[0-9]{2})/(?P<digit>[0-9])_(?P=speaker)_(?P<take>[0-9]+)\.wav")
# Known since publication: a take, and which it is a copy of.
COPIES = {
    "data/36/3_36_20.wav": "data/36/3_36_19.wav",
    "data/36/3_36_29.wav": "data/36/3_36_28.wav",
}
NO_FOLDS = (
    "the published folds of speakers are not at hand: split.protocol=made_folds with split.folds=5 "
    "holds twelve speakers out"
)


def fields(clip: str) -> dict[str, object]:
    """What a clip's name says: label and speaker. Raises ValueError for another form of name."""
    found = FORM.fullmatch(clip)
    if not found:
        raise ValueError(
            f"{clip} is not named data/<speaker>/<digit>_<speaker>_<take>.wav with the same "
            f"speaker, 01 to 60, twice; audiomnist is the dataset at {ADDRESS}"
        )
    return {"clip": clip, "label": found["digit"], "speaker": found["speaker"]}


def look(root: Path) -> tuple[Layout, list[str]]:
    """Where the clips lie, and their published names. Raises ValueError where there is none."""
    return named(root, "data", 2, FORM.fullmatch, ADDRESS)


def scan(root: Path) -> Clips:
    """All clips, in the order of their names. Warns of takes that are copies of others.

    Raises ValueError as `look` and `fields` do.
    """
    layout, names = look(root)
    rows = [fields(clip) for clip in names]
    clips = from_files("audiomnist", layout.root, rows, layout.moved, layout.words)
    if copies := _copies(clips.table):
        warnings.warn(
            f"{len(copies)} clips are copies of another take and are kept: "
            f"{some(f'{clip} of {first}' for clip, first in copies.items())}",
            stacklevel=2,
        )
    return clips


def check(root: Path) -> Report:
    """Clips of each speaker and digit against those published, and the takes known to be copies.

    Raises ValueError as `scan` does.
    """
    layout, clips = look(root)
    rows = [fields(clip) for clip in clips]
    wanted = {
        f"data/{speaker}/{digit}_{speaker}_{take}.wav"
        for speaker in SPEAKERS
        for digit in range(10)
        for take in range(TAKES)
    }
    digits = Counter(row["label"] for row in rows)
    speakers = Counter(row["speaker"] for row in rows)
    whole = sum(count == 10 * TAKES for count in speakers.values())
    counts = {
        "clips": (len(rows), len(wanted)),
        "speakers": (len(speakers), len(SPEAKERS)),
        "speakers with 500 clips": (whole, len(SPEAKERS)),
    }
    for digit in map(str, range(10)):
        counts[f"digit {digit}"] = (digits[digit], len(SPEAKERS) * TAKES)
    notes = [NO_FOLDS]
    for clip, first in COPIES.items():
        if clip in clips and first in clips:
            copy, original = (layout.root / layout.places[name] for name in (clip, first))
            same = filecmp.cmp(copy, original, shallow=False)
            notes.append(f"{clip} {'is a copy' if same else 'is known as a copy'} of {first}")
    remedy = f"unpack the archive of {ADDRESS} again"
    return compare(root, counts, wanted - set(clips), set(clips) - wanted, remedy, notes)


def _copies(table: pd.DataFrame) -> dict[str, str]:
    """Each clip that has the size and fingerprint of an earlier one, with that one."""
    first: dict[tuple[int, str], str] = {}
    found = {}
    for clip, size, mark in zip(table["clip"], table["size"], table["fingerprint"], strict=True):
        earlier = first.setdefault((size, mark), clip)
        if earlier != clip:
            found[clip] = earlier
    return found


DATASET = Dataset(
    name="audiomnist",
    about="AudioMNIST: ten digits, sixty speakers; 30000 clips",
    folders=("AudioMNIST", "AudioMNIST-master"),
    classes=10,
    rate=48_000,
    seconds=0.64,
    licence="MIT",
    address=ADDRESS,
    scan=scan,
    check=check,
)
