"""Splits: which clips train and which are held out.

Conventions: parts are sorted row indices of the clip table and share no clip. `train`, perhaps
`validation`, and what is held out: `test`, or, where it holds devices that are not trained on,
`seen` and `unseen` (devices): those of the held-out fold, or, with split.unseen=all, of all folds,
for no network heard any of them. Validation holds trained devices only: to choose by unseen ones
would leak. Contents: `of_classes`, `make`, `of_device`, `pairs` to hold out pairs of city and
class.
"""

# N clips, Y classes

import math
import warnings

import numpy as np
import pandas as pd

from scaling import settings
from scaling.seeds import stream
from scaling.sound import copies
from scaling.sound.clip_table import UNUSED, some
from scaling.sound.folds import leaking_folds, made_folds, own_folds
from scaling.spelling import nearest


def of_classes(table: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """The rows of these classes, of all where none is named. Raises ValueError for an unknown
    one.
    """
    known = sorted(set(table["label"]))
    for name in classes:
        if name not in known:
            raise ValueError(f"sound.classes={name}: no such class{nearest(name, known)}")
    wanted = table["label"].isin(classes or known)
    return np.flatnonzero(wanted.to_numpy(dtype=bool))


def make(table: pd.DataFrame, split: settings.Split) -> dict[str, np.ndarray]:
    """The parts of a clip table, in the order train, validation, held out.

    Raises ValueError for a fold or a device that is not there, for a class without training clips
    and for a part without clips. Warns when a source lies on both sides.
    """
    side_N = _pair_sides(table, split) if split.protocol == "pairs" else _fold_sides(table, split)
    heard_N = _on_trained_devices(table, split.train_devices)
    held_N = side_N == "test"
    parts = {"train": heard_N & (side_N == "train")}
    if split.validation_fold is not None:
        parts["validation"] = heard_N & (side_N == "validation")
    unseen_N = ~heard_N & (held_N if split.unseen == "fold" else side_N != "unused")
    if unseen_N.any():
        parts |= {"seen": heard_N & held_N, "unseen": unseen_N}
    else:
        parts["test"] = held_N
    rows = {name: np.flatnonzero(part_N) for name, part_N in parts.items()}
    if split.unseen == "all":
        _check_independent(table, rows)
    _check(table, split, rows)
    return rows


def of_device(
    table: pd.DataFrame, parts: dict[str, np.ndarray], device: str
) -> dict[str, np.ndarray]:
    """The parts with one trained device's clips alone; unseen devices stay whole.

    Raises ValueError for a device without clips in a part, or without some class to train on.
    """
    named = table["device"].to_numpy(dtype=str)
    found = {
        name: rows if name == "unseen" else rows[named[rows] == device]
        for name, rows in parts.items()
    }
    known = sorted({*named[parts["train"]].tolist()} - {""})
    stated = f"transfer.device={device}"
    if device not in known:
        hint = nearest(device, known) or ": training clips name none"
        raise ValueError(f"{stated}: no such device{hint}")
    for name, rows in found.items():
        if not len(rows):
            raise ValueError(f"{stated} leaves no clip for {name}: choose another device or fold")
    label = table["label"]
    if untaught := sorted({*label.iloc[parts["train"]]} - {*label.iloc[found["train"]]}):
        raise ValueError(
            f"{stated} leaves class {some(untaught)} without a training clip: choose another device"
        )
    return found


def pairs(table: pd.DataFrame, split: settings.Split) -> pd.DataFrame:
    """Which pairs of city and class are held out: columns city, label, part, one row per pair.

    With cities and classes numbered from 0, in alphabetical order (pairs_seed=0) or in one drawn
    from pairs_seed, a pair is held out when (class + city + fold * k) mod n < k: n cities, of which
    k = round(pairs_share * n) are held out for each class. So every class is tested in k cities,
    and with as many classes as cities every city with k classes; consecutive folds share no pair
    while their k fit into n. Only pairs that the table has are listed; part is train, validation
    (what validation_fold holds out and fold does not) or test. Source of the rule: ours; Koutini et
    al. (2021) say only that each pair is on one side.

    Raises ValueError for a clip without a city, a share that holds no or every city out, and a fold
    that is not there.
    """
    assert split.protocol == "pairs", f"protocol={split.protocol} holds no pairs out"
    without = table.loc[table["city"] == "", "clip"]
    if len(without):
        raise ValueError(
            f"split.protocol=pairs: {len(without)} of {len(table)} clips name no city "
            f"({some(without)}): name it in the table, or choose another protocol"
        )
    cities = _ordered(table["city"], split.pairs_seed, "cities")
    classes = _ordered(table["label"], split.pairs_seed, "classes")
    n = len(cities)
    k = round(split.pairs_share * n)
    if not 0 < k < n:
        raise ValueError(
            f"split.pairs_share={split.pairs_share:g} of {n} cities is {k}: some must be held out "
            "for each class and some left to train on"
        )
    rotations = n // math.gcd(k, n)
    for name in ("fold", "validation_fold"):
        fold = getattr(split, name)
        if fold is not None and fold >= rotations:
            raise ValueError(
                f"split.{name}={fold}: {k} of {n} cities make folds {_ranged([*range(rotations)])}"
            )
    found = table[["city", "label"]].drop_duplicates().sort_values(["city", "label"])
    place = found["label"].map(classes) + found["city"].map(cities)
    part = np.full(len(found), "train", dtype=object)
    if split.validation_fold is not None:
        part[(place + split.validation_fold * k) % n < k] = "validation"
    part[(place + split.fold * k) % n < k] = "test"
    return found.assign(part=part).reset_index(drop=True)


def _fold_sides(table: pd.DataFrame, split: settings.Split) -> np.ndarray:
    """Where each clip's fold puts it: train, validation, test, or unused."""
    own = split.protocol == "folds"
    if own:
        folds_N = own_folds(table)
    else:
        make_folds = leaking_folds if split.protocol == "leaking_folds" else made_folds
        folds_N = make_folds(table, split.folds)
    known = np.unique(folds_N[folds_N != UNUSED]).tolist()
    side_N = np.where(folds_N == UNUSED, "unused", "train").astype(object)
    for name, side in (("fold", "test"), ("validation_fold", "validation")):
        fold = getattr(split, name)
        if fold is not None and fold not in known:
            owner = "this dataset has" if own else "those made are"
            raise ValueError(f"split.{name}={fold}: {owner} folds {_ranged(known)}")
        side_N[folds_N == fold] = side
    return side_N


def _pair_sides(table: pd.DataFrame, split: settings.Split) -> np.ndarray:
    """Where each clip's pair of city and class puts it: train, validation or test."""
    parts = pairs(table, split).set_index(["city", "label"])["part"]
    return parts.loc[pd.MultiIndex.from_frame(table[["city", "label"]])].to_numpy(dtype=object)


def _ordered(words: pd.Series, seed: int, what: str) -> dict[str, int]:
    """The number of every word: in alphabetical order for seed 0, else in one drawn from it."""
    known = np.unique(words.to_numpy(dtype=str))
    if seed:
        known = stream(seed, "pairs", what).permutation(known)
    return {word: number for number, word in enumerate(known.tolist())}


def _on_trained_devices(table: pd.DataFrame, devices: tuple[str, ...]) -> np.ndarray:
    """Whether each clip was recorded by a device that is trained on; no devices: all are."""
    if not devices:
        return np.ones(len(table), dtype=bool)
    known = sorted(set(table["device"]) - {""})
    for device in devices:
        if device not in known:
            hint = nearest(device, known) or ": this dataset names none, leave it empty"
            raise ValueError(f"split.train_devices={device}: no such device{hint}")
    without = table.loc[table["device"] == "", "clip"]
    if len(without):
        raise ValueError(
            f"split.train_devices={','.join(devices)}: {len(without)} clips name no device "
            f"({some(without)}): name it in the table, or leave split.train_devices empty"
        )
    return table["device"].isin(devices).to_numpy(dtype=bool)


def _check_independent(table: pd.DataFrame, rows: dict[str, np.ndarray]) -> None:
    """No clip of an unseen device is of a scene or recording that was trained on."""
    unseen = table.iloc[rows.get("unseen", rows["train"][:0])]
    for column in ("source", "speaker"):
        trained = set(table[column].iloc[rows["train"]]) - {""}
        if len(same := unseen.loc[unseen[column].isin(trained), "clip"]):
            raise ValueError(
                f"split.unseen=all: {len(same)} clips of unseen devices are of {column}s that "
                f"other devices train on ({some(same)}): leave it at fold, where a held-out "
                f"{column} is held out for all devices"
            )


def _check(table: pd.DataFrame, split: settings.Split, rows: dict[str, np.ndarray]) -> None:
    """No part is empty, every class is trained on, no source is on both sides."""
    smaller = ", a smaller split.pairs_share" if split.protocol == "pairs" else ""
    remedy = f"choose another fold{smaller} or other devices"
    for name, part in rows.items():
        if not len(part):
            fold = split.validation_fold if name == "validation" else split.fold
            devices = f" with split.train_devices={','.join(split.train_devices)}"
            raise ValueError(
                f"split.fold={fold}{devices if split.train_devices else ''} leaves no clip for "
                f"{name}: {remedy}"
            )
    label = table["label"]
    if untaught := sorted(set(label) - set(label.iloc[rows["train"]])):
        raise ValueError(
            f"class {some(untaught)} has no training clip with split.fold={split.fold}: "
            f"{remedy}, or leave the class out with sound.classes"
        )
    source = table["source"]
    held_out = np.concatenate([part for name, part in rows.items() if name != "train"])
    if torn := sorted(set(source.iloc[rows["train"]]) & set(source.iloc[held_out]) - {""}):
        warnings.warn(
            f"{len(torn)} sources have clips both in training and held out ({some(torn)}): what is "
            "held out is not new to the network; split.protocol=made_folds keeps sources together",
            stacklevel=3,
        )
    if copied := copies.torn(table, rows["train"], held_out):
        warnings.warn(
            f"{len(copied)} of {len(held_out)} held-out clips hold the same bytes as a training "
            f"clip ({some(copied)}): they are not new to the network; split.protocol=made_folds "
            "keeps copies together",
            stacklevel=3,
        )


def _ranged(folds: list[int]) -> str:
    """`1..5`, or `1, 2, 4` where some are missing."""
    whole = folds == list(range(folds[0], folds[-1] + 1)) and len(folds) > 1
    return f"{folds[0]}..{folds[-1]}" if whole else ", ".join(map(str, folds))
