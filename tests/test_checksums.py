"""What lies in the cache is believed only while it is what was written."""

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from scaling.settings import Trial, changed
from scaling.sound import checksums, datasets, prepare
from scaling.sound.store import Store
from scaling.sound.transforms import reverb
from scaling.sound.transforms.reverb import Rooms

RATE = 16_000


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Six WAVs of two classes, of six lengths."""
    root, random = tmp_path / "recordings", np.random.default_rng(0)
    for label in "xy":
        (root / label).mkdir(parents=True)
        for number in range(3):
            wave_T = random.normal(0, 0.1, 12_000 + 100 * number + ord(label))
            soundfile.write(root / label / f"{number}.wav", wave_T, RATE)
    return root


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def mine(trial: Trial) -> Trial:
    return changed(trial, {"sound.dataset": "folders"})


def driver(trial: Trial, root: Path) -> Store:
    """What a sweep's driver does before any trial."""
    (store,) = prepare.stores([trial], prepare.scan([trial], root)).values()
    return store


def table(folder: Path, change: Callable[[pd.DataFrame], object]) -> None:
    frame = pq.read_table(folder / "clips.parquet").to_pandas()
    change(frame)
    packed = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(packed, folder / "clips.parquet")


def facts(folder: Path, **changes: object) -> None:
    path = folder / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=1))


def flip(path: Path) -> None:
    """One bit, at the same size."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def reverse(frame: pd.DataFrame, column: str) -> None:
    frame[column] = frame[column].to_numpy()[::-1].copy()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "labels permuted": lambda folder: table(folder, lambda frame: reverse(frame, "label")),
    "offsets reversed": lambda folder: table(folder, lambda frame: reverse(frame, "offset")),
    "lengths reversed": lambda folder: table(folder, lambda frame: reverse(frame, "length")),
    "an offset beyond the end": lambda folder: table(
        folder, lambda frame: frame.__setitem__("offset", frame["offset"] + 10**9)
    ),
    "waves zeroed": lambda folder: (folder / "waves.int16").write_bytes(
        bytes((folder / "waves.int16").stat().st_size)
    ),
    "a bit of the waves": lambda folder: flip(folder / "waves.int16"),
    "a bit of the table": lambda folder: flip(folder / "clips.parquet"),
    "a bit of the seal": lambda folder: flip(folder / "seal.json"),
    "the rate": lambda folder: facts(folder, rate=8_000),
    "the digest": lambda folder: facts(folder, digest="2-0000000000000000"),
    "samples as text": lambda folder: facts(folder, samples="many"),
    "a list for facts": lambda folder: (folder / "store.json").write_text("[]"),
    "facts without end": lambda folder: (folder / "store.json").write_text("[" * 10**5),
    "no seal": lambda folder: (folder / "seal.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("small", [checksums.SMALL, 0])
def test_a_damaged_store_is_packed_again_before_any_trial(
    mine: Trial,
    recordings: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: str,
    small: int,
):
    """Of small files and of large ones, which are not read at each opening."""
    monkeypatch.setattr(checksums, "SMALL", small)
    store = driver(mine, recordings)
    waves, labels = store.batch(np.arange(6), 14_000), store.table["label"].tolist()
    DAMAGE[damage](store.folder)
    with pytest.warns(UserWarning, match="is damaged") as said:
        again = driver(mine, recordings)
    lines = {str(each.message) for each in said}
    assert len(lines) == 1
    assert str(store.folder) in lines.pop()
    assert again.folder == store.folder
    assert again.table["label"].tolist() == labels
    assert (again.batch(np.arange(6), 14_000) == waves).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        driver(mine, recordings)


def test_a_store_under_another_name_is_not_taken(mine: Trial, recordings: Path, cache: Path):
    """Whole and sealed, but of other clips: two folders of the cache were swapped."""
    store = driver(mine, recordings)
    (recordings / "x" / "0.wav").unlink()
    other = driver(mine, recordings)
    shutil.rmtree(other.folder)
    shutil.copytree(store.folder, other.folder)
    with pytest.warns(UserWarning, match=f"it holds the clips of {store.folder.name}"):
        assert len(driver(mine, recordings).table) == 5


@pytest.mark.parametrize("name", ["waves.int16", "clips.parquet", "store.json", "seal.json"])
def test_damaged_pitch_copies_are_made_again(mine: Trial, recordings: Path, cache: Path, name: str):
    pitched = changed(mine, {"augment.transform": "pitch", "augment.transform_share": "0.5"})
    store = driver(pitched, recordings)
    (folder,) = cache.glob("*-pitched-v[0-9]")
    before = (folder / "waves.int16").read_bytes()
    flip(folder / name)
    with pytest.warns(UserWarning, match="pitched.* is damaged"):
        driver(pitched, recordings)
    assert (folder / "waves.int16").read_bytes() == before
    assert store.folder.exists()


@pytest.mark.parametrize("name", ["responses.npy", "rooms.parquet", "rooms.json", "seal.json"])
def test_damaged_rooms_are_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    shape = {"rt60": 0.5, "unreachable": 0, "outside": 0}
    room = reverb.Room(np.array([0.6, 0.8], np.float32), shape)
    monkeypatch.setattr(reverb, "_room", lambda rate, number: room)
    made: Rooms = reverb.rooms(8_000, 3, progress=False)
    (folder,) = cache.glob("rooms-v*-3")
    flip(folder / name)
    with pytest.warns(UserWarning, match="damaged"):
        again = reverb.rooms(8_000, 3, progress=False)
    assert (again.responses_MK == made.responses_MK).all()


def test_bytes_are_read_once_while_nothing_was_touched(
    mine: Trial, recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    """What was just written, or verified, is not read again; a copied cache is, once."""
    monkeypatch.setattr(checksums, "SMALL", 0)
    read, whole = [], checksums.sha256

    def noted(path: Path) -> str:
        read.append(path.name)
        return whole(path)

    store = driver(mine, recordings)
    monkeypatch.setattr(checksums, "sha256", noted)
    driver(mine, recordings)
    assert read == []
    os.utime(store.folder / "waves.int16")
    driver(mine, recordings)
    assert sorted(read) == ["clips.parquet", "store.json", "waves.int16"]
    driver(mine, recordings)
    assert len(read) == 3


def test_a_worker_takes_the_drivers_word_for_the_waves(
    mine: Trial, recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    store = driver(mine, recordings)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("every byte was read")

    monkeypatch.setattr(checksums, "verify", never)
    there = prepare.reopened(mine, store.folder, str(recordings))
    assert there.folder == store.folder


def test_check_deep_finds_a_bit_that_no_time_tells(
    mine: Trial, recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    from test_contents import check

    store = driver(mine, recordings)
    memory = cache / f"{store.folder.name}.verified.json"
    monkeypatch.setattr(checksums, "SMALL", 0)
    flip(store.folder / "waves.int16")
    checksums._remember(
        store.folder, checksums._stamps(store.folder, checksums.check(store.folder))
    )
    driver(mine, recordings)
    code, _, line = check(recordings, "--deep")
    assert code
    assert "is damaged (waves.int16 holds other bytes than were written): the next sweep" in line
    assert not memory.exists()
    with pytest.warns(UserWarning, match="is damaged"):
        driver(mine, recordings)
    assert check(recordings, "--deep")[0] == 0


def test_a_file_is_on_the_disk_before_it_has_its_name(
    mine: Trial, recordings: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    """In the order of the calls: every file and its folder are flushed, then the folder renamed."""
    calls: list[str] = []
    sync, rename = os.fsync, Path.rename

    def flushed(descriptor: int) -> None:
        calls.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        calls.append(f"to {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "rename", renamed)
    store = driver(mine, recordings)
    at = calls.index(f"to {store.folder.name}")
    assert {"waves.int16", "clips.parquet", "store.json", "seal.json"} <= set(calls[:at])
    assert calls[at + 1] == "cache"


def test_what_killed_processes_left_is_cleared(mine: Trial, recordings: Path, cache: Path):
    """Unless its process lives: it then holds the lock."""
    from filelock import FileLock

    for name in ("dead", "alive"):
        (cache / f".writing-{name}").mkdir(parents=True)
        (cache / f".writing-{name}" / "waves.int16").write_bytes(b"half")
    old, new = cache / ".writing-note-1", cache / ".writing-note-2"
    for note in (old, new):
        note.write_bytes(b"half")
    os.utime(old, (1, 1))
    with FileLock(cache / "alive.lock"):
        driver(mine, recordings)
        left = sorted(path.name for path in cache.glob(".writing-*"))
        assert left == [".writing-alive", ".writing-note-2"]


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("file/cache", "Not a directory.*: move the file that is in its way"),
        ("x" * 300, "File name too long.*: give it a shorter path"),
        ("loop/cache", "symbolic links.*: mend the link that leads to itself"),
    ],
)
def test_remedies_fit_their_cause(
    mine: Trial,
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    remedy: str,
):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / place))
    with pytest.raises(ValueError, match=remedy) as error:
        driver(mine, recordings)
    assert "free some space" not in str(error.value)
    assert "OVERHEAR_CACHE" in str(error.value)


def test_a_file_where_a_lock_belongs(mine: Trial, recordings: Path, cache: Path):
    digest = datasets.scan("folders", recordings).digest
    (cache / f"{digest}-{RATE}.lock").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"Is a directory.*: move the folder that is in its way"):
        driver(mine, recordings)
