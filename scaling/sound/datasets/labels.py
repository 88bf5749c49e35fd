"""Labels that nobody meant: what looks like a slip among the labels of a person's own data.

Contents: `doubtful`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable

from scaling.sound.clip_table import some

PARTS = frozenset(
    (
        *("train", "training", "test", "testing", "val", "valid", "validation"),
        *("dev", "eval", "evaluation"),
    )
)
FOLD = re.compile(r"(fold|split|part)[-_ ]?[0-9]+", re.IGNORECASE)


def doubtful(labels: Iterable[str]) -> list[str]:
    """One line, with the remedy, for each kind of label that is probably not one class."""
    names = sorted(set(labels))
    lines = []
    alike = defaultdict(list)
    for name in names:
        alike[" ".join(name.casefold().split())].append(name)
    if twice := [same for same in alike.values() if len(same) > 1]:
        shown = some(" and ".join(map(repr, same)) for same in twice)
        lines.append(
            f"labels that differ in capitals or spaces alone are classes of their own: {shown}: "
            "write them alike if they are one"
        )
    # `train` alone may be a vehicle
    parts = [name for name in names if name.strip().casefold() in PARTS]
    folds = [name for name in names if FOLD.fullmatch(name.strip())]
    if (len(parts) > 1 or folds) and (found := sorted({*parts, *folds})):
        lines.append(
            f"labels {some(found)} look like parts of a split, not like classes: name one of these "
            "folders with --root, or list path, label and fold in a manifest"
        )
    if noise := [name for name in names if re.fullmatch(r"_.+_", name.strip())]:
        lines.append(
            f"label {some(noise)} looks like a folder of background noise, as in Speech Commands, "
            "and is trained as a class: list the others in sound.classes, or move it out"
        )
    return lines
