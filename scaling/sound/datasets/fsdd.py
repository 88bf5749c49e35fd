"""Free Spoken Digit Dataset: ten digits, six speakers, 50 takes of each.

Source: https://github.com/Jakobovski/free-spoken-digit-dataset. What Hu et al. (2021) call
Audio-MNIST: the features in their code match these recordings, not those of AudioMNIST. Layout:
`recordings/<digit>_<speaker>_<take>.wav`. Conventions: the official fold holds takes 0 to 4 out as
fold 1 and trains on fold 0, so that all speakers are on both sides; split.protocol=made_folds keeps
each speaker on one.
"""

import re
from collections import Counter
from pathlib import Path

from scaling.sound.clips import Clips, Dataset, Report, from_files
from scaling.sound.datasets.layout import Layout
from scaling.sound.datasets.published import compare, named

ADDRESS = "https://github.com/Jakobovski/free-spoken-digit-dataset"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TAKES, TEST_TAKES = 50, 5  # of each digit by each speaker; the first ones are the test
FORM = re.compile(r"recordings/(?P<digit>[0-9])_(?P<speaker>[a-zA-Z]+)_(?P<take>[0-9]+)\.wav")


def fields(clip: str) -> dict[str, object]:
    """What a clip's name says: label, speaker, fold. Raises ValueError for another form of name."""
    found = FORM.fullmatch(clip)
    if not found:
        raise ValueError(
            f"{clip} is not named recordings/<digit>_<speaker>_<take>.wav; fsdd is the Free Spoken "
            f"Digit Dataset at {ADDRESS}"
        )
    fold = int(int(found["take"]) < TEST_TAKES)
    return {"clip": clip, "label": found["digit"], "speaker": found["speaker"], "fold": fold}


def look(root: Path) -> tuple[Layout, list[str]]:
    """Where the recordings lie; their published names. Raises ValueError where there is none."""
    return named(root, "recordings", 1, FORM.fullmatch, ADDRESS)


def scan(root: Path) -> Clips:
    """All recordings, in the order of their names. Raises ValueError as `look` and `fields` do."""
    layout, clips = look(root)
    rows = [fields(clip) for clip in clips]
    return from_files("fsdd", layout.root, rows, layout.moved, layout.words)


def check(root: Path) -> Report:
    """Recordings of each speaker and part against those published. Raises as `scan` does."""
    _, clips = look(root)
    rows = [fields(clip) for clip in clips]
    wanted = {
        f"recordings/{digit}_{speaker}_{take}.wav"
        for digit in range(10)
        for speaker in SPEAKERS
        for take in range(TAKES)
    }
    speakers = Counter(row["speaker"] for row in rows)
    test = sum(row["fold"] == 1 for row in rows)
    each = 10 * len(SPEAKERS)
    counts = {"recordings": (len(rows), each * TAKES)}
    counts |= {speaker: (speakers[speaker], 10 * TAKES) for speaker in SPEAKERS}
    counts["training (fold 0)"] = (len(rows) - test, each * (TAKES - TEST_TAKES))
    counts["test (fold 1)"] = (test, each * TEST_TAKES)
    remedy = f"unpack the archive of {ADDRESS} again"
    return compare(root, counts, wanted - set(clips), set(clips) - wanted, remedy)


DATASET = Dataset(
    name="fsdd",
    about="Free Spoken Digit Dataset: ten digits, six speakers; 3000 clips",
    folders=("free-spoken-digit-dataset", "free-spoken-digit-dataset-master", "FSDD"),
    classes=10,
    rate=8000,
    seconds=0.44,
    licence="CC BY-SA 4.0",
    address=ADDRESS,
    scan=scan,
    check=check,
)
