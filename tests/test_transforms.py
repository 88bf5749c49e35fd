"""Clips shifted in pitch and set in rooms: as promised, made once, and whole or not there."""

import json
import pickle
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import soundfile
import soxr
import torch
from scipy import signal

from scaling.settings import Features, Sound
from scaling.sound import datasets
from scaling.sound.clips import from_files
from scaling.sound.microphones import Bank
from scaling.sound.packing import pack
from scaling.sound.store import WAVES, Mapped, Store
from scaling.sound.transforms import TRANSFORMS, pitch
from scaling.sound.transforms import reverb as module
from scaling.sound.transforms.pitch import SEMITONES, Pitched, pitched, shift, window
from scaling.sound.transforms.reverb import RT60, Rooms, reverberate, rooms
from scaling.sound.transforms.transform import UNCHANGED, Batch

RATE = 8_000
TONE = 700.0  # Hz
LOW = 2_000  # Hz, for rooms: fewer samples


def tone(seconds: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * TONE * np.arange(round(seconds * RATE)) / RATE)


def packed(folder: Path, waves: dict[str, np.ndarray]) -> Store:
    """A store of these waves at RATE, in a cache below the folder."""
    for name, wave in waves.items():
        soundfile.write(folder / name, wave, RATE)
    clips = from_files("mine", folder, [{"clip": name, "label": "x", "fold": 1} for name in waves])
    return pack(clips, RATE, cache=folder / "cache", progress=False)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A sine, noise and silence, of three lengths."""
    noise = 0.1 * np.random.default_rng(0).normal(size=9_001)
    return packed(tmp_path, {"a.wav": tone(1.5), "b.wav": noise, "c.wav": np.zeros(7_777)})


def frequency(wave_T: np.ndarray, rate: int) -> float:
    """Of the strongest sine in it, Hz."""
    size = 1 << 19
    spectrum = np.abs(np.fft.rfft(wave_T * np.hanning(len(wave_T)), size))
    return float(spectrum.argmax() * rate / size)


def level_db(wave_T: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(wave_T, dtype=np.float64))))


# Pitch


@pytest.mark.parametrize("which", range(len(SEMITONES)))
def test_a_sine_is_shifted_and_keeps_length_and_level(store: Store, which: int):
    copies = pitched(store, progress=False)
    plain = store.batch(np.array([0]), 20_000)[0].numpy()
    copy = copies.batch(np.array([0]), np.array([which]), 20_000)[0].numpy()
    assert not copy[12_000:].any()
    wanted = TONE * 2 ** (SEMITONES[which] / 12)
    assert frequency(copy[:12_000], RATE) == pytest.approx(wanted, rel=3e-3)
    assert level_db(copy[:12_000]) == pytest.approx(level_db(plain[:12_000]), abs=1)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_other_rates_shift_alike(rate: int):
    wave_T = np.sin(2 * np.pi * TONE * np.arange(rate) / rate).astype(np.float32)
    for shifted_T, semitones in zip(shift(wave_T, rate), SEMITONES, strict=True):
        wanted = TONE * 2 ** (semitones / 12)
        assert frequency(shifted_T, rate) == pytest.approx(wanted, rel=3e-3)


def test_every_copy_is_as_long_and_loud_as_its_clip(store: Store):
    """Noise, too, which a phase vocoder alone makes 3.3 dB quieter."""
    copies = pitched(store, progress=False).copies
    assert isinstance(copies.read, Mapped)
    assert isinstance(store.read, Mapped)
    assert copies.read.lengths_N.tolist() == np.repeat(store.read.lengths_N, 10).tolist()
    assert copies.table["clip"].tolist() == np.repeat(store.table["clip"], 10).tolist()
    noise = level_db(store.batch(np.array([1]), 9_001).numpy())
    for row in copies.batch(np.arange(10, 20), 9_001).numpy():
        assert level_db(row) == pytest.approx(noise, abs=1)


def test_silence_stays_silence(store: Store):
    assert not shift(np.zeros(7_777, np.float32), RATE).any()
    which = np.arange(10)
    assert not pitched(store, progress=False).batch(np.full(10, 2), which, 7_777).any()


def test_shifts_equal_the_plain_vocoder():
    """In double precision and with every phase advance in full."""
    from torchaudio.functional import phase_vocoder

    wave_T = np.random.default_rng(1).normal(size=12_345).astype(np.float32)
    size, samples = window(RATE), len(wave_T)
    hann = torch.hann_window(size, dtype=torch.float64)
    bins_FN = torch.stft(
        torch.from_numpy(wave_T).double(),
        size,
        size // 4,
        window=hann,
        pad_mode="constant",
        return_complex=True,
    )
    advance_F1 = torch.linspace(0, np.pi * (size // 4), size // 2 + 1, dtype=torch.float64)[:, None]
    for shifted_T, semitones in zip(shift(wave_T, RATE), SEMITONES, strict=True):
        ratio = 2 ** (semitones / 12)
        stretched_FN = phase_vocoder(bins_FN, 1 / ratio, advance_F1)
        long = torch.istft(
            stretched_FN, size, size // 4, window=hann, length=round(samples * ratio)
        ).numpy()
        long *= np.sqrt(np.mean(wave_T.astype(np.float64) ** 2) / np.mean(long**2))
        plain_T = soxr.resample(long, ratio, 1.0, quality="HQ")[:samples]
        assert np.abs(shifted_T[: len(plain_T)] - plain_T).max() < 1e-4 * np.abs(plain_T).max()


def test_what_lies_beyond_full_scale_is_limited_and_counted(tmp_path: Path):
    square = np.sign(tone(1.0)) * 0.999
    copies = pitched(packed(tmp_path, {"a.wav": square}), progress=False).copies
    batch = copies.batch(np.arange(10), RATE)
    assert batch.max() == 32767
    assert batch.min() == -32768
    facts = json.loads((copies.folder / "store.json").read_text())
    assert facts["samples_beyond_full_scale"] >= (batch == 32767).sum() > 0


def test_batches_pick_clip_and_shift(store: Store):
    copies = pitched(store, workers=3, progress=False)
    batch = copies.batch(np.array([1, 0, 1]), torch.tensor([9, 3, 0]), 5_000)
    assert batch.dtype == torch.int16
    assert batch.shape == (3, 5_000)
    for row, clip, which in zip(batch.numpy(), (1, 0, 1), (9, 3, 0), strict=True):
        wave = store.batch(np.array([clip]), [12_000, 9_001][clip])[0].numpy().astype(np.float32)
        plain = np.rint(shift(wave, RATE)[which])[:5_000]
        assert np.abs(row - plain).max() <= 1
    for wrong in (-1, 10):
        with pytest.raises(AssertionError, match="no such shift"):
            copies.batch(np.array([0]), np.array([wrong]), 100)


def test_copies_are_made_once_and_shared(store: Store, monkeypatch: pytest.MonkeyPatch):
    first = pitched(store, progress=False)
    assert first.copies.folder == store.folder.with_name(f"{store.folder.name}-pitched-v1")
    monkeypatch.delattr(pitch, "shift")
    again = pitched(store)
    which = np.array([4, 4, 4])
    wanted = first.batch(np.arange(3), which, 9_000)
    assert torch.equal(again.batch(np.arange(3), which, 9_000), wanted)
    assert isinstance(again.copies.read, Mapped)
    assert isinstance(again.copies.read.waves.base, np.memmap)
    there: Pitched = pickle.loads(pickle.dumps(again))
    assert torch.equal(there.batch(np.arange(3), which, 9_000), wanted)
    assert again.resident(torch.device("cpu"), 9_000).copies is again.copies


def test_copies_of_a_killed_process_are_not_found(store: Store, monkeypatch: pytest.MonkeyPatch):
    calls = []
    torch.set_num_threads(2)

    def killed(wave_T: np.ndarray, rate: int) -> np.ndarray:
        calls.append(len(wave_T))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return shift(wave_T, rate)

    monkeypatch.setattr(pitch, "shift", killed)
    with pytest.raises(KeyboardInterrupt):
        pitched(store, workers=1, progress=False)
    folder = store.folder.with_name(f"{store.folder.name}-pitched-v1")
    assert not folder.exists()
    assert torch.get_num_threads() == 2
    # One that had no time to clean up.
    folder.with_name(f".writing-{folder.name}").mkdir()
    (folder.with_name(f".writing-{folder.name}") / WAVES).write_bytes(b"half")
    monkeypatch.setattr(pitch, "shift", shift)
    assert len(pitched(store, progress=False).copies.table) == 30
    assert not folder.with_name(f".writing-{folder.name}").exists()


def test_copies_that_are_not_whole_are_made_again(store: Store):
    waves = pitched(store, progress=False).copies.folder / WAVES
    whole = waves.read_bytes()
    waves.write_bytes(whole[:-2])
    with pytest.warns(UserWarning, match=r"damaged .* \(done now\)"):
        pitched(store, progress=False)
    assert waves.read_bytes() == whole


def test_a_clip_shorter_than_the_window_is_one_line(tmp_path: Path):
    assert window(RATE) == 512
    short = packed(tmp_path, {"a.wav": tone(1), "b.wav": tone(1)[:511], "c.wav": tone(1)[:512]})
    with pytest.raises(
        ValueError, match=r"^1 of 3 clips .* 512 samples .* 8000 Hz: b.wav \(511 sam"
    ):
        pitched(short, progress=False)
    assert not short.folder.with_name(f"{short.folder.name}-pitched-v1").exists()


def test_a_full_disk_is_one_line(store: Store):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(
            ValueError, match=r"^cache .* cannot be written \(File too large\): raise the limit"
        ):
            pitched(store, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(pitched(store, progress=False).copies.table) == 30


def test_real_clips_stay_finite_and_loud(esc10: Path, tmp_path: Path):
    clips = datasets.scan("esc10", esc10)
    few = clips.table.groupby("label").head(1).head(3).reset_index(drop=True)
    real = pack(replace(clips, table=few), 16_000, cache=tmp_path, progress=False)
    for row in range(3):
        wave_T = real.batch(np.array([row]), 3 * 16_000)[0].numpy().astype(np.float32)
        shifted_ST = shift(wave_T, 16_000)
        assert np.isfinite(shifted_ST).all()
        for shifted_T in shifted_ST:
            assert level_db(shifted_T) == pytest.approx(level_db(wave_T), abs=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_copies_on_the_gpu(store: Store):
    copies, device = pitched(store, progress=False), torch.device("cuda", 0)
    there = copies.resident(device, 9_000).batch(np.arange(3), np.array([0, 9, 4]), 9_000)
    assert there.device == device
    assert torch.equal(there.cpu(), copies.batch(np.arange(3), np.array([0, 9, 4]), 9_000))


# Rooms


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rooms")


@pytest.fixture(scope="module")
def pool(cache: Path) -> Rooms:
    return rooms(LOW, 4, cache=cache, progress=False)


@pytest.fixture
def table(cache: Path, pool: Rooms) -> pd.DataFrame:
    return pq.read_table(cache / f"rooms-v1-{LOW}-4" / "rooms.parquet").to_pandas()


def test_rooms_have_the_rt60_that_they_are_said_to_have(pool: Rooms, table: pd.DataFrame):
    from pyroomacoustics.experimental import measure_rt60

    assert pool.responses_MK.shape[0] == len(pool.rt60_M) == 4
    assert pool.responses_MK.dtype == pool.rt60_M.dtype == torch.float32
    for response_K, rt60 in zip(pool.responses_MK, pool.rt60_M, strict=True):
        assert RT60[0] <= rt60 <= RT60[1]
        length = round(float(rt60) * LOW)
        assert not response_K[length:].any()
        measured = measure_rt60(response_K[:length].numpy(), LOW, decay_db=30)
        assert measured == pytest.approx(float(rt60), rel=0.02)
    assert table["rt60"].to_numpy() == pytest.approx(pool.rt60_M.numpy())
    assert table["wish"].between(*RT60).all()
    assert len(set(table["size_x"])) == 4


def test_responses_have_unit_energy_and_keep_the_level_of_noise(pool: Rooms):
    assert pool.responses_MK.square().sum(dim=1).tolist() == pytest.approx([1] * 4, abs=1e-5)
    waves_BT = torch.randn(4, 30_000, generator=torch.Generator().manual_seed(2))
    heard_BT = reverberate(waves_BT, pool.responses_MK, torch.arange(4))
    for heard_T, wave_T in zip(heard_BT.numpy(), waves_BT.numpy(), strict=True):
        assert level_db(heard_T) == pytest.approx(level_db(wave_T), abs=0.5)


def test_first_arrivals_are_where_geometry_puts_them():
    """The source and its six mirror images, summed by hand; the direct path is sample 0, whole."""
    size, source, microphone = np.array([[6.0, 5.0, 3.0], [1.2, 1.7, 1.0], [4.1, 3.6, 1.9]])
    response_K, source = module._simulate(RATE, size, source, microphone, 0.3, 1)
    direct = np.linalg.norm(source - microphone)
    assert np.abs(source - [1.2, 1.7, 1.0]).max() < 343 / RATE / 2
    assert direct * RATE / 343 == pytest.approx(round(direct * RATE / 343), abs=1e-9)
    images = [source]
    for axis in range(3):
        for wall in (0.0, size[axis]):
            images.append(source.copy())
            images[-1][axis] = 2 * wall - source[axis]
    times, plain_K = np.arange(len(response_K)), np.zeros(len(response_K))
    for number, image in enumerate(images):
        length = np.linalg.norm(image - microphone)
        away = times - (length - direct) * RATE / 343
        taps_K = np.where(np.abs(away) < 40, np.sinc(away) * (1 + np.cos(np.pi * away / 40)) / 2, 0)
        plain_K += direct / length * (0.7**0.5 if number else 1.0) * taps_K
    # Their high-pass at 10 Hz lowers all of it by a few hundredths.
    assert np.abs(response_K / response_K[0] - plain_K).max() < 0.1
    assert response_K[0] == np.abs(response_K).max()


def test_the_source_stands_where_the_direct_path_ends(pool: Rooms, table: pd.DataFrame):
    for response_K, row in zip(pool.responses_MK, table.to_dict("records"), strict=True):
        gaps = [row[f"source_{axis}"] - row[f"microphone_{axis}"] for axis in "xyz"]
        samples = np.linalg.norm(gaps) * LOW / 343
        assert samples == pytest.approx(round(samples), abs=1e-6)
        assert response_K[0] > 0.1
        assert all(0 < row[f"source_{axis}"] < row[f"size_{axis}"] for axis in "xyz")


def test_all_trials_share_the_same_rooms(pool: Rooms, tmp_path: Path):
    """Whoever makes them, with however many threads; a smaller pool is the larger one's start."""
    other = rooms(LOW, 2, cache=tmp_path, workers=1, progress=False)
    assert torch.equal(other.rt60_M, pool.rt60_M[:2])
    length = other.responses_MK.shape[1]
    assert torch.equal(other.responses_MK, pool.responses_MK[:2, :length])


def test_a_pool_is_made_once(pool: Rooms, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(module, "_room")
    again = rooms(LOW, 4, cache=cache)
    assert torch.equal(again.responses_MK, pool.responses_MK)


@pytest.mark.parametrize("name", ["responses.npy", "rooms.parquet"])
def test_a_pool_that_is_not_whole_is_made_again(
    pool: Rooms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    made = module.Room(
        np.array([0.6, 0.8], np.float32), {"rt60": 0.5, "unreachable": 0, "outside": 0}
    )
    monkeypatch.setattr(module, "_room", lambda rate, number: made)
    rooms(LOW, 3, cache=tmp_path, progress=False)
    file = tmp_path / f"rooms-v1-{LOW}-3" / name
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.warns(UserWarning, match=r"^pool .* damaged .* \(done now\)"):
        again = rooms(LOW, 3, cache=tmp_path, progress=False)
    assert again.responses_MK.shape == (3, 2)


def test_rooms_that_cannot_reach_their_rt60_are_drawn_again_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Halls of 12 m x 12 m x 10 m cannot be drier than 0.3 s."""
    monkeypatch.setattr(module, "SMALLEST", (12.0, 12.0, 10.0))
    monkeypatch.setattr(module, "LARGEST", (12.1, 12.1, 10.1))
    monkeypatch.setattr(module, "RT60", (0.2, 0.5))
    made = rooms(LOW, 4, cache=tmp_path, progress=False)
    assert ((made.rt60_M >= 0.2) & (made.rt60_M <= 0.5)).all()
    facts = json.loads((tmp_path / f"rooms-v1-{LOW}-4" / "rooms.json").read_text())
    assert facts["unreachable"] > 0


def test_a_room_that_is_never_in_range_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SMALLEST", (90.0, 80.0, 70.0))
    monkeypatch.setattr(module, "LARGEST", (99.0, 89.0, 79.0))
    with pytest.raises(ValueError, match=r"^room 0: none of 50 .* 2000 Hz \(50 could not reach"):
        rooms(LOW, 2, cache=tmp_path, progress=False)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"^cache .*file cannot be written .*OVERHEAR_CACHE"):
        rooms(LOW, 4, cache=tmp_path / "file", progress=False)


def test_reverberation_is_linear_convolution(pool: Rooms):
    """As scipy's, and as a microphone's without compression; some clips are shorter than rooms."""
    which_B = torch.tensor([3, UNCHANGED, 0, 3, 2])
    for samples in (3_001, 150):
        waves_BT = torch.randn(5, samples, generator=torch.Generator().manual_seed(3))
        heard_BT = reverberate(waves_BT, pool.responses_MK, which_B)
        assert torch.equal(heard_BT[1], waves_BT[1])
        for heard_T, wave_T, which in zip(heard_BT, waves_BT, which_B, strict=True):
            if which != UNCHANGED:
                plain_T = signal.convolve(wave_T, pool.responses_MK[which], method="direct")
                assert np.abs(heard_T.numpy() - plain_T[:samples]).max() < 1e-5
        bank = Bank(pool.responses_MK, samples, LOW, 1.0, 0.0)
        assert torch.allclose(heard_BT, bank(waves_BT, which_B), atol=1e-5)


def test_without_rooms_nothing_is_touched(pool: Rooms):
    waves_BT = torch.randn(2, 100)
    assert reverberate(waves_BT, pool.responses_MK, torch.tensor([-1, -1])) is waves_BT
    for wrong in (4, -2):
        with pytest.raises(AssertionError, match="no such room"):
            reverberate(waves_BT, pool.responses_MK, torch.tensor([0, wrong]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_rooms_on_the_gpu(pool: Rooms):
    waves_BT, which_B = torch.randn(3, 5_000), torch.tensor([1, UNCHANGED, 2])
    plain_BT = reverberate(waves_BT, pool.responses_MK, which_B)
    for responses_MK in (pool.responses_MK, pool.responses_MK.cuda()):
        heard_BT = reverberate(waves_BT.cuda(), responses_MK, which_B)
        assert torch.allclose(heard_BT.cpu(), plain_BT, atol=1e-5)


# What is simulated, to measure how long steps take


def test_simulated_copies_and_rooms_have_the_sizes_of_real_ones(store: Store, tmp_path: Path):
    features = Features(kind="log_mel", window=256, hop=256, mels=8)
    sound = Sound(dataset="mine", rate=RATE, seconds=1.0, features=features)
    silent = replace(store, folder=tmp_path / "simulated" / "noise")
    silent.folder.parent.mkdir()
    for each in TRANSFORMS.values():
        each.simulate(silent)
    here = torch.device("cpu")
    real, copies = pitched(store, progress=False).copies, pitch.Pitch(silent, sound, here).copies
    assert copies.copies.table.equals(real.table)
    assert isinstance(real.read, Mapped)
    assert isinstance(copies.copies.read, Mapped)
    assert copies.copies.read.lengths_N.tolist() == real.read.lengths_N.tolist()
    assert not copies.copies.read.waves.any()
    room = module.Reverb(silent, sound, here)
    assert room.responses_MK.shape == (module.ROOMS, RATE)  # the longest RT60 is 1 s
    assert room.variants == module.ROOMS
    waves_BT = torch.randn(2, 100)
    which = Batch(np.arange(2), torch.tensor([7, UNCHANGED]), np.random.default_rng(0))
    assert torch.allclose(room.apply(waves_BT.clone(), which), waves_BT, atol=1e-5)
