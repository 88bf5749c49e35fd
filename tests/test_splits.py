"""Parts share no clip and no source, miss nothing, and are the same for every trial of a study;
random labels are drawn once, clip by clip.
"""

import warnings
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scaling.settings import Split
from scaling.sound.clip_table import UNUSED, table
from scaling.sound.datasets import scan
from scaling.sound.folds import leaking_folds, made_folds
from scaling.sound.splits import make, of_classes, pairs
from scaling.sound.training_clips import taught, thinned

pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string'")


def own(fold: int, validation: int | None = None, devices: str = "") -> Split:
    return Split(
        protocol="folds", fold=fold, validation_fold=validation, train_devices=tuple(devices)
    )


def made(folds: int, fold: int = 1, validation: int | None = None) -> Split:
    return Split(protocol="made_folds", folds=folds, fold=fold, validation_fold=validation)


@pytest.fixture(params=[True, False], ids=["new strings", "object strings"])
def clips(request: pytest.FixtureRequest) -> Iterator[pd.DataFrame]:
    """2 labels x 4 folds x 3 recordings, each heard by devices a, b and c."""
    with pd.option_context("future.infer_string", request.param):
        yield table(
            {
                "clip": f"{label}{fold}{n}{device}",
                "label": label,
                "fold": fold,
                "device": device,
                "source": f"{label}{fold}{n}",
            }
            for label in "xy"
            for fold in range(1, 5)
            for n in range(3)
            for device in "abc"
        )


def apart_and_sorted(parts: dict[str, np.ndarray]) -> None:
    for rows in parts.values():
        assert (np.diff(rows) > 0).all()
    for one, other in combinations(parts.values(), 2):
        assert not set(one.tolist()) & set(other.tolist())


def test_all_devices(clips: pd.DataFrame):
    parts = make(clips, own(2))
    assert list(parts) == ["train", "test"]
    apart_and_sorted(parts)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(clips)))
    assert set(clips["fold"][parts["test"]]) == {2}


def test_validation_is_a_third_part(clips: pd.DataFrame):
    parts = make(clips, own(2, validation=4))
    assert list(parts) == ["train", "validation", "test"]
    apart_and_sorted(parts)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(clips)))
    assert [set(clips["fold"][rows]) for rows in parts.values()] == [{1, 3}, {4}, {2}]


def test_unseen_devices(clips: pd.DataFrame):
    parts = make(clips, own(1, validation=2, devices="a"))
    assert list(parts) == ["train", "validation", "seen", "unseen"]
    apart_and_sorted(parts)
    devices = [set(clips["device"][rows]) for rows in parts.values()]
    assert devices == [{"a"}, {"a"}, {"a"}, {"b", "c"}]
    assert [len(rows) for rows in parts.values()] == [12, 6, 6, 12]
    held = np.sort(np.concatenate([parts["seen"], parts["unseen"]]))
    assert held.tolist() == np.flatnonzero(clips["fold"] == 1).tolist()
    assert set(clips["source"][parts["seen"]]) == set(clips["source"][parts["unseen"]])


def test_no_unseen_device_is_no_unseen_part(clips: pd.DataFrame):
    assert list(make(clips, own(1, devices="abc"))) == ["train", "test"]
    others = clips[(clips["fold"] > 1) | (clips["device"] == "a")].reset_index(drop=True)
    parts = make(others, own(1, devices="a"))
    assert list(parts) == ["train", "test"]
    assert set(others["device"][parts["train"]]) == {"a"}


def test_folds_keep_their_own_numbers(clips: pd.DataFrame):
    clips["fold"] = clips["fold"] * 10 - 10
    assert set(clips["fold"][make(clips, own(0))["test"]]) == {0}


def test_unused_clips_are_in_no_part(clips: pd.DataFrame):
    clips.loc[clips["fold"] == 3, "fold"] = UNUSED
    parts = make(clips, own(1, validation=2))
    assert [set(clips["fold"][rows]) for rows in parts.values()] == [{4}, {2}, {1}]
    with pytest.raises(ValueError, match=r"^split\.fold=3: this dataset has folds 1, 2, 4$"):
        make(clips, own(3))


@pytest.mark.parametrize(
    ("split", "line"),
    [
        (own(7), r"^split\.fold=7: this dataset has folds 1\.\.4$"),
        (own(0), r"^split\.fold=0: this dataset has folds 1\.\.4$"),
        (own(1, validation=9), r"^split\.validation_fold=9: this dataset has folds 1\.\.4$"),
        (made(3, fold=4), r"^split\.fold=4: those made are folds 1\.\.3$"),
        (own(1, devices="d"), r"^split\.train_devices=d: no such device \(known: a, b, c\)$"),
        (made(25), r"^split\.folds=25: all clips come from 24 sources or speakers, each of"),
        (made(37), r"^split\.folds=37: class x has only 36 clips: make 36 folds at most, or"),
    ],
)
def test_splits_refused(clips: pd.DataFrame, split: Split, line: str):
    with pytest.raises(ValueError, match=line):
        make(clips, split)


def test_folds_with_gaps_are_named(clips: pd.DataFrame):
    rows = clips[clips["fold"] != 2].reset_index(drop=True)
    with pytest.raises(ValueError, match=r"this dataset has folds 1, 3, 4$"):
        make(rows, own(2))
    rows = clips[clips["fold"] == 1].reset_index(drop=True)
    with pytest.raises(ValueError, match=r"this dataset has folds 1$"):
        make(rows, own(2))


def test_without_folds(clips: pd.DataFrame):
    clips.loc[3, "fold"] = pd.NA
    line = r"1 of 72 clips have no fold \(x11a\): split\.protocol=made_folds with split\.folds=5"
    with pytest.raises(ValueError, match=line):
        make(clips, own(1))
    clips["fold"] = pd.NA
    with pytest.raises(ValueError, match=r"72 of 72 clips have no fold \(x10a, .* and 67 more\)"):
        make(clips, own(1))


def test_without_devices(clips: pd.DataFrame):
    clips.loc[3, "device"] = ""
    with pytest.raises(ValueError, match=r"train_devices=a: 1 clips name no device \(x11a\)"):
        make(clips, own(1, devices="a"))
    clips["device"] = ""
    with pytest.raises(ValueError, match="no such device: this dataset names none, leave it empty"):
        make(clips, own(1, devices="a"))
    assert list(make(clips, own(1))) == ["train", "test"]


def test_parts_without_clips(clips: pd.DataFrame):
    rows = clips[(clips["fold"] != 1) | (clips["device"] == "b")].reset_index(drop=True)
    line = r"^split\.fold=1 with split\.train_devices=a leaves no clip for seen: choose"
    with pytest.raises(ValueError, match=line):
        make(rows, own(1, devices="a"))
    with pytest.raises(ValueError, match=r"^split\.fold=1 with .* leaves no clip for validation"):
        make(rows, own(2, validation=1, devices="a"))
    rows = clips[clips["fold"] == 1].reset_index(drop=True)
    with pytest.raises(ValueError, match=r"^split\.fold=1 leaves no clip for train"):
        make(rows, own(1))


def test_a_class_that_is_not_trained_on(clips: pd.DataFrame):
    rows = clips[(clips["label"] == "x") | (clips["fold"] == 1)].reset_index(drop=True)
    with pytest.raises(ValueError, match=r"^class y has no training clip with split\.fold=1"):
        make(rows, own(1))


def test_a_source_on_both_sides_is_told(clips: pd.DataFrame):
    clips.loc[clips["source"].isin(["x10", "x20"]), "source"] = "twice"
    with pytest.warns(UserWarning, match=r"^1 sources have clips both in training .* \(twice\)"):
        make(clips, own(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(clips, own(3))
        make(clips, made(4))


# Folds that are made


def crowd(seed: int, clips: int, sources: int, speakers: int = 0) -> pd.DataFrame:
    """Clips of three uneven classes from sources of uneven size; a source is of one class."""
    random = np.random.default_rng(seed)
    label = random.choice(["x", "y", "z"], p=[0.6, 0.3, 0.1], size=sources)
    source = (sources * random.random(clips) ** 1.5).astype(int)
    return table(
        {
            "clip": str(n),
            "label": label[source[n]] if not speakers else "xyz"[n % 3],
            "source": f"s{source[n]}" if not speakers else "",
            "speaker": f"p{n % speakers}" if speakers else "",
        }
        for n in range(clips)
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("folds", [2, 5])
def test_made_folds_keep_sources_together_and_classes_even(seed: int, folds: int):
    rows = crowd(seed, clips=600, sources=150)
    fold = made_folds(rows, folds)
    assert set(fold) == set(range(1, folds + 1))
    assert (rows.assign(made=fold).groupby("source")["made"].nunique() == 1).all()
    largest = rows["source"].value_counts().iloc[0]
    counts = pd.crosstab(rows["label"], fold)
    assert ((counts.max(axis=1) - counts.min(axis=1)) <= largest).all()
    for held in range(1, folds + 1):
        parts = make(rows, made(folds, held, validation=held % folds + 1 if folds > 2 else None))
        apart_and_sorted(parts)
        assert sorted(np.concatenate(list(parts.values()))) == list(range(600))
        assert (fold[parts["test"]] == held).all()
        sources = [set(rows["source"][part]) for part in parts.values()]
        assert not any(one & other for one, other in combinations(sources, 2))


def test_made_folds_are_as_even_as_scikit_learns():
    """Its peer: mean gap between a class's largest and smallest fold, shuffled as intended."""
    from sklearn.model_selection import StratifiedGroupKFold

    def gap(rows: pd.DataFrame, fold: np.ndarray) -> float:
        counts = pd.crosstab(rows["label"], fold)
        return float((counts.max(axis=1) - counts.min(axis=1)).mean())

    ours, theirs = [], []
    for seed in range(10):
        rows = crowd(seed, clips=400, sources=100)
        peer = np.zeros(len(rows))
        groups = StratifiedGroupKFold(5).split(rows, rows["label"], rows["source"])
        for number, (_, held) in enumerate(groups):
            peer[held] = number
        ours.append(gap(rows, made_folds(rows, 5)))
        theirs.append(gap(rows, peer))
    assert np.mean(ours) <= np.mean(theirs)


@pytest.mark.parametrize(("speakers", "folds"), [(6, 6), (7, 6), (11, 4)])
def test_speakers_stay_together_and_no_fold_is_empty(speakers: int, folds: int):
    """As many folds as speakers leave one speaker out (scikit-learn issue 34828: an empty fold)."""
    rows = crowd(0, clips=231, sources=1, speakers=speakers)
    fold = made_folds(rows, folds)
    assert set(fold) == set(range(1, folds + 1))
    assert (rows.assign(made=fold).groupby("speaker")["made"].nunique() == 1).all()


def test_the_source_goes_before_the_speaker():
    rows = table(
        {"clip": str(n), "label": "x", "source": str(n // 2), "speaker": "one"} for n in range(20)
    )
    assert len(set(made_folds(rows, 5))) == 5


def test_clips_that_belong_to_nothing_are_spread_exactly():
    rows = table({"clip": str(n), "label": "xy"[n % 2]} for n in range(40))
    counts = pd.crosstab(rows["label"], made_folds(rows, 5))
    assert (counts == 4).all(axis=None)


def test_made_folds_depend_on_names_only():
    rows = crowd(1, clips=300, sources=90)
    fold = pd.Series(made_folds(rows, 5), index=rows["clip"])
    shuffled = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    again = pd.Series(made_folds(shuffled, 5), index=shuffled["clip"])
    assert (again[fold.index] == fold).all()
    by_position = [int(name) % 5 for name in rows["clip"]]
    assert len(set(zip(by_position, fold, strict=True))) == 25  # drawn, not dealt in turn


def test_made_folds_never_change():
    """A trial's id says `fold 1 of 5`: which clips that is must never move."""
    rows = crowd(2, clips=40, sources=15)
    assert "".join(map(str, made_folds(rows, 3))) == "3113131223321331212331222232113113312223"


def test_a_rare_class_is_told():
    rows = table(
        {"clip": str(n), "label": "x" if n else "y", "source": str(n // 4)} for n in range(40)
    )
    with pytest.raises(
        ValueError,
        match=r"^split\.folds=5: class y has only 1 clip: leave the class out with sound",
    ):
        make(rows, made(5))
    rows.loc[rows["source"] == "0", "label"] = "y"
    fold = made_folds(rows, 4)
    with pytest.raises(ValueError, match=r"^class y has no training clip"):
        make(rows, made(4, fold=int(fold[0])))


# Pairs of city and class


def paired(fold: int = 0, validation: int | None = None, **fields: Any) -> Split:
    """Trained on device a."""
    given = {"fold": fold, "validation_fold": validation, "train_devices": ("a",), **fields}
    return Split(protocol="pairs", **given)


def grid(cities: int = 10, classes: int = 10) -> pd.DataFrame:
    """Two recordings of every class in every city, each heard by devices a, b and s4."""
    return table(
        {
            "clip": f"{label}-{city}-{n}-{device}",
            "label": f"class {label}",
            "city": f"city {city}",
            "device": device,
            "source": f"{label}-{city}-{n}",
        }
        for label in range(classes)
        for city in range(cities)
        for n in range(2)
        for device in ("a", "b", "s4")
    )


def sides(rows: pd.DataFrame, parts: dict[str, np.ndarray]) -> dict[str, set[tuple[str, str]]]:
    """The pairs that each part holds."""
    return {
        name: set(rows.iloc[part][["city", "label"]].itertuples(index=False, name=None))
        for name, part in parts.items()
    }


def test_the_pair_rule_is_the_plain_one():
    rows = grid()
    for fold in range(10):
        held = {
            (f"city {city}", f"class {label}")
            for city in range(10)
            for label in range(10)
            if (label + city + 3 * fold) % 10 < 3
        }
        found = pairs(rows, paired(fold))
        test = found[found["part"] == "test"]
        assert set(zip(test["city"], test["label"], strict=True)) == held
        assert set(found["part"]) == {"train", "test"}
        assert list(found) == ["city", "label", "part"]
        assert len(found) == 100


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("fold", [0, 4])
def test_no_pair_is_on_two_sides(seed: int, fold: int):
    rows = grid()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = make(rows, paired(fold, validation=fold + 1, pairs_seed=seed))
    apart_and_sorted(parts)
    held = sides(rows, parts)
    assert {name: len(side) for name, side in held.items()} == {
        "train": 40,
        "validation": 30,
        "seen": 30,
        "unseen": 30,
    }
    assert held["seen"] == held["unseen"]
    assert not held["train"] & held["seen"]
    assert not held["validation"] & (held["train"] | held["seen"])
    devices = [set(rows["device"].iloc[part]) for part in parts.values()]
    assert devices == [{"a"}, {"a"}, {"a"}, {"b", "s4"}]
    held_rows = rows.iloc[parts["seen"]]
    for column in ("city", "label"):
        counts = held_rows.drop_duplicates(["city", "label"])[column].value_counts()
        assert counts.tolist() == [3] * 10
    found = pairs(rows, paired(fold, validation=fold + 1, pairs_seed=seed))
    for part, name in (("train", "train"), ("validation", "validation"), ("test", "seen")):
        listed = found[found["part"] == part]
        assert set(zip(listed["city"], listed["label"], strict=True)) == held[name]


def test_all_devices_of_held_pairs_are_the_test():
    rows = grid()
    parts = make(rows, paired(train_devices=()))
    assert {name: len(part) for name, part in parts.items()} == {"train": 420, "test": 180}


def test_folds_of_pairs_are_apart_and_cover_all():
    rows = grid()
    for share, folds in ((0.2, 5), (0.5, 2), (0.1, 10)):
        held = [sides(rows, make(rows, paired(n, pairs_share=share)))["seen"] for n in range(folds)]
        assert sum(map(len, held)) == len(set().union(*held)) == 100
        with pytest.raises(
            ValueError, match=rf"^split\.fold={folds}: .* make folds 0\.\.{folds - 1}$"
        ):
            make(rows, paired(folds, pairs_share=share))
    held = [frozenset(sides(rows, make(rows, paired(n)))["seen"]) for n in range(10)]
    assert len(set(held)) == 10
    assert not held[0] & held[1]


def test_validation_leaves_the_test_pairs_out():
    rows = grid()
    held = sides(rows, make(rows, paired(0, validation=3)))
    assert len(held["seen"]) == 30
    assert len(held["validation"]) == 10
    assert not held["seen"] & held["validation"]


def test_a_seed_of_pairs_changes_the_pairs_only():
    rows = grid()
    held = [frozenset(sides(rows, make(rows, paired(pairs_seed=n)))["seen"]) for n in range(5)]
    assert len(set(held)) == 5
    shuffled = rows.sample(frac=1, random_state=0).reset_index(drop=True)
    again = frozenset(sides(shuffled, make(shuffled, paired(pairs_seed=2)))["seen"])
    assert again == held[2]
    assert pairs(shuffled, paired(pairs_seed=2)).equals(pairs(rows, paired(pairs_seed=2)))


def test_drawn_pairs_never_change():
    """A trial's id says which pairs_seed: what it holds out must never move."""
    found = pairs(grid(cities=4, classes=3), paired(pairs_seed=1, pairs_share=0.25))
    test = found[found["part"] == "test"]
    assert (test["city"] + " " + test["label"]).tolist() == [
        "city 0 class 1",
        "city 1 class 2",
        "city 3 class 0",
    ]


@pytest.mark.parametrize(("cities", "classes"), [(10, 3), (4, 10), (2, 2), (7, 5)])
def test_grids_that_are_not_square(cities: int, classes: int):
    rows = grid(cities, classes)
    held = sides(rows, make(rows, paired(pairs_share=0.4)))
    assert not held["train"] & held["seen"]
    labels = pd.Series([label for _, label in held["seen"]]).value_counts()
    assert labels.tolist() == [round(0.4 * cities)] * classes


def test_pairs_that_are_not_there_are_not_listed():
    rows = grid()
    gone = (rows["city"] == "city 3") & (rows["label"] == "class 4")
    rows = rows[~gone].reset_index(drop=True)
    assert len(pairs(rows, paired())) == 99


@pytest.mark.parametrize(
    ("split", "line"),
    [
        (paired(10), r"^split\.fold=10: 3 of 10 cities make folds 0\.\.9$"),
        (
            paired(0, validation=12),
            r"^split\.validation_fold=12: 3 of 10 cities make folds 0\.\.9$",
        ),
        (paired(pairs_share=0.04), r"^split\.pairs_share=0\.04 of 10 cities is 0: some must be"),
        (paired(pairs_share=0.97), r"^split\.pairs_share=0\.97 of 10 cities is 10: some must be"),
        (paired(train_devices=("c",)), r"^split\.train_devices=c: no such device"),
        (paired(0, validation=1, pairs_share=0.5), r"no clip for train: .* a smaller split\.pairs"),
    ],
)
def test_pairs_refused(split: Split, line: str):
    with pytest.raises(ValueError, match=line) as error:
        make(grid(), split)
    assert "\n" not in str(error.value)


def test_without_cities(clips: pd.DataFrame):
    line = r"^split\.protocol=pairs: 72 of 72 clips name no city \(x10a, .* and 67 more\): name it"
    with pytest.raises(ValueError, match=line):
        make(clips, paired())
    rows = grid()
    rows.loc[2, "city"] = ""
    with pytest.raises(ValueError, match=r"1 of 600 clips name no city \(0-0-1-a\)|\(0-0-0-s4\)"):
        make(rows, paired())


def test_a_source_on_both_sides_of_the_pairs_is_told():
    rows = grid()
    rows.loc[rows["label"] == "class 1", "source"] = "long walk"
    with pytest.warns(
        UserWarning, match=r"^1 sources have clips both in training .* \(long walk\)"
    ):
        make(rows, paired())


# What training clips are taught


def labelled(kind: str) -> Split:
    return own(1).model_copy(update={"labels": kind})


def by_name(rows: pd.DataFrame, train: np.ndarray, kind: str, seed: int) -> dict[str, int]:
    targets = taught(rows, train, labelled(kind), seed)
    assert targets.dtype == np.int64
    return dict(zip(rows["clip"].iloc[train], targets.tolist(), strict=True))


def test_true_labels_are_the_tables_own():
    rows = grid()
    train = make(rows, paired())["train"]
    expected = rows["label"].iloc[train].str.removeprefix("class ").astype(int)
    assert taught(rows, train, labelled("true"), 0).tolist() == expected.tolist()


@pytest.mark.parametrize("kind", ["uniform", "permuted"])
def test_random_labels_come_from_seed_and_name(kind: str):
    rows = grid()
    train = make(rows, paired())["train"]
    first = by_name(rows, train, kind, 0)
    assert first == by_name(rows, train, kind, 0)
    assert first != by_name(rows, train, kind, 1)
    assert first != by_name(rows, train, "true", 0)
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = rows.iloc[order].reset_index(drop=True)
    there = np.flatnonzero(np.isin(order, train))
    assert by_name(shuffled, there, kind, 0) == first
    assert by_name(rows, train[::-1], kind, 0) == first


def test_uniform_labels_do_not_depend_on_other_clips():
    rows = grid()
    train = make(rows, paired())["train"]
    every, some = by_name(rows, train, "uniform", 0), by_name(rows, train[::3], "uniform", 0)
    assert some == {clip: every[clip] for clip in some}


def test_uniform_labels_are_even_and_say_nothing_of_the_clip():
    """Chi-squared tests of 10,000 draws: frequencies, and independence of the true class."""
    from scipy.stats import chi2_contingency, chisquare

    rows = table({"clip": str(n), "label": f"class {n % 10}"} for n in range(10_000))
    targets = taught(rows, np.arange(10_000), labelled("uniform"), 0)
    assert chisquare(np.bincount(targets, minlength=10)).pvalue > 0.01
    assert chi2_contingency(pd.crosstab(rows["label"], targets)).pvalue > 0.01


def test_permuted_labels_keep_the_class_counts():
    rows = crowd(0, clips=600, sources=150)
    train = np.arange(0, 600, 2)
    own_labels = taught(rows, train, labelled("true"), 0)
    dealt = taught(rows, train, labelled("permuted"), 0)
    assert np.bincount(dealt).tolist() == np.bincount(own_labels).tolist()
    assert 0.2 < np.mean(dealt != own_labels) < 0.8


@pytest.mark.parametrize("kind", ["true", "uniform", "permuted"])
def test_the_table_stays_as_it_is(kind: str):
    rows = grid()
    before = rows.copy()
    taught(rows, make(rows, paired())["train"], labelled(kind), 0)
    assert rows.equals(before)


def test_random_labels_never_change():
    """A trial's id says seed and kind: what was taught must never move."""
    rows, train = grid(2, 10), np.arange(0, 120, 6)
    assert "".join(map(str, taught(rows, train, labelled("uniform"), 0))) == "07346557044275372492"
    assert "".join(map(str, taught(rows, train, labelled("permuted"), 0))) == "58604349526301781729"


# Real tables


def test_esc10(esc10: Path):
    rows = scan("esc10", esc10).table
    for split in (own(5, validation=1), made(5, 5, validation=1), made(10, 3)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            parts = make(rows, split)
        apart_and_sorted(parts)
        sources = [set(rows["source"][part]) for part in parts.values()]
        assert not any(one & other for one, other in combinations(sources, 2))
        held = rows["label"][parts["test"]].value_counts()
        assert held.sum() == len(parts["test"]) == 400 // (split.folds or 5)
        assert held.max() - held.min() <= 2


def test_the_synthetic_scenes_hold_out_towns_and_devices():
    rows = scan("synthetic").table
    parts = make(rows, own(1, devices="a"))
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 800,
        "seen": 200,
        "unseen": 800,
    }
    towns = [set(rows["city"][part]) for part in parts.values()]
    assert not towns[0] & towns[1]
    assert towns[1] == towns[2]


def test_the_synthetic_scenes_by_pairs():
    rows = scan("synthetic").table
    parts = make(rows, paired())
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 700,
        "seen": 300,
        "unseen": 1200,
    }


def part_of(
    rows: pd.DataFrame, fraction: float, seed: int = 0, by_chance: bool = False
) -> set[str]:
    """The names of the training clips that are left."""
    split = own(1).model_copy(update={"fraction": fraction, "by_chance": by_chance})
    train = make(rows, split)["train"]
    left = thinned(rows, train, split, seed)
    assert (np.diff(left) > 0).all()
    assert set(left) <= set(train)
    return set(rows["clip"].iloc[left])


@pytest.mark.parametrize("by_chance", [False, True])
def test_fractions_are_nested_and_exact(by_chance: bool):
    rows = crowd(0, 400, 400).assign(fold=lambda t: np.arange(len(t)) % 4 + 1)
    rows = table(rows.drop(columns=["source", "speaker"]))
    whole = part_of(rows, 1.0)
    assert len(whole) == 300
    smaller: set[str] = set()
    for fraction in (0.05, 0.1, 0.3, 0.5, 1.0):
        left = part_of(rows, fraction, by_chance=by_chance)
        assert smaller <= left
        assert len(left) == round(300 * fraction)
        smaller = left
    assert smaller == whole


def test_fractions_are_of_each_class():
    rows = crowd(0, 400, 400).assign(fold=lambda t: np.arange(len(t)) % 4 + 1)
    rows = table(rows.drop(columns=["source", "speaker"]))
    label = rows.set_index("clip")["label"]
    whole = label[list(part_of(rows, 1.0))].value_counts()
    tenth = label[list(part_of(rows, 0.1))].value_counts()
    assert all(abs(tenth[name] - 0.1 * n) < 1 for name, n in whole.items())


def test_fractions_come_from_seed_and_name():
    rows = crowd(0, 100, 100).assign(fold=lambda t: np.arange(len(t)) % 2 + 1)
    rows = table(rows.drop(columns=["source", "speaker"]))
    turned = rows.iloc[::-1].reset_index(drop=True)
    assert part_of(rows, 0.5) == part_of(turned, 0.5)
    assert part_of(rows, 0.5) != part_of(rows, 0.5, seed=1)


def test_a_class_that_a_fraction_empties(clips: pd.DataFrame):
    with pytest.raises(
        ValueError, match=r"^split.fraction=0.01 leaves class . without .*: 0.037 or more keeps one"
    ):
        part_of(clips, 0.01)
    with pytest.warns(UserWarning, match="by chance leaves 1 classes without a training clip"):
        part_of(clips, 1 / 54, by_chance=True)


def few_of(rows: pd.DataFrame, n: int, seed: int = 0, validation: int | None = None) -> set[str]:
    """The names of n training clips of each class."""
    split = own(1, validation).model_copy(update={"clips_per_class": n})
    train = make(rows, split)["train"]
    left = thinned(rows, train, split, seed)
    assert left.dtype == train.dtype
    assert (np.diff(left) > 0).all()
    assert set(left) <= set(train)
    return set(rows["clip"].iloc[left])


def test_so_many_clips_of_each_class():
    """Exactly n; a smaller n is part of a larger one; nothing that is held out."""
    rows = crowd(0, 400, 400).assign(fold=lambda t: np.arange(len(t)) % 4 + 1)
    rows = table(rows.drop(columns=["source", "speaker"]))
    about = rows.set_index("clip")
    smaller: set[str] = set()
    for n in (1, 2, 5, 10):
        left = few_of(rows, n, validation=3)
        assert about.loc[list(left), "label"].value_counts().to_dict() == dict.fromkeys(
            sorted(set(rows["label"])), n
        )
        assert set(about.loc[list(left), "fold"]) <= {2, 4}
        assert smaller < left
        smaller = left


def test_which_clips_of_each_class_comes_from_seed_and_name():
    rows = crowd(0, 120, 120).assign(fold=lambda t: np.arange(len(t)) % 2 + 1)
    rows = table(rows.drop(columns=["source", "speaker"]))
    turned = rows.iloc[::-1].reset_index(drop=True)
    assert few_of(rows, 2) == few_of(turned, 2)
    assert len({frozenset(few_of(rows, 2, seed)) for seed in range(9)}) == 9
    drawn = [name for seed in range(150) for name in few_of(rows, 1, seed)]
    assert len(set(drawn)) > 0.9 * len(part_of(rows, 1.0)), "any training clip may be drawn"


def test_more_clips_than_a_class_has(clips: pd.DataFrame):
    clips = clips[(clips["label"] == "x") | (clips["device"] == "b")].reset_index(drop=True)
    assert len(few_of(clips, 9)) == 18
    line = r"^split\.clips_per_class=10: class y has 9 training clips, take at most as many$"
    with pytest.raises(ValueError, match=line):
        few_of(clips, 10)
    for other in ({"fraction": 0.5}, {"fraction": 0.5, "by_chance": True}):
        with pytest.raises(ValueError, match=r"clips_per_class=3 and fraction=.*: set one"):
            Split.model_validate({"protocol": "folds", "fold": 1, "clips_per_class": 3, **other})


# Classes


def test_classes_are_chosen_by_name():
    rows = grid(2, 4)
    assert of_classes(rows, ()).tolist() == list(range(len(rows)))
    found = of_classes(rows, ("class 3", "class 0"))
    assert (np.diff(found) > 0).all()
    expected = [i for i, label in enumerate(rows["label"]) if label in ("class 0", "class 3")]
    assert found.tolist() == expected
    with pytest.raises(
        ValueError, match=r"^sound\.classes=clas 2: no such class \(did you mean cl"
    ):
        of_classes(rows, ("class 1", "clas 2"))


def test_leaking_folds_are_even_and_leak():
    rows = crowd(0, 100, 10)
    folds_N = leaking_folds(rows, 5)
    assert (np.bincount(folds_N)[1:] == 20).all()
    split = Split(protocol="leaking_folds", folds=5, fold=1, validation_fold=2)
    with pytest.warns(UserWarning, match="sources have clips both in training and held out"):
        parts = make(rows, split)
    assert [len(part) for part in parts.values()] == [60, 20, 20]
    turned = rows.iloc[::-1].reset_index(drop=True)
    assert dict(zip(rows["clip"], folds_N, strict=True)) == dict(
        zip(turned["clip"], leaking_folds(turned, 5), strict=True)
    )
    with pytest.raises(ValueError, match=r"^split.folds=101: there are 100 clips"):
        leaking_folds(rows, 101)


# Unseen devices


def heard(independent: bool) -> pd.DataFrame:
    """3 speakers as devices, 4 folds, 2 labels, 5 takes each; sources of their own, or shared."""
    return table(
        {
            "clip": f"{label}{fold}{device}{n}",
            "label": label,
            "fold": fold,
            "device": device,
            "source": "" if independent else f"{label}{fold}{n}",
        }
        for label in "xy"
        for fold in range(1, 5)
        for device in "abc"
        for n in range(5)
    )


def test_all_clips_of_unseen_devices_are_tested_where_asked_for():
    split = own(1, devices="a")
    few, every = (
        make(heard(True), split),
        make(heard(True), split.model_copy(update={"unseen": "all"})),
    )
    assert len(few["unseen"]) == 20, "one fold in four"
    assert len(every["unseen"]) == 80
    assert set(every["unseen"]) >= set(few["unseen"])
    for name in ("train", "seen"):
        assert (every[name] == few[name]).all()
    apart_and_sorted(every)


def test_devices_that_recorded_the_same_scenes_are_not_independent():
    split = own(1, devices="a").model_copy(update={"unseen": "all"})
    line = (
        r"^split.unseen=all: 60 clips of unseen devices are of sources that other devices train on"
    )
    with pytest.raises(ValueError, match=line):
        make(heard(False), split)


def test_pairs_hold_all_devices_out():
    with pytest.raises(ValueError, match="unseen=all: protocol=pairs holds every device"):
        Split(protocol="pairs", fold=0, train_devices=("a",), unseen="all")
