"""Published datasets as mirrors lay them out: the same clips, digests and folds wherever they lie;
and the walk through a tree, which no link and no special file leads astray.
"""

import os
import shutil
import socket
import stat
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from overhear.command import app
from scaling.sound import datasets
from scaling.sound.clips import Clips
from scaling.sound.datasets import tree, tut2017
from scaling.sound.packing import pack

ESC = "filename,fold,target,category,esc10,src_file,take\n"


def write(root: Path, *names: str) -> None:
    """Sound files of 100 samples, each its own."""
    for number, name in enumerate(names, start=1):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(100, number / 1000), 8000, format="WAV")


def move(root: Path, old: str, new: str) -> None:
    (root / new).parent.mkdir(parents=True, exist_ok=True)
    (root / old).rename(root / new)


def shout(root: Path) -> None:
    """Endings in capitals."""
    for path in sorted(root.rglob("*.wav")):
        path.rename(path.with_suffix(".WAV"))


def nest(root: Path) -> None:
    """All of it in the archive's own folder."""
    inner = root / "archive-master"
    names = [path.name for path in root.iterdir()]
    for name in names:
        move(root, name, f"archive-master/{name}")
    assert inner.is_dir()


def esc(root: Path) -> None:
    """Ten classes of two clips, all of ESC-10."""
    rows = [(f"{1 + take}-{100 * target + take}-A-{target}.wav", 1 + take, target)
            for target in range(10) for take in range(2)]  # fmt: skip
    write(root / "audio", *(name for name, _, _ in rows))
    (root / "meta").mkdir()
    lines = [
        f"{n},{fold},{target},class{target},True,{n.split('-')[1]},A" for n, fold, target in rows
    ]
    (root / "meta/esc50.csv").write_text(ESC + "\n".join(lines) + "\n")


def fsdd(root: Path) -> None:
    whose = [f"{who}_{take}" for who in ("theo", "lucas") for take in (0, 7)]
    write(root / "recordings", *(f"{digit}_{end}.wav" for digit in range(10) for end in whose))


def audiomnist(root: Path) -> None:
    takes = [(digit, take) for digit in range(10) for take in (0, 1)]
    write(root / "data", *(f"{who}/{d}_{who}_{t}.wav" for who in ("01", "02") for d, t in takes))


def urbansound(root: Path) -> None:
    from scaling.sound.datasets import urbansound8k

    lines = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for fold in (1, 2):
        for target, label in enumerate(urbansound8k.LABELS):
            name = f"{1000 * fold + target}-{target}-0-7.wav"
            lines.append(f"{name},{1000 * fold + target},0.0,4.0,1,{fold},{target},{label}")
            write(root, f"audio/fold{fold}/{name}")
    (root / "metadata").mkdir()
    (root / urbansound8k.META).write_text("\n".join(lines) + "\n")


def tau(root: Path) -> None:
    scenes = [f"scene{n}" for n in range(10)]
    names = [f"{s}-lyon-{n}-{n}-{d}.wav" for n, s in enumerate(scenes) for d in ("a", "s1")]
    write(root / "audio", *names)
    (root / "evaluation_setup").mkdir()
    for list_, part in (("meta.csv", names), ("evaluation_setup/fold1_train.csv", names[::2]),
                        ("evaluation_setup/fold1_evaluate.csv", names[1::2])):  # fmt: skip
        (root / list_).write_text(
            "".join(f"{n}\n" for n in ["filename", *(f"audio/{n}" for n in part)])
        )


def tut(root: Path) -> None:
    for name, form in ((tut2017.DEVELOPMENT, "b{:03}_0_10.wav"), (tut2017.EVALUATION, "{}.wav")):
        clips = [form.format(n) for n in range(1, 16)]
        write(root / name / "audio", *clips)
        rows = zip(clips, tut2017.LABELS, strict=True)
        lines = [f"audio/{clip}\t{label}\t{name[-3:]}{label}" for clip, label in rows]
        (root / name / "meta.txt").write_text("\n".join(lines) + "\n")


Change = Callable[[Path], None]


def moved(*pairs: tuple[str, str]) -> Change:
    def change(root: Path) -> None:
        for old, new in pairs:
            move(root, old, new)

    return change


MIRRORS: list[tuple[str, Change, Change, str]] = [
    ("esc10", esc, moved(("meta/esc50.csv", "esc50.csv")), "table esc50.csv"),
    ("esc10", esc, moved(("meta/esc50.csv", "a/b/esc50.csv")), "table a/b/esc50.csv"),
    ("esc10", esc, moved(("meta/esc50.csv", "esc50.csv"), ("audio", "x"), ("x", "audio/audio")),
     "table esc50.csv, clips in audio/audio/"),
    ("esc10", esc, nest, "table archive-master/meta/esc50.csv, clips in archive-master/audio/"),
    ("esc10", esc, shout, "20 with endings in capitals"),
    ("urbansound8k", urbansound,
     moved(("metadata/UrbanSound8K.csv", "UrbanSound8K.csv"), ("audio/fold1", "fold1"),
           ("audio/fold2", "fold2")),
     "table UrbanSound8K.csv, clips in the root/"),
    ("urbansound8k", urbansound, nest,
     "table archive-master/metadata/UrbanSound8K.csv, clips in archive-master/audio/"),
    ("urbansound8k", urbansound, shout, "20 with endings in capitals"),
    ("fsdd", fsdd, nest, "clips in archive-master/recordings/"),
    ("fsdd", fsdd, moved(("recordings", "x/wavs")), "clips in x/wavs/"),
    ("fsdd", fsdd, shout, "40 with endings in capitals"),
    ("audiomnist", audiomnist, moved(("data/01", "01"), ("data/02", "02")), "clips in the root/"),
    ("audiomnist", audiomnist, nest, "clips in archive-master/data/"),
    ("audiomnist", audiomnist, shout, "40 with endings in capitals"),
    ("tau2020_mobile", tau, nest, "clips in archive-master/audio/"),
    ("tau2020_mobile", tau, shout, "20 with endings in capitals"),
    ("tut2017", tut, nest,
     f"archive-master/{tut2017.DEVELOPMENT} and archive-master/{tut2017.EVALUATION}"),
    ("tut2017_development", tut, nest, f"archive-master/{tut2017.DEVELOPMENT}"),
    ("tut2017_development", tut, shout, "15 with endings in capitals"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "change", "words"), MIRRORS)
def test_a_mirror_holds_the_same_dataset(
    tmp_path: Path, name: str, make: Change, change: Change, words: str
):
    root = tmp_path / "root"
    make(root)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*official folds are unknown")
        published = datasets.scan(name, root)
        assert published.layout == ""
        assert not published.places
        change(root)
        mirrored = datasets.scan(name, root)
    assert mirrored.digest == published.digest
    assert mirrored.table.equals(published.table)
    assert mirrored.layout == words
    for clip in mirrored.table["clip"]:
        assert len(mirrored.decode(mirrored.path(clip)).samples) == 100


def test_a_store_is_packed_from_a_mirror(tmp_path: Path):
    """What is trained on is the same, bit for bit."""
    stores = []
    for number, change in enumerate((lambda root: None, shout, MIRRORS[2][2])):
        root = tmp_path / str(number)
        esc(root)
        change(root)
        clips = datasets.scan("esc10", root)
        stores.append(pack(clips, 8000, cache=tmp_path / f"cache{number}", progress=False))
    names = {store.folder.name for store in stores}
    waves = {(store.folder / "waves.int16").read_bytes() for store in stores}
    assert len(names) == len(waves) == 1


def test_copies_in_other_rates_are_not_mixed_in(tmp_path: Path):
    """A mirror of ESC-50 holds `audio/audio/*.wav`, and a copy below `audio/audio/16000`."""
    esc(tmp_path)
    published = datasets.scan("esc10", tmp_path)
    move(tmp_path, "audio", "x")
    move(tmp_path, "x", "audio/audio")
    shutil.copytree(tmp_path / "audio/audio", tmp_path / "copy")
    move(tmp_path, "copy", "audio/audio/16000")
    write(tmp_path / "audio/audio/16000", *(published.table["clip"].str[6:].tolist()))
    mirrored = datasets.scan("esc10", tmp_path)
    assert mirrored.digest == published.digest
    assert mirrored.layout == "clips in audio/audio/"
    homes = {mirrored.path(clip).parent for clip in mirrored.table["clip"]}
    assert homes == {tmp_path / "audio/audio"}


def test_the_published_folder_wins_over_a_larger_one(tmp_path: Path):
    """Someone's augmented copies bear the names of recordings."""
    fsdd(tmp_path)
    published = datasets.scan("fsdd", tmp_path)
    whole = [f"{d}_{who}_{t}.wav" for d in range(10) for who in ("theo", "anna") for t in range(9)]
    write(tmp_path / "augmented", *whole)
    assert datasets.scan("fsdd", tmp_path).digest == published.digest
    nest(tmp_path)
    assert datasets.scan("fsdd", tmp_path).digest == published.digest


def test_the_layout_is_said(tmp_path: Path):
    esc(tmp_path)
    ends = {}
    for command in ("check", "describe"):
        words = ["data", command, "esc10", "--root", str(tmp_path)]
        ends[command] = [CliRunner().invoke(app, words).output]
    nest(tmp_path)
    for command, before in ends.items():
        words = ["data", command, "esc10", "--root", str(tmp_path)]
        after = CliRunner().invoke(app, words).output
        assert "layout" in after
        assert "clips in archive-master/audio/" in after
        assert "archive-master/audio" not in before[0]


@pytest.mark.parametrize(
    "words", [("TRUE", "FALSE"), ("1", "0"), ("true ", "False"), ("WAHR", "FALSCH")]
)
def test_esc10_of_a_table_that_a_spreadsheet_saved(tmp_path: Path, words: tuple[str, str]):
    esc(tmp_path)
    published = datasets.scan("esc10", tmp_path)
    write(tmp_path / "audio", "1-9-A-49.wav")
    table = tmp_path / "meta/esc50.csv"
    text = table.read_text().replace("True", words[0]) + f"1-9-A-49.wav,1,49,saw,{words[1]},9,A\n"
    table.write_text(text.replace(",", ";"), encoding="utf-16")
    assert datasets.scan("esc10", tmp_path).digest == published.digest
    table.write_text(text.replace(f",{words[1]},", ",maybe,"))
    with pytest.raises(ValueError, match=r"esc10=maybe in row 21 is neither True nor False: take"):
        datasets.scan("esc10", tmp_path)


# A tree is walked once, whatever lies in it


def test_links_are_followed_once(tmp_path: Path):
    root = tmp_path / "root"
    write(tmp_path, "root/b/x.wav", "elsewhere/deep/y.wav", "one.wav")
    (root / "a").symlink_to(root / "b")  # in the tree already
    (root / "b/self").symlink_to(root / "b")
    (root / "b/top").symlink_to(root)
    (root / "b/disk").symlink_to("/")
    (root / "b/again.wav").symlink_to(root / "b/x.wav")
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "d").symlink_to(tmp_path / "elsewhere")
    (root / "e.wav").symlink_to(tmp_path / "one.wav")
    (root / "round").symlink_to("round")
    (root / "gone").symlink_to("nowhere")
    found = tree.walk(root)
    assert found.files == ["b/x.wav", "c/deep/y.wav", "e.wav"]
    assert found.again == ["a", "b/again.wav", "b/disk", "b/self", "b/top", "d"]
    assert found.broken == ["gone", "round"]


def test_special_files_are_never_opened(tmp_path: Path):
    """Opening the FIFO would wait for ever."""
    write(tmp_path, "dog/a.wav", "cat/a.wav")
    os.mkfifo(tmp_path / "dog/b.wav")
    (tmp_path / "dog/null.wav").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listening:
        before = Path.cwd()
        os.chdir(tmp_path)
        listening.bind("cat/s.wav")
        os.chdir(before)
    line = (
        r"left out below .*, as FIFOs, sockets or devices: cat/s\.wav, dog/b\.wav, dog/null\.wav$"
    )
    with pytest.warns(UserWarning, match=line):
        assert len(datasets.scan("folders", tmp_path).table) == 2
    path = tmp_path / "manifest.csv"
    path.write_text("path,label\ndog/a.wav,x\ndog/b.wav,x\n")
    with pytest.raises(
        ValueError, match=r"1 of 2 clips cannot be opened .*dog/b\.wav \(it is no re"
    ):
        datasets.scan("manifest", path)
    with pytest.raises(ValueError, match=r"b\.wav cannot be read \(it is no regular file"):
        datasets.scan("manifest", tmp_path / "dog/b.wav")


def test_too_many_files_and_too_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, "dog/a.wav", "dog/b.wav", "/".join([*"abcd", "x.wav"]))
    monkeypatch.setattr(tree, "ENTRIES", 5)
    with pytest.raises(
        ValueError, match=r"^more than 5 files below .*: name the folder that holds"
    ):
        tree.walk(tmp_path)
    monkeypatch.setattr(tree, "ENTRIES", 50)
    monkeypatch.setattr(tree, "DEPTH", 2)
    with pytest.raises(ValueError, match=r"/a/b/c lies more than 2 folders deep: name the folder"):
        tree.walk(tmp_path)


@pytest.fixture
def _nobody() -> Iterator[None]:
    """A user whom the rights of files bind, which root is not."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A folder that any user may look into."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    yield root
    for path in sorted(root.rglob("*")):
        path.chmod(stat.S_IRWXU)
    shutil.rmtree(root)


def test_a_folder_that_cannot_be_read_is_refused(open_root: Path, request: pytest.FixtureRequest):
    write(open_root, "dog/a.wav", "cat/a.wav")
    (open_root / "cat").chmod(0)
    request.getfixturevalue("_nobody")
    with pytest.raises(
        ValueError, match=r"^folder .*/cat cannot be read \(Permission denied\): give yourself"
    ):
        datasets.scan("folders", open_root)


def test_clips_know_their_files():
    clips = Clips(
        "x", Path("root"), datasets.scan("synthetic").table, lambda path: None, {"a": "b"}
    )  # type: ignore[arg-type, return-value]
    assert (clips.path("a"), clips.path("c")) == (Path("root/b"), Path("root/c"))
