"""TESS, Toronto emotional speech set: 200 words in seven emotions, spoken by two actresses.

Source: M. K. Pichora-Fuller, K. Dupuis, doi 10.5683/SP2/E8H2MF. Layout: sound files at any depth,
named `<OAF|YAF>_<word>_<emotion>.wav`. Conventions: the label is the emotion (ps: pleasant
surprise), the speaker the actress. Each file is a recording of its own, so the source is unknown:
folds made from words would put both actresses on both sides. There is no official fold; made_folds
with two folds holds one actress out. A clip that lies in several folders is one clip.
"""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from scaling.sound.clip_table import some
from scaling.sound.clips import Clips, Dataset, Report, fingerprint, from_files
from scaling.sound.datasets.published import compare, lower_ending, none_found, wavs
from scaling.sound.datasets.tree import walk

ADDRESS = "https://doi.org/10.5683/SP2/E8H2MF"
ACTRESSES = ("OAF", "YAF")  # 64 and 26 years old
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
WORDS = 200
FORM = re.compile(rf"({'|'.join(ACTRESSES)})_([a-z]+)_({'|'.join(EMOTIONS)})\.wav")
MISNAMED = {"OA_bite_neutral.wav": "OAF_bite_neutral.wav"}  # as published: as meant


class TessTree(NamedTuple):
    """What lies below a root."""

    places: dict[str, str]  # the name of each clip, sorted, and where it lies
    misnamed: list[str]  # the places of those that are misnamed
    copies: list[str]  # places of further copies


def fields(name: str) -> dict[str, object]:
    """What a file's name says: label, speaker, word. Raises ValueError for another form of name."""
    found = FORM.fullmatch(name)
    if not found:
        raise ValueError(
            f"{name} is not named <OAF|YAF>_<word>_<emotion>.wav with an emotion of "
            f"{', '.join(EMOTIONS)}; tess is the Toronto emotional speech set at {ADDRESS}"
        )
    return {"speaker": found[1], "word": found[2], "label": found[3]}


def look(root: Path) -> TessTree:
    """Every clip below `root`, once: where it lies least deep.

    Raises ValueError where there is none, for a name of another form, and for two files that bear
    one name and differ.
    """
    found: dict[str, list[str]] = {}
    for place in wavs(walk(root).files):
        file = lower_ending(place).rpartition("/")[2]
        name = MISNAMED.get(file, file)
        fields(name)
        found.setdefault(name, []).append(place)
    if not found:
        raise none_found(root, "**/*.wav", ADDRESS)
    places = {}
    copies = []
    for name, every in sorted(found.items()):
        first, *others = sorted(every, key=lambda place: (place.count("/"), place))
        for other in others:
            if fingerprint(root / other) != fingerprint(root / first):
                raise ValueError(
                    f"{first} and {other} below {root} bear one name and differ: take one of the "
                    "two out of the folder"
                )
        places[name] = first
        copies += others
    misnamed = [
        place for place in places.values() if lower_ending(place).rpartition("/")[2] in MISNAMED
    ]
    return TessTree(places, misnamed, copies)


def scan(root: Path) -> Clips:
    """All clips, in the order of their names. Warns of what is misnamed and of further copies.

    Raises ValueError as `look` does.
    """
    tree = look(root)
    if tree.misnamed:
        warnings.warn(
            f"{len(tree.misnamed)} clips are misnamed, as published, and are taken for what is "
            f"meant: {some(tree.misnamed)}",
            stacklevel=2,
        )
    if tree.copies:
        warnings.warn(
            f"{len(tree.copies)} files below {root} are further copies of clips and are left out: "
            f"{some(tree.copies)}",
            stacklevel=2,
        )
    rows = []
    for name, place in tree.places.items():
        said = fields(name)
        rows.append({"clip": place, "label": said["label"], "speaker": said["speaker"]})
    return from_files("tess", root, rows)


def check(root: Path) -> Report:
    """Clips of each actress and emotion, and words, against those published.

    What is missing is told from the words that are there. Raises ValueError as `look` does.
    """
    tree = look(root)
    rows = [fields(name) for name in tree.places]
    words = {row["word"] for row in rows}
    wanted = {f"{who}_{word}_{how}.wav" for who in ACTRESSES for word in words for how in EMOTIONS}
    of = Counter((row["speaker"], row["label"]) for row in rows)
    counts = {
        "clips": (len(rows), WORDS * len(ACTRESSES) * len(EMOTIONS)),
        "words": (len(words), WORDS),
        **{f"{who} {how}": (of[who, how], WORDS) for who in ACTRESSES for how in EMOTIONS},
    }
    notes = [f"misnamed, as published: {place}" for place in tree.misnamed]
    notes += [f"further copies, left out: {len(tree.copies)}"] if tree.copies else []
    remedy = f"unpack the archives of {ADDRESS} again"
    return compare(root, counts, wanted - set(tree.places), (), remedy, notes)


DATASET = Dataset(
    name="tess",
    about="Toronto emotional speech set: seven emotions, two actresses; 2800 clips",
    folders=("TESS", "TESS Toronto emotional speech set data"),
    classes=7,
    rate=24_414,  # some copies say 24,400
    seconds=2.0,
    licence="CC BY-NC-ND 4.0",
    address=ADDRESS,
    scan=scan,
    check=check,
)
