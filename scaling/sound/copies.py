"""Copies: files that hold the same bytes, by which a clip could lie on both sides of a split.

Files of different sizes or different ends hold different bytes, so only those that look alike are
read. Contents: `listed_twice`, `contents`; for splits `joined`, `present` and `torn`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from scaling.sound.checksums import content


def listed_twice(table: pd.DataFrame, path: Callable[[str], Path]) -> list[tuple[int, int]]:
    """Rows that name a file which an earlier row names: pairs of row indices, the earlier first.

    However it is spelled (`./a.wav`, an absolute path) or reached by symbolic links. A hard link is
    a file of its own, whose content is the same.
    """
    first: dict[str, int] = {}
    pairs = []
    for row in _alike(table):
        earlier = first.setdefault(os.path.realpath(path(table["clip"][row])), row)
        if earlier != row:
            pairs.append((earlier, row))
    return pairs


def contents(table: pd.DataFrame, path: Callable[[str], Path]) -> pd.Series:
    """The SHA-256 of each file that holds the same bytes as another; empty for all other rows.

    Raises OSError where one can no longer be read.
    """
    found = pd.Series("", index=table.index, dtype="str")
    for row in _alike(table):
        found[row] = content(path(table["clip"][row]))
    return found.where(found.duplicated(keep=False), "").astype("str")


def joined(groups: pd.Series, table: pd.DataFrame) -> pd.Series:
    """The groups of a table's clips, where groups that share a copy are one, by their first name.

    `groups` names a group for each row. Where no two clips hold the same bytes, all stay as they
    are.
    """
    parent: dict[str, str] = {}

    def top(name: str) -> str:
        while (above := parent.get(name, name)) != name:
            name = above
        return name

    for _, alike in groups[_copied(table)].groupby(table["content"], sort=False):
        one, *others = sorted({top(name) for name in alike})
        parent |= dict.fromkeys(others, one)
    return groups.map(top) if parent else groups


def present(table: pd.DataFrame) -> bool:
    """Whether any two clips of a table hold the same bytes."""
    return bool(_copied(table).any())


def torn(table: pd.DataFrame, train: np.ndarray, held: np.ndarray) -> list[str]:
    """The names of held-out clips that hold the same bytes as a training clip."""
    copied = _copied(table).to_numpy(dtype=bool)
    trained = set(table["content"].iloc[train[copied[train]]])
    held = held[copied[held]]
    return table["clip"].iloc[held][table["content"].iloc[held].isin(trained)].tolist()


def _alike(table: pd.DataFrame) -> list[int]:
    """Rows whose files have the size and both ends of another's; empty files are no recordings."""
    alike = table.duplicated(["size", "fingerprint"], keep=False) & (table["size"] > 0)
    return np.flatnonzero(alike.to_numpy(dtype=bool)).tolist()


def _copied(table: pd.DataFrame) -> pd.Series:
    if "content" not in table:
        return pd.Series(False, index=table.index)
    return (table["content"] != "") & table["content"].duplicated(keep=False)
