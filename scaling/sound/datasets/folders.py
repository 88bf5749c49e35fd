"""The user's own clips, sorted into folders: root/<label>/<any depth>/<sound files>.

Hidden files and folders are skipped; files that are no sound, or lie in no label's folder, are
counted in one warning.
"""

import os
import warnings
from pathlib import Path

from scaling.sound.clips import Clips, Dataset, from_files, some

# Endings of what libsndfile reads and people collect.
ENDINGS = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
)


def scan(root: Path) -> Clips:
    """The sound files below `root`, in the order of their paths; the first folder is the label.

    Raises ValueError where there is none.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is no folder: name the one that holds a folder for each label")
    names: list[str] = []
    others: list[str] = []
    for folder, below, files in os.walk(root, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        for name in files:
            path = (Path(folder) / name).relative_to(root)
            if name.startswith("."):
                continue
            sound = path.suffix.lower() in ENDINGS and len(path.parts) > 1
            (names if sound else others).append(path.as_posix())
    if not names:
        raise ValueError(
            f"no clips found below {root}: sound files ({', '.join(sorted(ENDINGS))}) "
            "belong into one folder for each label"
        )
    if others:
        warnings.warn(
            f"{len(others)} files below {root} are no sound in a label's folder and are left out: "
            f"{some(sorted(others))}",
            stacklevel=2,
        )
    rows = [{"clip": name, "label": name.split("/")[0]} for name in sorted(names)]
    return from_files("folders", root, rows)


DATASET = Dataset(
    name="folders",
    about="your own clips, sorted into one folder for each label",
    folders=(),
    classes=None,
    rate=None,
    seconds=None,
    licence="yours",
    address="your own files",
    scan=scan,
)
