"""Parts share no clip and no source, miss nothing, and are the same for every trial of a study."""

import warnings
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scaling.config import Split
from scaling.sound.clips import table
from scaling.sound.datasets import scan
from scaling.sound.splits import made_folds, make

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


@pytest.mark.parametrize(
    ("split", "line"),
    [
        (own(7), r"^split\.fold=7: this dataset has folds 1\.\.4$"),
        (own(0), r"^split\.fold=0: this dataset has folds 1\.\.4$"),
        (own(1, validation=9), r"^split\.validation_fold=9: this dataset has folds 1\.\.4$"),
        (made(3, fold=4), r"^split\.fold=4: those made are folds 1\.\.3$"),
        (own(1, devices="d"), r"^split\.train_devices=d: no such device \(known: a, b, c\)$"),
        (made(25), r"^split\.folds=25: all clips come from 24 sources or speakers, each of"),
        (made(37), r"^split\.folds=37: class x has 36 clips, make fewer folds$"),
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
    with pytest.raises(ValueError, match=r"^split\.folds=5: class y has 1 clips, make fewer"):
        make(rows, made(5))
    rows.loc[rows["source"] == "0", "label"] = "y"
    fold = made_folds(rows, 4)
    with pytest.raises(ValueError, match=r"^class y has no training clip"):
        make(rows, made(4, fold=int(fold[0])))


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
