"""A fraction of the training clips is that fraction: exact, of each class, nested; on the tables of
all datasets.
"""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scaling.settings import Split
from scaling.sound.clip_table import table
from scaling.sound.datasets import scan
from scaling.sound.splits import make
from scaling.sound.training_clips import _in_turn, thinned

FRACTIONS = (0.01, 0.02, 0.05, 0.1, 1 / 7, 0.2, 0.3, 0.5, 0.77, 0.9, 0.999, 1.0)
METADATA = Path(os.environ.get("OVERHEAR_DATA", "data")) / "metadata"
FILES = {
    "urbansound8k": ("UrbanSound8K.csv", {"sep": ","}, "slice_file_name", "class"),
    "tut2017": (
        "TUT-acoustic-scenes-2017-development.meta.txt",
        {"sep": "\t", "names": ["clip", "label", "source"]},
        "clip",
        "label",
    ),
    "tau2020": (
        "TAU-2020-mobile-v1-fold1_train.csv",
        {"sep": "\t"},
        "filename",
        "scene_label",
    ),
}


def classes(sizes: list[int], fold: Callable[[int], int]) -> pd.DataFrame:
    """As many classes of these sizes."""
    return table(
        {"clip": f"{y}-{n}", "label": str(y), "fold": fold(n)}
        for y, size in enumerate(sizes)
        for n in range(size)
    )


def clips_of(name: str, request: pytest.FixtureRequest) -> pd.DataFrame:
    """The clip table of a dataset, in five folds or its own."""
    if name == "esc10":
        return scan("esc10", request.getfixturevalue("esc10")).table
    if name == "synthetic":
        return scan("synthetic").table
    if name == "esc50":  # as published: 50 classes of 40 clips in five folds
        return classes([40] * 50, lambda n: n % 5 + 1)
    if name == "uneven":
        return classes([3, 5, 40, 41, 200, 997], lambda n: 2 - (n == 0))
    file, read, clip, label = FILES[name]
    if not (METADATA / file).exists():
        pytest.skip(f"{file} is not here: set OVERHEAR_DATA to the folder above metadata")
    found = pd.read_csv(METADATA / file, **read)
    rows = pd.DataFrame({"clip": found[clip], "label": found[label]})
    return table(rows.assign(fold=np.arange(len(rows)) % 5 + 1))


@pytest.fixture(params=["esc10", "esc50", "synthetic", "uneven", *FILES])
def clips(request: pytest.FixtureRequest) -> pd.DataFrame:
    return clips_of(request.param, request)


def part_of(clips: pd.DataFrame, train: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    split = Split(protocol="folds", fold=1, fraction=fraction)
    return thinned(clips, train, split, seed)


@pytest.mark.parametrize("seed", [0, 1])
def test_fractions_are_exact_of_each_class_and_nested(clips: pd.DataFrame, seed: int):
    train = make(clips, Split(protocol="folds", fold=1))["train"]
    label = clips["label"].to_numpy(dtype=str)
    sizes = pd.Series(label[train]).value_counts()
    smaller: set[int] = set()
    for fraction in FRACTIONS:
        if fraction * sizes.min() < 1:  # a class may be left without a clip: then it is refused
            continue
        left = part_of(clips, train, fraction, seed)
        assert len(left) == round(fraction * len(train))
        assert smaller <= set(left.tolist()) <= set(train.tolist())
        counts = pd.Series(label[left]).value_counts().reindex(sizes.index, fill_value=0)
        assert (abs(counts - len(left) * sizes / len(train)) < 1).all()
        smaller = set(left.tolist())
    assert len(smaller) == len(train)


def test_five_percent_of_esc50_are_eighty_clips(request: pytest.FixtureRequest):
    """They were 100: 1.6 clips of each class, rounded up class by class."""
    clips = clips_of("esc50", request)
    train = make(clips, Split(protocol="folds", fold=1))["train"]
    left = part_of(clips, train, 0.05, 0)
    assert (len(train), len(left)) == (1600, 80)
    counts = clips["label"].iloc[left].value_counts()
    assert set(counts) == {1, 2}
    other = clips["label"].iloc[part_of(clips, train, 0.05, 1)].value_counts()
    assert set(counts.index[counts == 2]) != set(other.index[other == 2]), "drawn, not alphabetical"


@pytest.mark.parametrize("sizes", [(1, 1), (7,), (3, 5, 40, 197), (1,) * 9, (13, 13, 14)])
def test_turns_keep_each_class_within_a_clip_of_its_share(sizes: tuple[int, ...]):
    whole = sum(sizes)
    turns = [_in_turn(sizes, total) for total in range(whole + 1)]
    assert turns[-1] == list(sizes)
    for total, had in enumerate(turns):
        assert sum(had) == total
        assert all(abs(n - total * size / whole) < 1 for n, size in zip(had, sizes, strict=True))
    for before, after in pairwise(turns):
        assert all(a <= b for a, b in zip(before, after, strict=True))
