"""A store holds what the files hold, is packed once, and is whole or not there at all."""

import hashlib
import json
import pickle
import re
import resource
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
import soxr
import torch

from scaling.sound.cache import each
from scaling.sound.clip_table import digest, glance
from scaling.sound.clips import Clips, Decoded, decode_file, from_files
from scaling.sound.datasets import scan
from scaling.sound.decode.kinds import CONVERT
from scaling.sound.packing import pack
from scaling.sound.store import Mapped, Pinned, Store, Uploaded
from scaling.sound.transforms.pitch import pitched
from scaling.sound.waves import examine

RATE = 16_000


def noise(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    random = np.random.default_rng(round(1000 * seconds) + rate + channels)
    return np.clip(0.2 * random.normal(size=(round(seconds * rate), channels)), -0.9, 0.9)


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    """Seven clips of four formats, five rates, one to three channels, all lengths."""
    root = tmp_path / "sounds"
    root.mkdir()
    soundfile.write(root / "a.wav", noise(0.5, RATE), RATE)
    soundfile.write(root / "b.wav", noise(0.3, 44_100, 2), 44_100, subtype="PCM_24")
    soundfile.write(root / "c.flac", noise(1.1, 48_000, 3), 48_000)
    soundfile.write(root / "d.ogg", noise(0.7, 22_050, 2), 22_050)
    soundfile.write(root / "e.wav", noise(0.01, 8_000), 8_000, subtype="FLOAT")
    soundfile.write(root / "f.aiff", noise(0.4, RATE, 2), RATE)
    soundfile.write(root / "g.wav", noise(2.0, 8_000), 8_000)
    names = sorted(path.name for path in root.iterdir())
    rows = [{"clip": name, "label": "xyx"[n % 3], "fold": n} for n, name in enumerate(names)]
    return from_files("mine", root, rows)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def counted(clips: Clips) -> tuple[Clips, list[str]]:
    """The same clips, and the names that are decoded from now on."""
    decoded: list[str] = []

    def decode(path: Path) -> Decoded:
        decoded.append(path.name)
        return clips.decode(path)

    return replace(clips, decode=decode), decoded


def plain(clips: Clips, name: str, samples: int) -> np.ndarray:
    """One row of a batch, step by step."""
    wave, rate = decode_file(clips.root / name)
    mono = soxr.resample(sum(wave.T) / wave.shape[1], rate, RATE, quality="HQ")
    row = np.zeros(samples, np.int16)
    for at, value in enumerate(mono[:samples]):
        row[at] = max(-32768, min(32767, round(float(value) * 32768)))
    return row


# What a store holds


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_what_the_files_hold(clips: Clips, cache: Path, workers: int):
    packed = pack(clips, RATE, cache=cache, workers=workers, progress=False)
    names = clips.table["clip"]
    for samples in (1, 6_000, 40_000):
        order = np.array([6, 0, 3, 3, 1, 2, 5, 4])
        batch = packed.batch(order, samples)
        assert (batch.dtype, tuple(batch.shape)) == (torch.int16, (8, samples))
        twin = np.stack([plain(clips, names[index], samples) for index in order])
        assert np.abs(batch.numpy().astype(int) - twin).max() <= 1  # mean and sum round differently


def test_a_store_says_what_it_is(clips: Clips, cache: Path):
    packed = pack(clips, RATE, cache=cache, progress=False)
    known = packed.table.drop(columns="content")
    pd.testing.assert_frame_equal(known, clips.table.drop(columns="content"))
    contents = [(clips.root / name).read_bytes() for name in clips.table["clip"]]
    assert packed.table["content"].tolist() == [hashlib.sha256(c).hexdigest() for c in contents]
    assert packed.digest == digest(packed.table)
    assert re.fullmatch("2-[0-9a-f]{16}", packed.digest)
    assert packed.glance == clips.digest
    assert packed.folder == cache / f"{packed.digest}-{RATE}"
    assert packed.rate == RATE
    assert packed.labels == ("x", "y")
    assert packed.targets.dtype == np.int64
    assert [packed.labels[t] for t in packed.targets] == clips.table["label"].tolist()
    assert {path.name for path in packed.folder.iterdir()} == {
        "waves.int16",
        "clips.parquet",
        "store.json",
        "seal.json",
    }
    facts = json.loads((packed.folder / "store.json").read_text())
    assert facts["dataset"] == "mine"
    assert facts["samples_beyond_full_scale"] == 0
    again = pickle.loads(pickle.dumps(packed))
    assert len(pickle.dumps(packed)) < 1000
    assert torch.equal(again.batch(np.array([2]), 100), packed.batch(np.array([2]), 100))


def test_strings_as_pandas_2_has_them(clips: Clips, cache: Path):
    packed = pack(clips, RATE, cache=cache, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pd.option_context("future.infer_string", False):
            again = Store.open(packed.folder)
            assert pq.read_schema(packed.folder / "clips.parquet").metadata is None
            assert digest(again.table) == packed.digest
            assert again.labels == packed.labels


def test_full_scale_is_a_limit(tmp_path: Path, cache: Path):
    root = tmp_path / "loud"
    root.mkdir()
    wave = np.array([0, 0.5, 1.5, -1.0, -7, 1.0, 1 / 32768, 1.6 / 32768])
    soundfile.write(root / "a.wav", wave, RATE, subtype="FLOAT")
    loud = from_files("loud", root, [{"clip": "a.wav", "label": "x"}])
    with pytest.warns(UserWarning, match="loud: 2 of 8 samples lay beyond full scale"):
        packed = pack(loud, RATE, cache=cache, progress=False)
    expected = [0, 16384, 32767, -32768, -32768, 32767, 1, 2]
    assert packed.batch(np.array([0]), 8).tolist() == [expected]


def test_real_recordings(esc10: Path, cache: Path):
    clips = scan("esc10", esc10)
    few = replace(clips, table=clips.table.iloc[:6].reset_index(drop=True))
    packed = pack(few, 22_050, cache=cache, progress=False)
    batch = packed.batch(np.arange(6), 5 * 22_050).numpy() / 32768
    for row, name in zip(batch, few.table["clip"], strict=True):
        wave, rate = soundfile.read(esc10 / name)
        assert rate == 44_100
        assert np.sqrt(np.mean(row**2)) <= np.sqrt(np.mean(wave**2)) * 1.01
        low = np.convolve(wave, np.ones(64) / 64, "same")[::2][: len(row)]
        same = np.convolve(row, np.ones(32) / 32, "same")[: len(low)]
        assert np.corrcoef(low, same)[0, 1] > 0.99


# Short clips, filled


def test_a_tiled_clip_is_repeated(clips: Clips, cache: Path):
    """As np.resize repeats it, from its start; a clip that is long enough stays as it is."""
    packed = pack(clips, RATE, cache=cache, progress=False)
    tiled, order = packed.tiled(), np.array([4, 6, 0, 3, 4])
    lengths = pq.read_table(packed.folder / "clips.parquet")["length"].to_pylist()
    assert lengths[4] == 160
    assert lengths[6] == 32_000
    for samples in (1, 159, 160, 161, 320, 10_007, 20_000):
        whole = packed.batch(order, 40_000).numpy()
        twin = [np.resize(whole[n, : lengths[row]], samples) for n, row in enumerate(order)]
        assert (tiled.batch(order, samples).numpy() == np.stack(twin)).all()
        long = np.array([row for row in range(7) if lengths[row] >= samples])
        assert torch.equal(tiled.batch(long, samples), packed.batch(long, samples))
    assert packed.batch(order, 400)[0, 160:].eq(0).all(), "the store itself is filled with zeros"


def test_shifted_copies_are_tiled_too(clips: Clips, cache: Path):
    rows = clips.table[clips.table["clip"].isin(["b.wav", "c.flac"])].reset_index(drop=True)
    packed = pack(replace(clips, table=rows), RATE, cache=cache, progress=False)
    copies = pitched(packed, progress=False)
    which, samples, short = np.array([3, 8]), 12_000, round(0.3 * RATE)
    tiled = copies.tiled().batch(np.arange(2), which, samples)
    padded = copies.batch(np.arange(2), which, samples)
    assert (tiled[0].numpy() == np.resize(padded[0, :short].numpy(), samples)).all()
    assert padded[0, short:].eq(0).all()
    assert torch.equal(tiled[1], padded[1]), "1.1 s are long enough"


# Packed once


def test_packed_once(clips: Clips, cache: Path):
    mine, decoded = counted(clips)
    first = pack(mine, RATE, cache=cache, progress=False)
    assert sorted(decoded) == sorted(clips.table["clip"])
    again = pack(mine, RATE, cache=cache, progress=False)
    assert len(decoded) == 7
    assert again.folder == first.folder
    assert pack(mine, 8_000, cache=cache, progress=False).folder != first.folder
    assert len(decoded) == 14


def test_two_at_once_pack_once(clips: Clips, cache: Path):
    mine, decoded = counted(clips)
    barrier = Barrier(2)

    def go(_: int) -> Path:
        barrier.wait()
        return pack(mine, RATE, cache=cache, progress=False).folder

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(go, range(2)))) == 1
    assert len(decoded) == 7


def test_few_clips_are_in_flight(clips: Clips):
    """Decoding waits for the disk: a dataset larger than memory can be packed."""
    begun: list[str] = []
    names = [str(n) for n in range(100)]

    def note(name: str) -> str:
        begun.append(name)
        return name

    for number, name in enumerate(each(note, names, 2, "")):
        assert name == str(number)
        assert len(begun) <= number + 10
    assert len(begun) == 100


def test_the_cache_has_its_places(clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "one"))
    assert pack(clips, RATE, progress=False).folder.parent == tmp_path / "one"
    monkeypatch.delenv("OVERHEAR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    monkeypatch.setenv("HOME", str(tmp_path / "two"))
    folder = pack(clips, RATE, progress=False).folder
    assert tmp_path / "two" in folder.parents
    assert "overhear" in folder.parts


# What cannot be read


def broken(clips: Clips, count: int) -> Clips:
    """The clips with `count` texts among them that call themselves wav."""
    for number in range(count):
        (clips.root / f"bad{number:02}.wav").write_text("a text")
    names = sorted(path.name for path in clips.root.iterdir())
    rows = [{"clip": name, "label": "x" if name < "d" else "y"} for name in names]
    return from_files("mine", clips.root, rows)


def test_unreadable_files_are_named_all_at_once(clips: Clips, cache: Path):
    mine = broken(clips, 2)
    line = (
        r"^2 of 9 clips of mine cannot be read: bad00\.wav: format not recognised: convert .*; "
        r"bad01\.wav: format not recognised: convert .* \(--skip-unreadable leaves them out\)$"
    )
    with pytest.raises(ValueError, match=line):
        pack(mine, RATE, cache=cache, progress=False)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
    reason = f"format not recognised: {CONVERT}"
    assert examine(mine, progress=False).unreadable == {"bad00.wav": reason, "bad01.wav": reason}
    assert examine(clips, progress=False).unreadable == {}


def test_many_unreadable_files_are_counted(clips: Clips, cache: Path):
    with pytest.raises(ValueError, match=r"^13 of 20 .*bad09\.wav: .*; and 3 more \(--skip"):
        pack(broken(clips, 13), RATE, cache=cache, progress=False)


def test_skipping_keeps_the_rest_under_its_own_name(clips: Clips, cache: Path):
    mine, decoded = counted(broken(clips, 2))
    with pytest.warns(UserWarning, match=r"2 unreadable clips are left out: bad00\.wav, bad01"):
        packed = pack(mine, RATE, cache=cache, skip_unreadable=True, progress=False)
    assert len(decoded) == 9
    assert packed.table["clip"].tolist() == clips.table["clip"].tolist()
    rest = mine.table[~mine.table["clip"].str.startswith("bad")]
    assert packed.glance == glance(rest) != mine.digest
    twin = plain(clips, "g.wav", 5_000)
    assert np.abs(packed.batch(np.array([6]), 5_000).numpy()[0].astype(int) - twin).max() <= 1
    with pytest.warns(UserWarning, match="2 unreadable clips are left out"):
        again = pack(mine, RATE, cache=cache, skip_unreadable=True, progress=False)
    assert again.folder == packed.folder
    assert len(decoded) == 9
    with pytest.raises(ValueError, match="2 of 9 clips"):
        pack(mine, RATE, cache=cache, progress=False)
    assert {path.suffix for path in cache.iterdir() if path.is_file()} == {".lock", ".json"}
    assert [path for path in cache.iterdir() if path.is_dir()] == [packed.folder]


def test_nothing_left(clips: Clips, cache: Path):
    for path in clips.root.iterdir():
        path.write_text("a text")
    with pytest.raises(ValueError, match=r"^7 of 7 clips of mine cannot be read"):
        pack(clips, RATE, cache=cache, skip_unreadable=True, progress=False)


def test_a_clip_shorter_than_a_sample(tmp_path: Path, cache: Path):
    soundfile.write(tmp_path / "a.wav", np.ones(1) / 2, 192_000)
    short = from_files("short", tmp_path, [{"clip": "a.wav", "label": "x"}])
    with pytest.raises(ValueError, match=r"a\.wav: too short: nothing is left of it at 1000 Hz"):
        pack(short, 1000, cache=cache, progress=False)


# What is not whole, and what cannot be written


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda folder: cut(folder / "waves.int16"), "waves.int16 has .* bytes, not"),
        (lambda folder: cut(folder / "clips.parquet"), "clips.parquet has .* bytes, not"),
        (lambda folder: cut(folder / "store.json"), "is damaged"),
        (lambda folder: (folder / "waves.int16").unlink(), "No such file"),
        (lambda folder: (folder / "store.json").unlink(), "No such file"),
        (
            lambda folder: (folder / "store.json").write_text('{"version": 99}'),
            "layout 99, this Overhear knows 2",
        ),
        (
            lambda folder: (folder / "store.json").write_text(
                (folder / "store.json").read_text().replace('"clips": 7', '"clips": 8')
            ),
            "store.json holds other bytes than were written",
        ),
    ],
)
def test_damage_is_seen_and_mended(clips: Clips, cache: Path, damage, line: str):
    packed = pack(clips, RATE, cache=cache, progress=False)
    before = packed.batch(np.arange(7), 9_000)
    damage(packed.folder)
    with pytest.raises(ValueError, match=line) as error:
        Store.open(packed.folder)
    assert "\n" not in str(error.value)
    with pytest.warns(UserWarning, match="is damaged"):
        mended = pack(clips, RATE, cache=cache, progress=False)
    assert mended.folder == packed.folder
    assert torch.equal(mended.batch(np.arange(7), 9_000), before)


def test_what_a_killed_process_left_is_cleared(clips: Clips, cache: Path):
    draft = cache / f".writing-{clips.digest}-{RATE}"
    draft.mkdir(parents=True)
    (draft / "waves.int16").write_bytes(b"half")
    pack(clips, RATE, cache=cache, progress=False)
    assert not draft.exists()


def test_a_failure_leaves_nothing_behind(clips: Clips, cache: Path):
    def decode(path: Path) -> Decoded:
        raise KeyboardInterrupt

    stopped = replace(clips, decode=decode)
    with pytest.raises(KeyboardInterrupt):
        pack(stopped, RATE, cache=cache, progress=False)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written(clips: Clips, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        ValueError, match=r"^cache .*file/cache cannot be written \(.*OVERHEAR_CACHE"
    ):
        pack(clips, RATE, cache=tmp_path / "file" / "cache", progress=False)


def test_a_full_disk(clips: Clips, cache: Path):
    """A limit on the size of files stands for it: the same write fails in the same way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(ValueError, match=r"cannot be written \(File too large\): raise "):
            pack(clips, RATE, cache=cache, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
    assert len(pack(clips, RATE, cache=cache, progress=False).table) == 7


# On a GPU (what can be said of it without one)


def test_uploaded_batches_are_the_mapped_ones(clips: Clips, cache: Path):
    packed = pack(clips, RATE, cache=cache, progress=False)
    cpu = torch.device("cpu")
    assert packed.resident(cpu, 9_000) is packed
    uploaded = packed._upload(cpu, 9_000)
    order = np.array([5, 0, 0, 6])
    for samples in (9_000, 100):
        assert torch.equal(uploaded(order, samples), packed.batch(order, samples))
    with pytest.raises(AssertionError, match="fewer samples"):
        uploaded(order, 9_001)


@pytest.mark.parametrize(("free", "kind"), [(4 * 7 * 9_000, Uploaded), (4 * 7 * 9_000 - 2, Pinned)])
def test_only_what_fits_is_uploaded(
    clips: Clips, cache: Path, monkeypatch: pytest.MonkeyPatch, free: int, kind: type
):
    packed = pack(clips, RATE, cache=cache, progress=False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**12))
    upload = Store._upload
    monkeypatch.setattr(Store, "_upload", lambda s, _, n: upload(s, torch.device("cpu"), n))
    there = packed.resident(torch.device("cuda", 0), 9_000)
    assert isinstance(there.read, kind)
    assert isinstance(packed.read, Mapped)
    assert (there.labels, there.folder) == (packed.labels, packed.folder)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_the_gpu(clips: Clips, cache: Path):
    packed = pack(clips, RATE, cache=cache, progress=False)
    device = torch.device("cuda", 0)
    order = np.array([5, 0, 0, 6])
    assert isinstance(packed.read, Mapped)
    for there in (packed.resident(device, 9_000).read, Pinned(packed.read, device)):
        batch = there(order, 9_000)
        assert batch.device == device
        assert torch.equal(batch.cpu(), packed.batch(order, 9_000))
