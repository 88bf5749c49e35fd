"""The readers of FSDD, AudioMNIST, TESS and TUT 2017: layouts, published counts, known traps."""

import os
import shutil
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from overhear.command import app
from scaling.settings import Split
from scaling.sound import datasets
from scaling.sound.clips import Report
from scaling.sound.datasets import audiomnist, fsdd, published, tess, tut2017
from scaling.sound.datasets.tree import walk
from scaling.sound.splits import make

OFFICIAL = Split(protocol="folds", fold=1)


def write(root: Path, *names: str, start: int = 1) -> None:
    """Sound files of 50 samples, each its own."""
    for number, name in enumerate(names, start=start):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(50, number / 10_000), 8000)


def link(root: Path, names: list[str]) -> Path:
    """Many small files, each its own: what counts and names are checked on."""
    one = root / "one.flac"
    soundfile.write(one, np.zeros(20), 8000)
    content = one.read_bytes()
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content + name.encode())
    return root


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


@pytest.fixture
def strict():
    """Warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# What all of them share


@pytest.mark.parametrize("name", ["fsdd", "audiomnist", "tess", "tut2017", "tut2017_development"])
def test_a_folder_of_something_else(name: str, tmp_path: Path):
    folders = [tut2017.DEVELOPMENT, tut2017.EVALUATION] if name == "tut2017" else [""]
    for folder in folders:
        (tmp_path / folder).mkdir(exist_ok=True)
    for use in (datasets.scan, datasets.check):
        with pytest.raises(ValueError, match=r"^no clips found: .* with --root \(available from h"):
            use(name, tmp_path)
    assert name in run("data", "list")[1]


def test_hidden_files_are_no_clips(tmp_path: Path):
    write(tmp_path, "a/x.wav", "a/._x.wav", "__MACOSX/a/._x.wav", ".trash/y.wav")
    assert published.wavs(walk(tmp_path).files) == ["a/x.wav"]


def test_a_long_list_is_counted(tmp_path: Path):
    report = published.compare(tmp_path, {}, map(str, range(30)), ["x"], "mend it", ["by the way"])
    assert len([line for line in report.lines if line.startswith("missing: ")]) == 21
    assert report.lines[-3:] == ["missing: 10 more", "not published: x", "by the way"]
    assert report.problem == (
        f"{tmp_path} is not as published: 30 clips are missing; 1 clips were not published: mend it"
    )


# FSDD


def small_fsdd(root: Path) -> list[str]:
    takes = [
        (d, who, take) for d in range(10) for who in ("lucas", "theo") for take in (0, 4, 5, 49)
    ]
    write(root, *(f"recordings/{d}_{who}_{take}.wav" for d, who, take in takes))
    return [f"recordings/{d}_{who}_{take}.wav" for d, who, take in takes]


@pytest.mark.usefixtures("strict")
def test_fsdd(tmp_path: Path):
    names = small_fsdd(tmp_path)
    clips = datasets.scan("fsdd", tmp_path)
    table = clips.table
    assert table["clip"].tolist() == sorted(names)
    first = table.iloc[0]
    assert (first["clip"], first["label"], first["speaker"], first["fold"]) == (
        "recordings/0_lucas_0.wav",
        "0",
        "lucas",
        1,
    )
    assert dict(zip(table["clip"].str[-6:], table["fold"], strict=True)) == {
        "_0.wav": 1,
        "_4.wav": 1,
        "_5.wav": 0,
        "49.wav": 0,
    }
    assert clips.decode(clips.root / first["clip"]).rate == 8000
    parts = make(table, OFFICIAL)
    assert {name: len(part) for name, part in parts.items()} == {"train": 40, "test": 40}
    made = make(table, Split(protocol="made_folds", fold=1, folds=2))
    sides = [set(table["speaker"].iloc[part]) for part in made.values()]
    assert not set.intersection(*sides)
    code, output, _ = run("data", "describe", "fsdd", "--root", str(tmp_path))
    assert code == 0
    assert "speaker  lucas 40, theo 40" in output


@pytest.mark.parametrize("name", ["0_01_7.wav", "0_lucas.wav", "10_lucas_1.wav", "0_lucas_x.wav"])
def test_fsdd_refuses_other_names(tmp_path: Path, name: str):
    write(tmp_path, f"recordings/{name}")
    with pytest.raises(ValueError, match=rf"^recordings/{name} is not named recordings/<digit>_<"):
        datasets.scan("fsdd", tmp_path)


def test_fsdd_is_checked_against_what_was_published(tmp_path: Path):
    names = [
        f"recordings/{d}_{who}_{take}.wav"
        for d in range(10)
        for who in ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
        for take in range(50)
    ]
    report = fsdd.check(link(tmp_path, names))
    assert report.problem == ""
    assert rows(report) == {
        "recordings": ("3,000", "3,000"),
        **dict.fromkeys(fsdd.SPEAKERS, ("500", "500")),
        "training (fold 0)": ("2,700", "2,700"),
        "test (fold 1)": ("300", "300"),
    }
    (tmp_path / names[7]).unlink()
    os.link(tmp_path / names[0], tmp_path / "recordings/3_anna_0.wav")
    code, output, line = run("data", "check", "fsdd", "--quick", "--root", str(tmp_path))
    assert code
    assert f"missing: {names[7]}" in output
    assert "not published: recordings/3_anna_0.wav" in output
    assert "1 clips are missing; 1 clips were not published; counts of george, training" in line


# AudioMNIST


def small_audiomnist(root: Path) -> None:
    write(
        root,
        *(
            f"data/{who}/{d}_{who}_{t}.wav"
            for who in ("01", "36")
            for d in range(10)
            for t in (18, 28)
        ),
        *(f"data/36/3_36_{t}.wav" for t in (19, 7)),
    )


def test_audiomnist(tmp_path: Path):
    small_audiomnist(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = datasets.scan("audiomnist", tmp_path).table
    assert table["clip"].tolist() == sorted(table["clip"])
    assert table["clip"][0] == "data/01/0_01_18.wav"
    assert table["label"].value_counts().to_dict() == {**dict.fromkeys("012456789", 4), "3": 6}
    assert set(table["speaker"]) == {"01", "36"}
    assert table["fold"].isna().all()
    with pytest.raises(ValueError, match=r"42 of 42 clips have no fold .*made_folds with split"):
        make(table, OFFICIAL)


def test_audiomnist_tells_the_takes_that_are_copies(tmp_path: Path):
    small_audiomnist(tmp_path)
    for copy, first in audiomnist.COPIES.items():
        shutil.copy(tmp_path / first, tmp_path / copy)
    line = (
        "2 clips are copies of another take and are kept: data/36/3_36_20.wav of "
        "data/36/3_36_19.wav, data/36/3_36_29.wav of data/36/3_36_28.wav"
    )
    with pytest.warns(UserWarning, match=f"^{line}$"):
        table = datasets.scan("audiomnist", tmp_path).table
    assert len(table) == 44
    assert (
        "data/36/3_36_29.wav is a copy of data/36/3_36_28.wav" in audiomnist.check(tmp_path).lines
    )
    write(tmp_path, "data/36/3_36_29.wav", start=99)
    known = "data/36/3_36_29.wav is known as a copy of data/36/3_36_28.wav"
    assert known in audiomnist.check(tmp_path).lines


@pytest.mark.parametrize(
    "name",
    ["data/01/0_02_1.wav", "data/01/0_lucas_1.wav", "data/1/0_1_1.wav", "data/01/x_01_1.wav"],
)
def test_audiomnist_refuses_other_names(tmp_path: Path, name: str):
    write(tmp_path, name)
    with pytest.raises(ValueError, match=rf"^{name} is not named data/<speaker>/<digit>_<speaker>"):
        datasets.scan("audiomnist", tmp_path)


def test_audiomnist_is_checked_against_what_was_published(tmp_path: Path):
    names = [
        f"data/{who:02}/{d}_{who:02}_{t}.wav"
        for who in range(1, 61)
        for d in range(10)
        for t in range(50)
    ]
    report = audiomnist.check(link(tmp_path, names))
    assert report.problem == ""
    counts = rows(report)
    assert counts["clips"] == ("30,000", "30,000")
    assert counts["speakers"] == counts["speakers with 500 clips"] == ("60", "60")
    assert {counts[f"digit {d}"] for d in range(10)} == {("3,000", "3,000")}
    assert audiomnist.NO_FOLDS in report.lines
    (tmp_path / "data/59/0_59_0.wav").unlink()
    assert rows(audiomnist.check(tmp_path))["speakers with 500 clips"] == ("59", "60")
    shutil.rmtree(tmp_path / "data/60")
    short = audiomnist.check(tmp_path)
    assert "501 clips are missing; counts of clips, speakers, " in short.problem
    assert "missing: 481 more" in short.lines


# TESS


def word(number: int) -> str:
    return "w" + chr(97 + number // 26) + chr(97 + number % 26)


def names_of_tess(words: int) -> list[str]:
    return [
        f"{who}_{'bite' if n == 0 else word(n)}_{how}.wav"
        for who in ("OAF", "YAF")
        for n in range(words)
        for how in ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
    ]


@pytest.mark.usefixtures("strict")
def test_tess(tmp_path: Path):
    names = names_of_tess(3)
    write(tmp_path, *names)
    clips = datasets.scan("tess", tmp_path)
    table = clips.table
    assert table["clip"].tolist() == sorted(names)
    assert table["label"].value_counts().to_dict() == dict.fromkeys(tess.EMOTIONS, 6)
    assert table["speaker"].value_counts().to_dict() == {"OAF": 21, "YAF": 21}
    assert (table["source"] == "").all()
    assert table["fold"].isna().all()
    parts = make(table, Split(protocol="made_folds", fold=1, folds=2))
    assert [set(table["speaker"].iloc[part]) for part in parts.values()] in (
        [{"OAF"}, {"YAF"}],
        [{"YAF"}, {"OAF"}],
    )


def test_tess_in_the_nested_folders_of_kaggle(tmp_path: Path):
    inner = "TESS Toronto emotional speech set data"
    names = [f"{name[:3]}_{name[8:-4]}/{name}" for name in names_of_tess(3)]
    write(tmp_path, *names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        once = datasets.scan("tess", tmp_path)
    for name in names:
        (tmp_path / inner / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / name, tmp_path / inner / name)
    line = rf"^42 files below .* are further copies of clips and are left out: {inner}/.* 37 more$"
    with pytest.warns(UserWarning, match=line):
        twice = datasets.scan("tess", tmp_path)
    assert twice.digest == once.digest
    assert "further copies, left out: 42" in tess.check(tmp_path).lines
    write(tmp_path, f"{inner}/{names[0]}", start=500)
    with pytest.raises(
        ValueError, match=rf"^{names[0]} and {inner}/.* bear one name and differ: t"
    ):
        datasets.scan("tess", tmp_path)


def test_tess_with_its_misnamed_file(tmp_path: Path):
    write(tmp_path, *names_of_tess(3))
    (tmp_path / "OAF_bite_neutral.wav").rename(tmp_path / "OA_bite_neutral.wav")
    line = r"^1 clips are misnamed, as published, and are taken .*: OA_bite_neutral\.wav$"
    with pytest.warns(UserWarning, match=line):
        table = datasets.scan("tess", tmp_path).table
    assert len(table) == 42
    row = table[table["clip"] == "OA_bite_neutral.wav"].iloc[0]
    assert (row["label"], row["speaker"]) == ("neutral", "OAF")
    report = tess.check(tmp_path)
    assert "misnamed, as published: OA_bite_neutral.wav" in report.lines
    assert not any("missing" in line for line in report.lines)


@pytest.mark.parametrize(
    "name", ["OA_wab_sad.wav", "OAF_wab_calm.wav", "XAF_wab_sad.wav", "03-01-06-01-02-01-12.wav"]
)
def test_tess_refuses_other_names(tmp_path: Path, name: str):
    write(tmp_path, f"a/{name}")
    with pytest.raises(ValueError, match=rf"^{name} is not named <OAF\|YAF>_<word>_<emotion>\.wav"):
        datasets.scan("tess", tmp_path)


def test_tess_is_checked_against_what_was_published(tmp_path: Path):
    names = names_of_tess(200)
    report = tess.check(link(tmp_path, names))
    assert report.problem == ""
    counts = rows(report)
    assert counts["clips"] == ("2,800", "2,800")
    assert counts["words"] == counts["YAF ps"] == ("200", "200")
    assert len(counts) == 2 + 14
    (tmp_path / "YAF_wab_ps.wav").unlink()
    code, output, line = run("data", "check", "tess", "--quick", "--root", str(tmp_path))
    assert code
    assert "missing: YAF_wab_ps.wav" in output
    assert "1 clips are missing; counts of clips, YAF ps are not those published: unpack" in line


# TUT Acoustic Scenes 2017


def tree(root: Path, name: str, lines: list[str]) -> None:
    (root / name).mkdir(parents=True)
    (root / name / "meta.txt").write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def small_tut(root: Path) -> Path:
    """Every scene at four places of development and one of evaluation, two clips of each."""
    development, evaluation = [], []
    lists: dict[int, list[str]] = {1: [], 2: [], 3: [], 4: []}
    for number, label in enumerate(tut2017.LABELS):
        for fold, clips in lists.items():
            place = f"b{4 * number + fold:03}"
            for clip in (f"audio/{place}_0_10.wav", f"audio/{place}_10_20.wav"):
                development.append(f"{clip}\t{label}\t{place}")
                clips.append(f"{clip}\t{label}")
        for take in range(2):
            evaluation.append(f"audio/{2 * number + take + 1}.wav\t{label}\ta{number:03}")
    for name, lines in ((tut2017.DEVELOPMENT, development), (tut2017.EVALUATION, evaluation)):
        tree(root, name, lines)
        start = 1 if name == tut2017.DEVELOPMENT else 1001
        write(root / name, *(line.split("\t")[0] for line in lines), start=start)
    setup = root / tut2017.DEVELOPMENT / "evaluation_setup"
    setup.mkdir()
    for fold, clips in lists.items():
        (setup / f"fold{fold}_evaluate.txt").write_text("\n".join(clips) + "\n")
    return root


@pytest.fixture
def tut(tmp_path: Path) -> Path:
    return small_tut(tmp_path)


@pytest.mark.usefixtures("strict")
def test_tut_trains_on_development_and_holds_evaluation_out(tut: Path):
    table = datasets.scan("tut2017", tut).table
    assert len(table) == 150
    assert table["clip"][0] == f"{tut2017.DEVELOPMENT}/audio/b001_0_10.wav"
    assert (table["label"][0], table["source"][0]) == ("beach", "b001")
    parts = make(table, OFFICIAL)
    sides = {
        name: set(table["clip"].iloc[rows].str.split("/").str[0]) for name, rows in parts.items()
    }
    assert sides == {"train": {tut2017.DEVELOPMENT}, "test": {tut2017.EVALUATION}}
    assert [len(part) for part in parts.values()] == [120, 30]


@pytest.mark.usefixtures("strict")
def test_tut_development_has_four_folds_by_location(tut: Path):
    clips = datasets.scan("tut2017_development", tut)
    assert clips.table["fold"].value_counts().to_dict() == dict.fromkeys((1, 2, 3, 4), 30)
    first = clips.table.iloc[0]
    assert first[["clip", "label", "source"]].tolist() == ["audio/b001_0_10.wav", "beach", "b001"]
    for fold in (1, 2, 3, 4):
        parts = make(clips.table, Split(protocol="folds", fold=fold))  # warns of torn locations
        assert [len(part) for part in parts.values()] == [90, 30]
    own = datasets.scan("tut2017_development", tut / tut2017.DEVELOPMENT)
    assert own.digest == clips.digest
    setup = tut / tut2017.DEVELOPMENT / "evaluation_setup"
    for fold in (1, 2, 3, 4):
        text = (setup / f"fold{fold}_evaluate.txt").read_text()
        (setup / f"fold{fold}_evaluate.txt").unlink()
        only = "".join(f"{line.split()[0]}\n" for line in text.splitlines())
        (setup / f"fold{fold}_test.txt").write_text(only)
    assert datasets.scan("tut2017_development", tut).digest == clips.digest


def test_tut_development_without_lists(tut: Path):
    setup = tut / tut2017.DEVELOPMENT / "evaluation_setup"
    (setup / "fold3_evaluate.txt").unlink()
    with pytest.raises(ValueError, match=r"evaluation_setup lacks fold3_evaluate\.txt: unpack the"):
        datasets.scan("tut2017_development", tut)
    shutil.rmtree(setup)
    with pytest.warns(UserWarning, match="has no lists in evaluation_setup: the official folds"):
        table = datasets.scan("tut2017_development", tut).table
    assert table["fold"].isna().all()
    assert any("folds are unknown" in line for line in tut2017.check_development(tut).lines)


def test_tut_clips_that_no_fold_or_two_test(tut: Path):
    setup = tut / tut2017.DEVELOPMENT / "evaluation_setup"
    lines = (setup / "fold1_evaluate.txt").read_text().splitlines()
    (setup / "fold1_evaluate.txt").write_text("\n".join(lines[1:]))
    untested = "clips that no fold tests: 1 (audio/b001_0_10.wav)"
    assert untested in tut2017.check_development(tut).lines
    with pytest.raises(ValueError, match="1 of 120 clips have no fold"):
        make(datasets.scan("tut2017_development", tut).table, OFFICIAL)
    (setup / "fold2_evaluate.txt").write_text("\n".join(lines))
    with pytest.raises(
        ValueError, match=r"^29 clips are tested by more than one fold in .*: audio"
    ):
        datasets.scan("tut2017_development", tut)


def test_tut_trees_in_the_wrong_place(tut: Path):
    with pytest.raises(
        ValueError, match=r"^30 clips in .*-evaluation are not named as those of TUT"
    ):
        datasets.scan("tut2017_development", tut / tut2017.EVALUATION)
    with pytest.raises(
        ValueError, match=r"does not hold TUT-.*-development and TUT-.*-evaluation: "
    ):
        datasets.scan("tut2017", tut / tut2017.DEVELOPMENT)
    shutil.rmtree(tut / tut2017.EVALUATION)
    with pytest.raises(ValueError, match=r"not hold TUT-[^ ]*-evaluation: .*records/1040168 there"):
        datasets.scan("tut2017", tut)


def test_tut_locations_in_both(tut: Path):
    assert rows(tut2017.check(tut))["locations in both"] == ("0", "0")
    meta = tut / tut2017.EVALUATION / "meta.txt"
    meta.write_text(meta.read_text().replace("a000", "b001"))
    assert rows(tut2017.check(tut))["locations in both"] == ("1", "0")
    with pytest.warns(UserWarning, match=r"^1 sources have clips both in training and held out"):
        make(datasets.scan("tut2017", tut).table, OFFICIAL)


def test_tut_tables_refused(tut: Path):
    meta = tut / tut2017.EVALUATION / "meta.txt"
    lines = meta.read_text().splitlines()
    for bad in ("audio/3.wav\tbus", "audio/3.wav,bus,a001", "audio/3.wav\t\ta001"):
        meta.write_text("\n".join([*lines[:2], bad]))
        with pytest.raises(
            ValueError, match=r"meta\.txt: row 3 has not the three fields path, lab"
        ):
            datasets.scan("tut2017", tut)
    meta.unlink()
    with pytest.raises(
        ValueError, match=r"meta\.txt cannot be read \(.*\): take it from https://z"
    ):
        datasets.check("tut2017", tut)


def test_tut_clips_missing_and_too_many(tut: Path):
    audio = tut / tut2017.DEVELOPMENT / "audio"
    shutil.copy(audio / "b001_0_10.wav", audio / "b999_0_10.wav")
    for name in ("tut2017", "tut2017_development"):
        with pytest.warns(
            UserWarning, match=r"^1 clips in .*audio are not in meta\.txt and are left"
        ):
            table = datasets.scan(name, tut).table
        assert not table["clip"].str.contains("b999").any()
    for path in sorted(audio.glob("b01*")):
        path.unlink()
    for name in ("tut2017", "tut2017_development"):
        line = (
            r"^20 of 120 clips that .*meta\.txt lists are not there: audio/b010_0_10\.wav, .* 15 m"
        )
        with pytest.raises(ValueError, match=line):
            datasets.scan(name, tut)
    code, output, line = run("data", "check", "tut2017", "--root", str(tut))
    assert code
    assert f"missing: {tut2017.DEVELOPMENT}/audio/b010_0_10.wav" in output
    assert f"not published: {tut2017.DEVELOPMENT}/audio/b999_0_10.wav" in output
    assert "20 clips are missing; 1 clips were not published; counts of development clips" in line


# The real tables of TUT Acoustic Scenes 2017


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both trees with the real meta.txt and a file for every clip."""
    root = tmp_path_factory.mktemp("tut")
    folder = Path(os.environ.get("OVERHEAR_DATA", "data")) / "metadata"
    for name in tut2017.PUBLISHED:
        path = folder / f"{name}.meta.txt"
        if not path.exists():
            pytest.skip("the tables of TUT 2017 are not here: set OVERHEAR_DATA to their folder")
        (root / name).mkdir()
        shutil.copy(path, root / name / "meta.txt")
        names = [line.split("\t")[0] for line in path.read_text().splitlines()]
        link(root / name, names)
    return root


def test_tut_is_as_published(real: Path):
    report = tut2017.check(real)
    assert report.problem == ""
    counts = rows(report)
    assert counts["development clips"] == ("4,680", "4,680")
    assert counts["development locations"] == ("248", "248")
    assert counts["evaluation clips"] == ("1,620", "1,620")
    assert counts["evaluation locations"] == ("109", "109")
    assert counts["locations in both"] == ("0", "0")
    for part, each in (("development", "312"), ("evaluation", "108")):
        labels = {value for name, value in counts.items() if name.startswith(f"{part} ")}
        assert (each, each) in labels
        assert counts[f"{part} cafe/restaurant"] == (each, each)
    assert tut2017.check_development(real).problem == ""


def test_tut_splits_share_no_location(real: Path):
    table = datasets.scan("tut2017", real).table
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = make(table, OFFICIAL)
        every = make(table, Split(protocol="made_folds", fold=1, folds=5))
    assert [len(part) for part in parts.values()] == [4680, 1620]
    for one in (parts, every):
        assert not set.intersection(*(set(table["source"].iloc[part]) for part in one.values()))
    assert Counter(table["fold"]) == {0: 4680, 1: 1620}


def test_tut_check_sees_a_clip_gone(real: Path):
    path = real / tut2017.EVALUATION / "audio/1245.wav"
    path.unlink()
    report = tut2017.check(real)
    assert "1 clips are missing; counts of evaluation clips, evaluation beach are" in report.problem
    assert rows(report)["evaluation beach"] == ("107", "108")
    os.link(real / tut2017.EVALUATION / "one.flac", path)
