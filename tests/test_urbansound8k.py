"""The reader of UrbanSound8K: its layout, what was published, odd sound files, protocols."""

import os
import shutil
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from typer.testing import CliRunner

from overhear.command import app
from scaling.settings import Split
from scaling.sound import datasets, unpack
from scaling.sound.clips import Report
from scaling.sound.datasets import urbansound8k
from scaling.sound.packing import pack
from scaling.sound.splits import make

HEADER = "slice_file_name,fsID,start,end,salience,fold,classID,class"
TORN = ["106905", "132016", "176638", "180937", "77751"]


def run(*words: str) -> tuple[int, str, str]:
    """A command: exit code, what is printed, the one line."""
    ended = CliRunner().invoke(app, words)
    assert ended.exception is None or isinstance(ended.exception, ValueError), ended.exception
    line = str(ended.exception or "")
    assert "\n" not in line
    return ended.exit_code, ended.output, line


def rows(report: Report) -> dict[str, tuple[str, ...]]:
    """The counts of a report: found, published."""
    return {line[:28].strip(): tuple(line[28:].split()) for line in report.lines[1:]}


def write(path: Path, value: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(50, value), 8000)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Every class in every fold, in one clip."""
    root = tmp_path / "UrbanSound8K"
    lines = [HEADER]
    for fold in urbansound8k.FOLDS:
        for target, label in enumerate(urbansound8k.LABELS):
            source = 1000 * fold + target
            lines.append(f"{source}-{target}-0-7.wav,{source},0.0,4.0,1,{fold},{target},{label}")
            write(root / f"audio/fold{fold}/{source}-{target}-0-7.wav", source / 20_000)
    (root / "metadata").mkdir()
    (root / urbansound8k.META).write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def strict():
    """Warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# The layout


@pytest.mark.usefixtures("strict")
def test_a_whole_tree(tree: Path):
    clips = datasets.scan("urbansound8k", tree)
    table = clips.table
    assert len(table) == 100
    first = table.iloc[3][["clip", "label", "fold", "source"]].tolist()
    assert first == ["audio/fold1/1003-3-0-7.wav", "dog_bark", 1, "1003"]
    assert table["fold"].value_counts().to_dict() == dict.fromkeys(range(1, 11), 10)
    assert table["label"].value_counts().to_dict() == dict.fromkeys(urbansound8k.LABELS, 10)
    assert datasets.scan("urbansound8k", tree.parent).digest == clips.digest
    code, output, _ = run("data", "describe", "urbansound8k", "--root", str(tree))
    assert code == 0
    assert "fold     1 10, 10 10, 2 10" in output
    assert "sources  100" in output
    assert "urbansound8k" in run("data", "list")[1]


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(("fold", "behind"), [(1, 2), (9, 10), (10, 1)])
def test_nine_folds_train_or_eight(tree: Path, fold: int, behind: int):
    table = datasets.scan("urbansound8k", tree).table

    def folds(**more: int) -> dict[str, set[int]]:
        parts = make(table, Split(protocol="folds", fold=fold, **more))
        return {name: set(table["fold"].iloc[part]) for name, part in parts.items()}

    others = set(range(1, 11)) - {fold}
    assert folds() == {"train": others, "test": {fold}}
    assert folds(validation_fold=behind) == {
        "train": others - {behind},
        "validation": {behind},
        "test": {fold},
    }


def test_sources_in_two_folds_are_counted(tree: Path):
    meta = tree / urbansound8k.META
    text = meta.read_text()
    for fold in (2, 3):
        old = f"{fold}000-0-0-7.wav"
        text = text.replace(f"{old},{fold}000,", f"1000-0-0-{fold}.wav,1000,")
        (tree / f"audio/fold{fold}" / old).rename(tree / f"audio/fold{fold}/1000-0-0-{fold}.wav")
    meta.write_text(text)
    with pytest.warns(UserWarning, match=r"^1 sources lie in more than one fold: 1000 \(as publ"):
        table = datasets.scan("urbansound8k", tree).table
    assert rows(urbansound8k.check(tree))["sources in two folds"] == ("1", "5")
    assert "in two folds: source 1000" in urbansound8k.check(tree).lines
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(table, Split(protocol="made_folds", fold=1, folds=5))


def test_a_nested_copy_and_files_of_other_names(tree: Path):
    once = datasets.scan("urbansound8k", tree)
    shutil.copytree(tree, tree / "UrbanSound8K")
    line = (
        r"^100 files below .* are further copies of clips and are left out: UrbanSound8K/audio/fold"
        r"1/.* 95 more$"
    )
    with pytest.warns(UserWarning, match=line):
        assert datasets.scan("urbansound8k", tree).digest == once.digest
    assert "further copies, left out: 100" in urbansound8k.check(tree).lines
    shutil.rmtree(tree / "UrbanSound8K")
    write(tree / "audio/fold1/holiday.wav")
    line = r"^1 files below .* are not in metadata/UrbanSound8K\.csv and are left out: audio/fold1/"
    with pytest.warns(UserWarning, match=line):
        assert datasets.scan("urbansound8k", tree).digest == once.digest
    assert "not published: audio/fold1/holiday.wav" in urbansound8k.check(tree).lines


def test_clips_missing_misplaced_and_misnamed(tree: Path):
    (tree / "audio/fold3/3001-1-0-7.wav").rename(tree / "audio/fold4/3001-1-0-7.wav")
    (tree / "audio/fold3/3002-2-0-7.wav").rename(tree / "audio/fold3/3002-2-0-07.wav")
    (tree / "audio/fold3/3003-3-0-7.wav").unlink()
    line = (
        r"^3 of 100 clips that .*UrbanSound8K\.csv lists are not there: audio/fold3/3001-1-0-7\.wav"
        r", .*3003-3-0-7\.wav \(1 in another folder: audio/fold4/3001-1-0-7\.wav\): unpack Urban"
    )
    with pytest.raises(ValueError, match=line):
        datasets.scan("urbansound8k", tree)
    code, output, line = run("data", "check", "urbansound8k", "--root", str(tree))
    assert code
    assert "missing: audio/fold3/3003-3-0-7.wav" in output
    assert "not published: audio/fold3/3002-2-0-07.wav" in output
    assert "in another folder than its fold's: audio/fold4/3001-1-0-7.wav" in output
    assert "3 clips are missing; 1 clips were not published; counts of clips, sour" in line


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1003-3-0-7.wav,1003,", "1003-3-0.wav,1003,"),
        ("1003-3-0-7.wav,1003,", "1003-3-0-7.wav,1004,"),
        ("1003-3-0-7.wav", "1003-4-0-7.wav"),
        ("1,1,3,dog_bark", "1,1,3,dog bark"),
        ("1,1,3,dog_bark", "1,11,3,dog_bark"),
        ("1,1,3,dog_bark", "1,,3,dog_bark"),
    ],
)
def test_a_table_that_disagrees_with_itself(tree: Path, old: str, new: str):
    meta = tree / urbansound8k.META
    assert old in meta.read_text()
    meta.write_text(meta.read_text().replace(old, new))
    with pytest.raises(ValueError, match=r"UrbanSound8K\.csv: row 4 \(.*\) does not agree with it"):
        datasets.scan("urbansound8k", tree)


def test_tables_refused(tree: Path):
    meta = tree / urbansound8k.META
    meta.write_text(meta.read_text().replace("fsID", "freesound"))
    with pytest.raises(ValueError, match=r"UrbanSound8K\.csv has no column fsID: it is not the ta"):
        datasets.scan("urbansound8k", tree)
    meta.unlink()
    line = r"UrbanSound8K\.csv cannot be read \(.*\): name the folder that holds audio/ and metada"
    for use in (datasets.scan, datasets.check):
        with pytest.raises(ValueError, match=line):
            use("urbansound8k", tree)
    shutil.rmtree(tree / "audio")
    with pytest.raises(ValueError, match=r"^no clips found: .* with --root \(available from https"):
        datasets.scan("urbansound8k", tree)


def test_the_archive_unpacks_to_where_the_reader_looks(tree: Path, tmp_path: Path):
    packed = tmp_path / "UrbanSound8K.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tree, arcname="UrbanSound8K")
    folder = tmp_path / "data" / urbansound8k.DATASET.folders[0]
    folder.parent.mkdir()
    assert unpack.unpack(packed, folder, 1000) == 101
    assert datasets.scan("urbansound8k", folder).digest == urbansound8k.scan(tree).digest


# Odd sound files

# File format, bits, rate, channels, and how far a sample may lie from what was written.
ODD = [
    ("PCM_U8", 22_050, 1, 2**-6),
    ("PCM_24", 44_100, 1, 1e-4),
    ("PCM_32", 48_000, 2, 1e-4),
    ("FLOAT", 96_000, 2, 1e-3),
    ("PCM_16", 192_000, 2, 1e-3),
    ("PCM_16", 11_024, 1, 1e-3),
    ("MS_ADPCM", 44_100, 2, 0.02),
    ("IMA_ADPCM", 8_000, 1, 0.02),
    ("ULAW", 16_000, 1, 0.02),
]


def tone(rate: int, seconds: float = 0.5) -> np.ndarray:
    """300 Hz, faded in and out, so that no resampler rings at its ends."""
    time_T = np.arange(round(seconds * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * 300 * time_T) * np.sin(np.pi * time_T / seconds) ** 2


@pytest.mark.usefixtures("strict")
def test_every_kind_of_file_goes_through_the_store(tree: Path):
    table = urbansound8k.read(tree / urbansound8k.META)
    for row, (kind, rate, channels, _) in zip(table, ODD, strict=False):
        left_T = tone(rate)
        wave_TC = np.stack([left_T, 0.5 * left_T], axis=1)[:, :channels]
        soundfile.write(tree / row.clip, wave_TC, rate, subtype=kind, format="WAV")
    with pytest.warns(UserWarning, match="^91 of 100 clips .* have no usable sound"):
        store = pack(datasets.scan("urbansound8k", tree), 16_000, progress=False)
    expected_T = tone(16_000)
    read_BT = store.batch(np.arange(len(ODD)), len(expected_T)).numpy() / 32768
    for wave_T, (kind, rate, channels, within) in zip(read_BT, ODD, strict=True):
        mono_T = expected_T * (0.75 if channels == 2 else 1)
        assert np.abs(wave_T - mono_T).max() < within, (kind, rate)


def test_a_format_that_cannot_be_read_is_named(tree: Path):
    path = tree / "audio/fold5/5004-4-0-7.wav"
    content = bytearray(path.read_bytes())
    assert content[20:22] == b"\x01\x00"  # PCM
    content[20:22] = b"\x69\xf7"  # a format that nobody has
    path.write_bytes(content)
    line = r"^1 of 100 clips of urbansound8k cannot be read: audio/fold5/5004-4-0-7\.wav: [^;\n]+ "
    with pytest.raises(ValueError, match=line):
        pack(datasets.scan("urbansound8k", tree), 16_000, progress=False)


# The real table


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real table and a file for every clip."""
    path = Path(os.environ.get("OVERHEAR_DATA", "data")) / "metadata" / "UrbanSound8K.csv"
    if not path.exists():
        pytest.skip("the table of UrbanSound8K is not here: set OVERHEAR_DATA to its folder")
    root = tmp_path_factory.mktemp("urban")
    soundfile.write(root / "one.flac", np.zeros(20), 8000)
    content = (root / "one.flac").read_bytes()
    (root / "metadata").mkdir()
    shutil.copy(path, root / urbansound8k.META)
    table = pd.read_csv(path)
    for fold in range(1, 11):
        (root / f"audio/fold{fold}").mkdir(parents=True)
    for name, fold in zip(table["slice_file_name"], table["fold"], strict=True):
        (root / f"audio/fold{fold}/{name}").write_bytes(content + name.encode())
    return root


def test_it_is_as_published(real: Path):
    report = urbansound8k.check(real)
    assert report.problem == ""
    sizes = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)
    short = {"car_horn": 429, "gun_shot": 374, "siren": 929}
    wanted = {label: short.get(label, 1000) for label in urbansound8k.LABELS}
    wanted |= {f"fold {fold}": size for fold, size in enumerate(sizes, start=1)}
    wanted |= {"clips": 8732, "sources": 1297, "sources in two folds": 5}
    assert {name: rows(report)[name] for name in wanted} == {
        name: (f"{count:,}", f"{count:,}") for name, count in wanted.items()
    }
    assert [f"in two folds: source {source}" in report.lines for source in TORN] == [True] * 5


def test_folds_and_sources_of_the_real_table(real: Path):
    line = rf"^5 sources lie in more than one fold: {', '.join(TORN)} \(as published there are 5"
    with pytest.warns(UserWarning, match=line):
        table = datasets.scan("urbansound8k", real).table
    assert len(table) == 8732
    assert table["fold"].value_counts().sort_index().tolist() == [
        *(873, 888, 925, 990, 936, 823, 838, 806, 816, 837)
    ]
    eight = Split(protocol="folds", fold=10, validation_fold=1)
    with pytest.warns(UserWarning, match="sources have clips both in training and held out"):
        parts = make(table, eight)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 8732 - 837 - 873,
        "validation": 873,
        "test": 837,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(table, Split(protocol="made_folds", fold=1, folds=10))


def test_check_sees_a_clip_gone(real: Path):
    horns = [row for row in urbansound8k.read(real / urbansound8k.META) if row.label == "car_horn"]
    path = real / next(row.clip for row in horns if row.fold == 6)
    path.unlink()
    report = urbansound8k.check(real)
    assert "1 clips are missing; counts of clips, car_horn, fold 6 are not" in report.problem
    os.link(real / "one.flac", path)
