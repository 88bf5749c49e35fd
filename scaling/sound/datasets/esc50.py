"""ESC-50 and its subset ESC-10: environmental sounds, 40 clips of 5 s in each class, 5 folds.

Source: K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015.
Layout: `audio/<file>` and `meta/esc50.csv` (filename, fold, target, category, esc10, src_file,
take). Clips cut from one recording (src_file) lie in one fold. ESC-10 is read from an ESC-50 tree
(rows with esc10 = True) or from a tree of its own.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from scaling.sound.clips import Clips, Dataset, from_files
from scaling.sound.datasets.layout import find_table, joined, locate, of_table
from scaling.sound.datasets.tables import read_published
from scaling.sound.datasets.tree import walk

META = "meta/esc50.csv"
COLUMNS = {"filename": "clip", "category": "label", "fold": "fold", "src_file": "source"}
# As published, and as spreadsheets of some languages save it.
YES, NO = re.compile(r"true|1(\.0)?|wahr|vrai"), re.compile(r"false|0(\.0)?|falsch|faux")


def read(path: Path) -> pd.DataFrame:
    """All rows of the table, as text. Raises ValueError when it cannot be read."""
    remedy = "name the folder that holds audio/ and meta/ with --root"
    return read_published(path, (*COLUMNS, "esc10"), "the table of ESC-50", remedy)


def scan(root: Path) -> Clips:
    """All clips of an ESC-50 tree."""
    return _clips("esc50", root, lambda rows, _: rows)


def scan_ten(root: Path) -> Clips:
    """The clips of ESC-10. Raises ValueError for a row that does not say whether it is one."""
    return _clips("esc10", root, ten)


def ten(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows of ESC-10, whichever way their column esc10 says so."""
    words = rows["esc10"].str.strip().str.lower()
    chosen = words.str.fullmatch(YES)
    unclear = np.flatnonzero(~chosen & ~words.str.fullmatch(NO))
    if len(unclear):
        row = int(unclear[0])
        raise ValueError(
            f"{path}: esc10={rows['esc10'].iloc[row]} in row {row + 1} is neither True nor False: "
            "take the table from the archive again"
        )
    return rows[chosen]


def _clips(name: str, root: Path, choose: Callable[[pd.DataFrame, Path], pd.DataFrame]) -> Clips:
    files = walk(root).files
    place = find_table(files, META) or META
    rows = choose(read(root / place), root / place)
    rows = rows[list(COLUMNS)].rename(columns=COLUMNS)
    tails = {clip.casefold(): clip for clip in rows["clip"]}
    found = locate(root, files, "audio", 1, lambda tail: tails.get(tail.casefold()))
    words = joined(of_table(place, META), found.words)
    rows = rows.assign(clip="audio/" + rows["clip"])
    return from_files(name, found.root, rows, found.moved, words)


FOLDERS = ("ESC-50", "ESC-50-master")  # as cloned, as unpacked from GitHub's archive

ESC50 = Dataset(
    name="esc50",
    about="environmental sounds: animals, nature, people, indoors, streets; 2000 clips",
    folders=FOLDERS,
    classes=50,
    rate=44_100,
    seconds=5.0,
    licence="CC BY-NC 3.0",
    address="https://github.com/karolpiczak/ESC-50",
    scan=scan,
)
ESC10 = ESC50._replace(
    name="esc10",
    about="ten classes of ESC-50 that are easily told apart; 400 clips",
    folders=("ESC-10", *FOLDERS),
    classes=10,
    licence="CC BY 3.0",
    scan=scan_ten,
)
