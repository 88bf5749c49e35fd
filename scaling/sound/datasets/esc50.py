"""ESC-50 and its subset ESC-10: environmental sounds, 40 clips of 5 s in each class, 5 folds.

Source: K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015.
Layout: `audio/<file>` and `meta/esc50.csv` (filename, fold, target, category, esc10, src_file,
take). Clips cut from one recording (src_file) lie in one fold. ESC-10 is read from an ESC-50 tree
(rows with esc10 = True) or from a tree of its own.
"""

from pathlib import Path

import pandas as pd

from scaling.sound.clips import Clips, Dataset, from_files

COLUMNS = {"filename": "clip", "category": "label", "fold": "fold", "src_file": "source"}


def read(root: Path) -> pd.DataFrame:
    """All rows of the table below `root`, as text. Raises ValueError when it cannot be read."""
    path = root / "meta" / "esc50.csv"
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({str(error).splitlines()[0]}): "
            "name the folder that holds audio/ and meta/ with --root"
        ) from None
    if missing := [name for name in (*COLUMNS, "esc10") if name not in rows]:
        raise ValueError(f"{path} has no column {missing[0]}: it is not the table of ESC-50")
    return rows


def scan(root: Path) -> Clips:
    """All clips of an ESC-50 tree."""
    return _clips("esc50", root, read(root))


def scan_ten(root: Path) -> Clips:
    """The clips of ESC-10."""
    rows = read(root)
    return _clips("esc10", root, rows[rows["esc10"] == "True"])


def _clips(name: str, root: Path, rows: pd.DataFrame) -> Clips:
    rows = rows[list(COLUMNS)].rename(columns=COLUMNS)
    return from_files(name, root, rows.assign(clip="audio/" + rows["clip"]))


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
