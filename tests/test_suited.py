"""Clips that a trial cannot learn from are said before it does."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_contents import check

from scaling.settings import Trial, changed
from scaling.sound import prepare
from scaling.sound.clips import Clips, from_files
from scaling.sound.packing import pack
from scaling.sound.usable import fault

RATE = 16_000


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three WAVs of a second of each of three classes, sorted into folders."""
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "cache"))
    random, root = np.random.default_rng(0), tmp_path / "sounds"
    for label in "xyz":
        (root / label).mkdir(parents=True)
        for number in range(3):
            write(root / label / f"{number}.wav", random.normal(0, 0.1, RATE))
    return root


@pytest.fixture
def mine(trial: Trial) -> Trial:
    return changed(trial, {"sound.dataset": "folders", "split.train_devices": ()})


def write(path: Path, wave: np.ndarray) -> None:
    soundfile.write(path, wave, RATE, subtype="FLOAT")


def driver(trial: Trial, root: Path, skip: bool = False) -> list[str]:
    """What a sweep's driver warns of before any trial."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        prepare.stores([trial], prepare.scan([trial], root), skip)
    return [str(each.message) for each in said]


# A class that is gone


def test_a_class_without_readable_clips_is_named_and_refused(mine: Trial, root: Path):
    for number in range(3):
        (root / "y" / f"{number}.wav").write_text(f"no sound {number}")
    line = r"^--skip-unreadable leaves no clip of class y \(folders\), .* sound\.classes=x,z$"
    with pytest.raises(ValueError, match=line), pytest.warns(UserWarning, match="3 unreadable"):
        prepare.stores([mine], prepare.scan([mine], root), True)
    asked = changed(mine, {"sound.classes": "x,z"})
    assert [line.split(":")[0] for line in driver(asked, root, True)] == [
        "3 unreadable clips are left out"
    ]
    other = changed(mine, {"sound.classes": "x,y"})
    with pytest.raises(ValueError, match="of class y"), pytest.warns(UserWarning, match="3 un"):
        prepare.stores([asked, other], prepare.scan([asked], root), True)


def test_a_class_that_loses_some_clips_trains(mine: Trial, root: Path):
    (root / "y" / "0.wav").write_text("no sound")
    assert len(driver(mine, root, True)) == 1


# Clips that are padded or cut


def test_clips_that_are_mostly_padded_or_cut_off_are_said(mine: Trial, root: Path):
    assert driver(mine, root) == []
    write(root / "x" / "0.wav", np.linspace(-1, 1, RATE // 2 - 1))
    write(root / "y" / "1.wav", np.linspace(-1, 1, 2 * RATE + 1))
    cut, padded = driver(mine, root)
    assert cut == (
        "1 of 9 clips of folders are longer than twice sound.seconds=1 (y/1.wav): the rest is "
        "never heard; half of all clips last 1 s or more"
    )
    assert padded.startswith("1 of 9 clips of folders are shorter than half of sound.seconds=1 (x/")
    assert "sound.fill=tile" in padded
    assert driver(changed(mine, {"sound.fill": "tile"}), root) == [cut]
    assert driver(changed(mine, {"sound.classes": "x,z"}), root) == [padded.replace("9", "6")]
    shorter = changed(mine, {"sound.seconds": "0.4", "augment.roll": "0"})
    assert len(driver(shorter, root)) == 1, "eight of nine are cut, none is padded"


# Sound that is none

TONE = np.sin(np.arange(RATE) / 7)
USELESS = {
    "silence": np.zeros(RATE),
    "silence of less than a step of 16 bits": np.full(RATE, 1e-5),
    "a constant, no sound": np.full(RATE, 0.25),
    "its channels cancel each other in mono": np.stack([TONE, -TONE], axis=1) / 2,
    "32,768 times beyond full scale": 32_768 * TONE / np.abs(TONE).max(),
}


@pytest.mark.parametrize("why", USELESS)
def test_clips_without_usable_sound_are_named(mine: Trial, root: Path, why: str):
    """By the driver at each launch, and by `data check`."""
    write(root / "y" / "2.wav", USELESS[why])
    why = why.split(" of ")[0]
    for _ in range(2):
        lines = [line for line in driver(mine, root) if "usable" in line]
        assert len(lines) == 1
        assert lines[0].startswith(
            f"1 of 9 clips of folders have no usable sound: y/2.wav ({why}): mend them"
        )
    code, output, _ = check(root)
    assert code == 0
    assert output.startswith(f"y/2.wav: {why}\nfolders: 9 clips, all readable, 1 without usable")


def test_many_are_counted(root: Path):
    for number in range(30):
        write(root / "x" / f"silent{number:02}.wav", np.zeros(RATE + number))
    assert check(root)[1].splitlines()[19:21] == [
        "x/silent19.wav: silence",
        "and 10 more without usable sound",
    ]


@pytest.mark.parametrize(
    "samples",
    [
        np.stack([TONE, 0 * TONE], axis=1),  # one channel is silent
        np.stack([TONE, -0.9 * TONE], axis=1),  # nearly cancelled: 26 dB below
        1e-4 * TONE[:, None],
        2.0 * TONE[:, None],
        0.3 + 0.01 * TONE[:, None],
    ],
)
def test_faint_and_odd_sounds_are_usable(samples: np.ndarray):
    assert fault(samples, samples.mean(axis=1)) == ""


def test_real_recordings_are_usable(esc10: Path, tmp_path: Path):
    from scaling.sound.datasets import scan

    clips: Clips = scan("esc10", esc10)
    few = clips.table.groupby("label").head(1)["clip"]
    rows = [{"clip": name, "label": "x"} for name in few]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pack(from_files("mine", esc10, rows), RATE, cache=tmp_path, progress=False)


# Microphones


@pytest.fixture
def microphones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path))
    (tmp_path / "MicIRP").mkdir()
    soundfile.write(tmp_path / "MicIRP" / "good.WAV", np.eye(1, 900)[0], RATE, format="WAV")
    (tmp_path / "MicIRP" / "bad.wav").write_text("no sound")
    return tmp_path / "MicIRP"


def test_a_bad_microphone_is_found_while_planning(mine: Trial, root: Path, microphones: Path):
    """Before anything is packed, and before the first trial."""
    heard = changed(mine, {"microphones.test": "bad"})
    with pytest.raises(ValueError, match=r"^microphone bad: .* not usable \(.*: mend it or name"):
        prepare.scan([heard], root)
    clips = prepare.scan([mine], root)
    with pytest.raises(ValueError, match=r"^microphone bad: "):
        prepare.stores([heard], clips)
    assert not (root.parent / "cache").exists()


def test_a_microphone_whose_ending_is_in_capitals(mine: Trial, root: Path, microphones: Path):
    assert driver(changed(mine, {"microphones.test": "good"}), root) == []
    with pytest.raises(ValueError, match=r"no such response .*did you mean good\?"):
        driver(changed(mine, {"microphones.test": "god"}), root)


def test_microphones_that_are_absent_do_not_hinder_a_plan(mine: Trial, root: Path):
    away = changed(mine, {"microphones.test": "good", "microphones.responses": "nowhere"})
    clips = prepare.scan([away], root)
    with pytest.raises(ValueError, match="nowhere not found at"):
        prepare.stores([away], clips)
