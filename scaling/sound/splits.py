"""Splits: which clips train and which are held out.

Conventions: parts are sorted row indices of the clip table and share no clip. `train`, perhaps
`validation`, and what is held out: `test`, or, where it holds devices that are not trained on,
`seen` and `unseen` (devices). Validation holds trained devices only: to choose by unseen ones would
leak. Contents: `make`, and `made_folds` where a dataset has no folds of its own.
"""

# G groups of clips, Y classes

import math
import warnings

import numpy as np
import pandas as pd

from scaling import config
from scaling.seeds import key
from scaling.sound.clips import some

# Made folds depend on the clips alone, not on a trial's seed: all trials of a study share them, so
# that its folds are one cross-validation.
SEED = 0


def make(table: pd.DataFrame, split: config.Split) -> dict[str, np.ndarray]:
    """The parts of a clip table, in the order train, validation, held out.

    Raises ValueError for a fold or a device that is not there, for a class without training clips
    and for a part without clips. Warns when a source lies on both sides.
    """
    own = split.protocol == "folds"
    folds_N = _own_folds(table) if own else made_folds(table, split.folds)
    known = np.unique(folds_N).tolist()
    for name in ("fold", "validation_fold"):
        fold = getattr(split, name)
        if fold is not None and fold not in known:
            owner = "this dataset has" if own else "those made are"
            raise ValueError(f"split.{name}={fold}: {owner} folds {_ranged(known)}")
    heard_N = _on_trained_devices(table, split.train_devices)
    held_N, validation_N = folds_N == split.fold, folds_N == split.validation_fold
    parts = {"train": heard_N & ~held_N & ~validation_N}
    if split.validation_fold is not None:
        parts["validation"] = heard_N & validation_N
    if heard_N[held_N].all():
        parts["test"] = held_N
    else:
        parts |= {"seen": heard_N & held_N, "unseen": ~heard_N & held_N}
    rows = {name: np.flatnonzero(part_N) for name, part_N in parts.items()}
    _check(table, split, rows)
    return rows


def made_folds(table: pd.DataFrame, folds: int) -> np.ndarray:
    """Fold 1..folds of every clip: each class spread evenly, and what belongs together in one fold.

    Clips of one source belong together, else those of one speaker. Group by group, the largest
    first and equal ones in an order drawn from their names, each goes where its classes are
    scarcest. No library: its next version would move clips between the folds of a trial's id.
    """
    source, speaker = "source " + table["source"], "speaker " + table["speaker"]
    alone = "clip " + table["clip"]
    together = source.where(table["source"] != "", speaker.where(table["speaker"] != "", alone))
    groups, group_N = np.unique(together.to_numpy(dtype=str), return_inverse=True)
    names = groups.tolist()
    labels, label_N = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    counts_GY = np.zeros((len(groups), len(labels)), dtype=np.int64)
    np.add.at(counts_GY, (group_N, label_N), 1)
    totals_Y = counts_GY.sum(axis=0)
    if (fewest := int(totals_Y.min())) < folds:
        label = labels[totals_Y.argmin()]
        raise ValueError(f"split.folds={folds}: class {label} has {fewest} clips, make fewer folds")
    if len(groups) < folds:
        raise ValueError(
            f"split.folds={folds}: all clips come from {len(groups)} sources or speakers, "
            "each of which stays in one fold: make fewer folds"
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


def _own_folds(table: pd.DataFrame) -> np.ndarray:
    """The dataset's own fold of every clip."""
    without = table.loc[table["fold"].isna(), "clip"]
    if len(without):
        raise ValueError(
            f"split.protocol=folds: {len(without)} of {len(table)} clips have no fold "
            f"({some(without)}): split.protocol=made_folds with split.folds=5 makes folds"
        )
    return table["fold"].to_numpy(dtype=np.int64)


def _on_trained_devices(table: pd.DataFrame, devices: tuple[str, ...]) -> np.ndarray:
    """Whether each clip was recorded by a device that is trained on; no devices: all are."""
    if not devices:
        return np.ones(len(table), dtype=bool)
    known = sorted(set(table["device"]) - {""})
    for device in devices:
        if device not in known:
            hint = config.nearest(device, known) or ": this dataset names none, leave it empty"
            raise ValueError(f"split.train_devices={device}: no such device{hint}")
    without = table.loc[table["device"] == "", "clip"]
    if len(without):
        raise ValueError(
            f"split.train_devices={','.join(devices)}: {len(without)} clips name no device "
            f"({some(without)}): name it in the table, or leave split.train_devices empty"
        )
    return table["device"].isin(devices).to_numpy(dtype=bool)


def _check(table: pd.DataFrame, split: config.Split, rows: dict[str, np.ndarray]) -> None:
    """No part is empty, every class is trained on, no source is on both sides."""
    for name, part in rows.items():
        if not len(part):
            fold = split.validation_fold if name == "validation" else split.fold
            devices = f" with split.train_devices={','.join(split.train_devices)}"
            raise ValueError(
                f"split.fold={fold}{devices if split.train_devices else ''} leaves no clip for "
                f"{name}: choose another fold or other devices"
            )
    label = table["label"]
    if untaught := sorted(set(label) - set(label.iloc[rows["train"]])):
        raise ValueError(
            f"class {some(untaught)} has no training clip with split.fold={split.fold}: "
            "choose another fold or other devices, or leave its clips out of the table"
        )
    source = table["source"]
    held = source.iloc[np.concatenate([part for name, part in rows.items() if name != "train"])]
    if torn := sorted(set(source.iloc[rows["train"]]) & set(held) - {""}):
        warnings.warn(
            f"{len(torn)} sources have clips both in training and held out ({some(torn)}): what is "
            "held out is not new to the network; split.protocol=made_folds keeps sources together",
            stacklevel=3,
        )


def _ranged(folds: list[int]) -> str:
    """`1..5`, or `1, 2, 4` where some are missing."""
    whole = folds == list(range(folds[0], folds[-1] + 1)) and len(folds) > 1
    return f"{folds[0]}..{folds[-1]}" if whole else ", ".join(map(str, folds))
