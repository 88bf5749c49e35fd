"""Training clips: how many of those that a split trains on are used, and what they are taught.

Contents: `thinned`, by a fraction or a number of clips per class; `taught`, by true or by random
labels.
"""

# N clips, Y classes

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from scaling import settings
from scaling.seeds import key, stream
from scaling.sound.clip_table import some


def thinned(table: pd.DataFrame, train: np.ndarray, split: settings.Split, seed: int) -> np.ndarray:
    """The rows of `train` that are trained on: split.fraction of all, with each class's share, or
    by chance; or split.clips_per_class of each class.

    A fraction f of N clips is round(f N) clips, halves to even. They are the first of one order,
    which is drawn from the seed and the clips' names: so a smaller fraction is part of a larger
    one, whatever the table's order. In that order the classes take turns such that each of them
    is, wherever it is cut, less than one clip away from its share (`_in_turn`). Source: Hu et al.
    2021's low-resource protocol, whose code draws over all clips. Raises ValueError when a class is
    left without a clip; drawn by chance, that is the protocol's own doing and warned of.
    """
    if split.fraction == 1 and not split.clips_per_class:
        return train
    label, clip = table["label"].to_numpy(dtype=str), table["clip"].tolist()
    order = sorted(train.tolist(), key=lambda row: key(seed, "fraction", clip[row]))
    groups: dict[str, list[int]] = {}
    for row in order:
        groups.setdefault(label[row], []).append(row)
    if n := split.clips_per_class:
        smallest = min(groups, key=lambda y: (len(groups[y]), y))
        if (there := len(groups[smallest])) < n:
            raise ValueError(
                f"split.clips_per_class={n}: class {smallest} has {there} training clips, take at "
                "most as many"
            )
        return np.array(sorted(row for rows in groups.values() for row in rows[:n]), train.dtype)
    wanted = round(split.fraction * len(order))
    if split.by_chance:
        kept = order[:wanted]
    else:
        names = sorted(groups, key=lambda name: key(seed, "fraction", "class", name))
        turns = _in_turn([len(groups[name]) for name in names], wanted)
        kept = [row for name, n in zip(names, turns, strict=True) for row in groups[name][:n]]
    without = sorted(set(label[train]) - set(label[kept]))
    if without and split.by_chance:
        warnings.warn(
            f"split.fraction={split.fraction:g} by chance leaves {len(without)} classes without a "
            f"training clip ({some(without)})",
            stacklevel=2,
        )
    elif without:
        fewest = min(int((label[train] == y).sum()) for y in without)
        raise ValueError(
            f"split.fraction={split.fraction:g} leaves class {some(without)} without a training "
            f"clip: {1 / fewest:.3g} or more keeps one"
        )
    return np.array(sorted(kept), dtype=train.dtype)


def _in_turn(sizes: Sequence[int], total: int) -> list[int]:
    """How many of the first `total` turns each class has, where each gets as many turns as it has
    clips and is never a whole turn away from its share of those that were had.

    Largest remainders would give shares as close, but not nested ones: with one clip more in all, a
    class may get one less. Source: Tijdeman 1980, The chairman assignment problem: the next turn
    goes, of those classes that are due, to the one that must have it soonest. In whole numbers but
    for one correctly rounded division, so that every machine agrees.
    """
    if len(sizes) == 1:
        return [total]
    size_Y, whole, slack = np.array(sizes, dtype=np.int64), sum(sizes), 2 * len(sizes) - 2
    had_Y = np.zeros(len(sizes), dtype=np.int64)
    for turn in range(1, total + 1):
        # times whole x slack: how far behind each is if this turn is not its own
        behind_Y = slack * (size_Y * turn - had_Y * whole)
        due = np.flatnonzero(behind_Y >= whole)
        # turns until it would be too far behind
        left_Y = ((slack - 1) * whole - behind_Y[due]) / size_Y[due]
        had_Y[due[np.argmin(left_Y)]] += 1
    return had_Y.tolist()


def taught(table: pd.DataFrame, train: np.ndarray, split: settings.Split, seed: int) -> np.ndarray:
    """The class index that each training clip is taught, int64 in the order of the rows `train`.

    The table's classes are numbered alphabetically. `true` labels are the table's; `uniform` ones
    are drawn for each clip from the seed and the clip's name, whatever other clips there are;
    `permuted` ones are the training clips' own, shuffled, so that class counts stay. None
    depends on the table's order, or changes with the epoch. Source: Zhang et al. (2017).
    """
    labels, target_N = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    clips = table["clip"].iloc[train].to_numpy(dtype=str)
    targets: np.ndarray = target_N[train].astype(np.int64)
    if split.labels == "uniform":
        drawn = (key(seed, "labels", clip) % len(labels) for clip in clips.tolist())
        return np.fromiter(drawn, dtype=np.int64, count=len(clips))
    if split.labels == "permuted":
        by_name = np.argsort(clips)
        targets[by_name] = stream(seed, "labels").permutation(targets[by_name])
    return targets
