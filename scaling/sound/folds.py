"""Folds: to which part of a cross-validation each clip belongs.

A dataset has its own, or they are made here from the clips alone. Conventions: folds are numbered
from 1 where they are made; UNUSED clips are in none. Contents: `own_folds`, `made_folds`,
`leaking_folds`.
"""

# G groups of clips, Y classes

import math

import numpy as np
import pandas as pd

from scaling.seeds import key, stream
from scaling.sound import copies
from scaling.sound.clip_table import some

# Made folds depend on the clips alone, not on a trial's seed: all trials of a study share them, so
# that its folds are one cross-validation.
SEED = 0


def own_folds(table: pd.DataFrame) -> np.ndarray:
    """The dataset's own fold of every clip."""
    without = table.loc[table["fold"].isna(), "clip"]
    if len(without):
        raise ValueError(
            f"split.protocol=folds: {len(without)} of {len(table)} clips have no fold "
            f"({some(without)}): split.protocol=made_folds with split.folds=5 makes folds"
        )
    return table["fold"].to_numpy(dtype=np.int64)


def made_folds(table: pd.DataFrame, folds: int) -> np.ndarray:
    """Fold 1..folds of every clip: each class spread evenly, and what belongs together in one fold.

    Clips of one source belong together, else those of one speaker; and so do clips that hold the
    same bytes, with all that belongs to either. Group by group, the largest
    first and equal ones in an order drawn from their names, each goes where its classes are
    scarcest. No library: its next version would move clips between the folds of a trial's id.
    """
    source, speaker = "source " + table["source"], "speaker " + table["speaker"]
    alone = "clip " + table["clip"]
    together = source.where(table["source"] != "", speaker.where(table["speaker"] != "", alone))
    together = copies.joined(together, table)
    groups, group_N = np.unique(together.to_numpy(dtype=str), return_inverse=True)
    names = groups.tolist()
    labels, label_N = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    counts_GY = np.zeros((len(groups), len(labels)), dtype=np.int64)
    np.add.at(counts_GY, (group_N, label_N), 1)
    totals_Y = counts_GY.sum(axis=0)
    if (fewest := int(totals_Y.min())) < folds:
        label, clips = labels[totals_Y.argmin()], "1 clip" if fewest == 1 else f"{fewest} clips"
        fewer = f"make {fewest} folds at most, or " if fewest > 1 else ""
        raise ValueError(
            f"split.folds={folds}: class {label} has only {clips}: {fewer}leave the class out with "
            "sound.classes=..., which names the others, or record more of it"
        )
    if len(groups) < folds:
        raise ValueError(
            f"split.folds={folds}: all clips come from {len(groups)} sources or speakers, "
            "each of which stays in one fold: "
            + (f"make {len(groups)} folds at most" if len(groups) > 1 else "record more of them")
        )
    sizes_G = counts_GY.sum(axis=1)
    order = sorted(range(len(groups)), key=lambda g: (-sizes_G[g], key(SEED, "folds", names[g])))
    loads = [[0] * len(labels) for _ in range(folds)]
    sizes = [0] * folds
    fold_G = np.zeros(len(groups), dtype=np.int64)
    for group in order:
        classes = np.flatnonzero(counts_GY[group]).tolist()
        shares = {y: int(counts_GY[group, y]) / int(totals_Y[y]) ** 2 for y in classes}

        def crowding(fold: int, shares: dict[int, float] = shares) -> tuple[float, int, int]:
            # fsum is exact: equal crowds are equal on every machine, whatever their order
            return math.fsum(loads[fold][y] * w for y, w in shares.items()), sizes[fold], fold

        best = min(range(folds), key=crowding)
        fold_G[group] = best + 1
        sizes[best] += int(sizes_G[group])
        for y in classes:
            loads[best][y] += int(counts_GY[group, y])
    return fold_G[group_N]


def leaking_folds(table: pd.DataFrame, folds: int) -> np.ndarray:
    """Fold 1..folds of every clip by chance alone: clips of one source, or speaker, fall apart.

    What several papers did (Hu et al. 2021); named for what it does, and for comparison only.
    """
    if len(table) < folds:
        raise ValueError(
            f"split.folds={folds}: there are {len(table)} clips, make {len(table)} folds at most"
        )
    fold_N = np.empty(len(table), dtype=np.int64)
    by_name = np.argsort(table["clip"].to_numpy(dtype=str))
    fold_N[stream(SEED, "leaking folds").permutation(by_name)] = np.arange(len(table)) % folds + 1
    return fold_N
