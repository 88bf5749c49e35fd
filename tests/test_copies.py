"""One recording under two names never lies on both sides of a split without a word."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from scaling.settings import Split
from scaling.sound import datasets, splits
from scaling.sound.clips import Clips, check_copies, from_files
from scaling.sound.copies import joined
from scaling.sound.folds import made_folds
from scaling.sound.packing import pack

RATE = 16_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eight WAVs that hold different sounds between equal ends."""
    random = np.random.default_rng(0)
    (tmp_path / "w").mkdir()
    for number in range(8):
        wave_T = np.zeros(12_000)
        wave_T[4000:8000] = random.normal(0, 0.1, 4000)
        soundfile.write(tmp_path / "w" / f"{number}.wav", wave_T, RATE)
    return tmp_path


def rows(*more: tuple[str, str], column: str = "clip") -> list[dict[str, object]]:
    given = [(f"w/{number}.wav", "xy"[number % 2]) for number in range(8)]
    return [{column: name, "label": label} for name, label in (*given, *more)]


def manifest(root: Path, *more: tuple[str, str]) -> Path:
    path = root / "manifest.csv"
    pd.DataFrame(rows(*more, column="path")).to_csv(path, index=False)
    return path


def scanned(root: Path, given: list[dict[str, object]], published: bool = False) -> Clips:
    clips = from_files("mine", root, given)
    check_copies(clips, published)
    return clips


@pytest.mark.parametrize("label", ["x", "y"])
@pytest.mark.parametrize("spelled", ["./w/0.wav", "w/../w/0.wav", "absolute", "link", "folder"])
def test_a_file_that_is_listed_twice_is_refused(root: Path, spelled: str, label: str):
    if spelled == "absolute":
        spelled = str(root / "w" / "0.wav")
    elif spelled == "link":
        (root / "link").symlink_to("w/0.wav")
    elif spelled == "folder":
        (root / "folder").symlink_to("w")
        spelled = "folder/0.wav"
    with pytest.raises(ValueError, match=r"w/0\.wav and .* \(rows 1 and 9\): list each f") as error:
        datasets.scan("manifest", manifest(root, (spelled, label)))
    assert "1 clips of manifest are files that are listed already" in str(error.value)
    assert spelled in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("how", ["copy", "hard link"])
def test_equal_bytes_under_two_labels_are_refused(root: Path, how: str):
    if how == "copy":
        shutil.copy(root / "w" / "0.wav", root / "copy.wav")
    else:
        (root / "copy.wav").hardlink_to(root / "w" / "0.wav")
    line = r"^1 recordings of mine have two labels, .*: w/0\.wav \(x\) = copy\.wav \(y\): leave"
    with pytest.raises(ValueError, match=line):
        scanned(root, rows(("copy.wav", "y")))
    with pytest.raises(ValueError, match=line.replace("mine", "manifest")):
        datasets.scan("manifest", manifest(root, ("copy.wav", "y")))


def test_a_published_dataset_with_equal_bytes_under_two_labels_is_still_read(root: Path):
    """Whoever downloads it cannot mend it."""
    shutil.copy(root / "w" / "0.wav", root / "copy.wav")
    line = r"^1 recordings of mine have two labels, .*: at most one of them is right$"
    with pytest.warns(UserWarning, match=line) as said:
        clips = scanned(root, rows(("copy.wav", "y")), published=True)
    assert len(clips.table) == 9
    assert len(said) == 2


def test_equal_files_that_are_no_sound_are_left_to_the_decoder(root: Path):
    """Pages that say "not found", saved under the names of recordings of two classes."""
    for name in ("a.wav", "b.wav"):
        (root / name).write_text("<html>404</html>")
    with pytest.warns(UserWarning, match=r"^2 files of mine hold the same bytes"):
        clips = scanned(root, rows(("a.wav", "x"), ("b.wav", "y")))
    with pytest.raises(ValueError, match="2 of 10 clips of mine cannot be read"):
        pack(clips, RATE, cache=root / "cache", progress=False)


@pytest.mark.parametrize("how", ["copy", "hard link"])
def test_equal_bytes_under_one_label_are_kept_together_and_said(root: Path, how: str):
    for number in (0, 3, 5):
        for again in ("a", "b"):
            target = root / f"{number}{again}.wav"
            if how == "copy":
                shutil.copy(root / "w" / f"{number}.wav", target)
            else:
                target.hardlink_to(root / "w" / f"{number}.wav")
    more = [(f"{n}{again}.wav", "xy"[n % 2]) for n in (0, 3, 5) for again in "ab"]
    with pytest.warns(UserWarning, match=r"^9 files of mine .* \(w/0\.wav = 0b\.wav"):
        clips = scanned(root, rows(*more))
    folds = made_folds(clips.table, 2)
    fold = dict(zip(clips.table["clip"], folds.tolist(), strict=True))
    for number in (0, 3, 5):
        assert len({fold[name] for name in (f"w/{number}.wav", f"{number}a.wav")}) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits.make(clips.table, Split(protocol="made_folds", fold=1, folds=2))


def test_plan_and_trial_split_alike(root: Path):
    """A trial's table has the content of every file, the plan's that of copies only."""
    shutil.copy(root / "w" / "0.wav", root / "copy.wav")
    with pytest.warns(UserWarning, match="hold the same bytes"):
        clips = scanned(root, rows(("copy.wav", "x")))
    store = pack(clips, RATE, cache=root / "cache", progress=False)
    assert (clips.table["content"] != "").sum() == 2
    assert (store.table["content"] != "").all()
    assert (made_folds(clips.table, 2) == made_folds(store.table, 2)).all()


def test_equal_ends_are_no_equal_files(root: Path):
    """All eight have the same size and ends, and nothing else in common."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clips = scanned(root, rows())
    assert clips.table["fingerprint"].nunique() == 1
    assert (clips.table["content"] == "").all()


def test_folds_of_the_dataset_that_tear_copies_apart_are_said(root: Path):
    shutil.copy(root / "w" / "0.wav", root / "copy.wav")
    given = [row | {"fold": 1 + n // 5} for n, row in enumerate(rows(("copy.wav", "x")))]
    with pytest.warns(UserWarning, match="hold the same bytes"):
        clips = scanned(root, given)
    line = r"^1 of 5 held-out clips hold the same bytes as a training clip \(w/0\.wav\)"
    with pytest.warns(UserWarning, match=line):
        splits.make(clips.table, Split(protocol="folds", fold=1))


def test_copies_join_what_belongs_to_either():
    """By hand: a and b share a copy, b and c another; d has none, and e is alone."""
    table = pd.DataFrame({"content": ["1", "1", "2", "2", "3", ""]})
    groups = pd.Series(["b", "a", "b", "c", "d", "e"])
    assert joined(groups, table).tolist() == ["a", "a", "a", "a", "d", "e"]


def test_real_recordings_are_no_copies(esc10: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clips = datasets.scan("esc10", esc10)
    assert (clips.table["content"] == "").all()
