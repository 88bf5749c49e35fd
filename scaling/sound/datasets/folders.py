"""The user's own clips, sorted into folders: root/<label>/<any depth>/<sound files>.

Hidden files and folders are skipped. What is sound is told by `signatures`; what is none, or lies
in no label's folder, is counted in a warning. A label whose recordings none can read is refused,
since it would vanish.
"""

import warnings
from pathlib import Path

from scaling.sound.clip_table import some
from scaling.sound.clips import Clips, Dataset, from_files
from scaling.sound.datasets.signatures import ENDINGS, kind
from scaling.sound.datasets.tree import Tree, walk


def scan(root: Path) -> Clips:
    """The sound files below `root`, in the order of their paths; the first folder is the label.

    Raises ValueError where there is none, for names that are not UTF-8, a folder or file that
    cannot be read, and a label of which no file can.
    """
    if not root.is_dir():
        raise ValueError(f"{root} is no folder: name the one that holds a folder for each label")
    tree = walk(root)
    if tree.unnamed:
        raise ValueError(
            f"names below {root} that are not UTF-8: {some(tree.unnamed)}: rename them "
            "(convmv does many at once)"
        )
    names, foreign, others = _sorted(root, tree)
    _check_labels(root, tree, names, foreign)
    if not names:
        raise ValueError(
            f"no clips found below {root}: sound files ({', '.join(sorted(ENDINGS))}) "
            "belong in one folder for each label"
        )
    left_out = [
        ("no sound in a label's folder", others),
        ("sound of a format that is not read (convert it to wav or flac)", foreign),
        *tree.odd(),
    ]
    for what, files in left_out:
        if files:
            warnings.warn(
                f"left out below {root}, as {what}: {some(files)}",
                stacklevel=2,
            )
    return from_files("folders", root, [{"clip": name, "label": _label(name)} for name in names])


def _sorted(root: Path, tree: Tree) -> tuple[list[str], list[str], list[str]]:
    """Clips, sound that is not read, and all other files."""
    parts: dict[str, list[str]] = {"sound": [], "foreign": [], "other": []}
    for name in tree.files:
        try:
            found = kind(root / name) if "/" in name else "other"
        except OSError as error:
            raise ValueError(
                f"{root / name} cannot be read ({error.strerror}): give yourself the right to read "
                "it (chmod u+r), or take it out of the dataset"
            ) from None
        parts[found].append(name)
    return parts["sound"], parts["foreign"], parts["other"]


def _check_labels(root: Path, tree: Tree, names: list[str], foreign: list[str]) -> None:
    """Raises ValueError for a label that no clip would have; warns of folders that are none."""
    labels = {_label(name) for name in names}
    lost = sorted({_label(name) for name in foreign} - labels)
    if lost:
        files = [name for name in foreign if _label(name) in lost]
        raise ValueError(
            f"no recording of label {some(lost)} below {root} can be read ({some(files)}): convert "
            "them to wav or flac (ffmpeg -i IN OUT.wav), or take the folder out"
        )
    empty = sorted({_label(folder) for folder in tree.folders} - labels)
    if empty and labels:
        warnings.warn(
            f"folders in {root} without sound, which are no labels: {some(empty)}",
            stacklevel=3,
        )


def _label(name: str) -> str:
    return name.partition("/")[0]


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
