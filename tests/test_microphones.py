"""A clip through a microphone is what scipy's convolution makes of it, and its range is pressed."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal
from torch import Tensor

from scaling.seeds import stream
from scaling.settings import Features, Microphones, Sound
from scaling.sound import datasets
from scaling.sound.augment import draw_microphone
from scaling.sound.microphones import RECORDED, Bank, build, compress, digest, find, load
from scaling.sound.packing import pack
from scaling.sound.store import Store

RATE = 22_050
NAMES = ("Altec_639", "IR_Lomo52A5M", "EV_RE20_Flat")  # the last measured at 48 kHz


@pytest.fixture(scope="session")
def measured() -> Path:
    """The folder of real responses."""
    folder = Path(os.environ.get("OVERHEAR_DATA", "data")) / "MicIRP"
    if not folder.is_dir():
        pytest.skip("MicIRP is not here: set OVERHEAR_DATA to the folder above it")
    return folder


@pytest.fixture(scope="session")
def clips(esc10: Path) -> Tensor:
    """Three seconds of four real recordings, one of them digital silence at its end."""
    every = datasets.scan("esc10", esc10)
    few = every.table.groupby("label").head(1).head(4).reset_index(drop=True)
    store: Store = pack(type(every)(every.dataset, every.root, few, every.decode), RATE)
    return store.batch(np.arange(4), 3 * RATE).float() / 32768


def noise(batch: int = 4, samples: int = 4000) -> Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(7))


def bank(responses: list[list[float]], samples: int = 4000) -> Bank:
    """Without compression."""
    return Bank(torch.tensor(responses), samples, RATE, 1.0, 0.0)


def write(folder: Path, name: str, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(folder / f"{name}.wav", samples, rate, subtype="DOUBLE")
    return folder


def magnitude_db(response: np.ndarray, rate: int, frequencies: np.ndarray) -> np.ndarray:
    power = np.abs(signal.freqz(response, worN=frequencies, fs=rate)[1])
    return 20 * np.log10(power)


def test_real_clips_through_real_microphones_equal_scipy(clips: Tensor, measured: Path):
    responses_MK = load(NAMES, RATE, measured)
    which_B = torch.tensor([0, 1, 2, 0])
    heard_BT = Bank(responses_MK, clips.shape[1], RATE, 1.0, 0.0)(clips, which_B)
    for heard_T, wave_T, which in zip(heard_BT, clips, which_B, strict=True):
        plain_T = signal.convolve(wave_T.double(), responses_MK[which], method="direct")
        scale = np.abs(plain_T).max()
        assert np.abs(heard_T.numpy() - plain_T[: len(wave_T)]).max() < 1e-6 * scale


def test_convolution_is_linear_not_circular():
    """What rings on beyond the end does not come back at the start, however well 2^k fits."""
    waves_BT = torch.zeros(1, 4096)
    waves_BT[0, -1] = 1
    heard_BT = bank([[0.5] * 8], 4096)(waves_BT, torch.tensor([0]))
    assert heard_BT[0, -1] == pytest.approx(0.5)
    assert heard_BT[0, :-1].abs().max() < 1e-6


def test_shorter_clips_are_welcome():
    short_BT = noise(2, 1234)
    which_B = torch.tensor([0, 0])
    made_for_it = bank([[1.0, -0.5]], 1234)(short_BT, which_B)
    assert torch.allclose(bank([[1.0, -0.5]])(short_BT, which_B), made_for_it, atol=1e-6)


def test_as_recorded_means_every_bit():
    heard = Bank(torch.tensor([[1.0, 0.5]]), 4000, RATE, 4.0, -20.0)
    waves_BT = noise() * 1e-3
    before_BT = waves_BT.clone()
    mixed_BT = heard(waves_BT, torch.tensor([-1, 0, -1, 0]))
    assert torch.equal(mixed_BT[[0, 2]], before_BT[[0, 2]])
    assert not torch.isclose(mixed_BT[[1, 3]], before_BT[[1, 3]]).all(dim=1).any()
    assert torch.equal(heard(waves_BT, torch.full((4,), RECORDED)), before_BT)
    assert torch.equal(waves_BT, before_BT)


def test_each_row_has_its_own_microphone():
    heard = bank([[1.0, 0, 0], [0, 2.0, 0], [0, 0, -3.0]])
    waves_BT = noise()
    heard_BT = heard(waves_BT, torch.tensor([2, 0, -1, 1]))
    expected_BT = waves_BT.clone()
    expected_BT[0] = -3 * torch.roll(waves_BT[0], 2)
    expected_BT[3] = 2 * torch.roll(waves_BT[3], 1)
    expected_BT[0, :2] = expected_BT[3, :1] = 0
    assert torch.allclose(heard_BT, expected_BT, atol=1e-5)


def test_a_batch_is_its_clips_one_by_one(clips: Tensor, measured: Path):
    heard = Bank(load(NAMES, RATE, measured), clips.shape[1], RATE, 3.0, -30.0)
    which_B = torch.tensor([1, -1, 0, 2])
    together = heard(clips, which_B)
    alone = torch.cat([heard(clips[i : i + 1], which_B[i : i + 1]) for i in range(4)])
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.equal(together, heard(clips, which_B))


@pytest.mark.parametrize("place", [0, 500, 3999])
def test_a_unit_impulse_is_the_identity(tmp_path: Path, place: int):
    """Wherever it lies in its file, and however large it is."""
    impulse = np.zeros(4000)
    impulse[place] = 0.01
    write(tmp_path, "unit", impulse)
    heard = Bank(load(["unit"], RATE, tmp_path), 4000, RATE, 1.0, 0.0)
    assert torch.allclose(heard(noise(), torch.zeros(4, dtype=torch.int64)), noise(), atol=1e-5)


def test_white_noise_keeps_its_level(measured: Path):
    names = sorted(path.stem for path in measured.glob("*.wav"))
    responses_MK = load(names, RATE, measured)
    heard = Bank(responses_MK, 10 * RATE, RATE, 1.0, 0.0)
    waves_BT = noise(1, 10 * RATE).expand(len(names), -1)
    power = heard(waves_BT, torch.arange(len(names))).square().mean(dim=1)
    assert 10 * torch.log10(power / waves_BT[0].square().mean()).abs().max() < 0.1


def test_the_real_ones_are_hardly_late_and_hardly_cut(measured: Path):
    """At most 2 ms before the peak; within 1 dB of the whole file, 60 Hz to 10 kHz."""
    frequencies = np.geomspace(60, 10_000, 200)
    for path in sorted(measured.glob("*.wav")):
        (response_K,) = load([path.stem], RATE, measured).numpy()
        assert np.abs(response_K).argmax() <= 0.002 * RATE
        whole, rate = soundfile.read(path)
        ratio = magnitude_db(response_K, RATE, frequencies) - magnitude_db(whole, rate, frequencies)
        assert np.ptp(ratio) < 2


def test_another_rate_is_resampled(tmp_path: Path):
    """A band-limited pulse at 48 kHz and its echo have the same spectrum at 22,050 Hz."""
    time = (np.arange(4800) - 1000.3) / 48_000
    pulse = np.sinc(2 * 8_000 * time) - 0.6 * np.sinc(2 * 8_000 * (time - 0.001))
    (response_K,) = load(["pulse"], RATE, write(tmp_path, "pulse", pulse, 48_000)).numpy()
    frequencies = np.linspace(100, 7_500, 200)
    expected = magnitude_db(pulse, 48_000, frequencies)
    ratio = magnitude_db(response_K, RATE, frequencies) - expected
    assert np.ptp(ratio) < 0.5
    assert np.ptp(expected) > 10


def test_channels_are_averaged_and_lengths_padded(tmp_path: Path):
    left, right = np.zeros((2, 100))
    left[3], right[3], right[9] = 3, 1, 4  # mean 2, 2
    write(tmp_path, "two", np.stack([left, right], axis=1))
    write(tmp_path, "one", np.eye(1, 100, 3)[0])
    responses = load(["two", "one"], RATE, tmp_path)
    assert responses[0, [0, 6]].tolist() == pytest.approx([0.5**0.5, 0.5**0.5])
    assert responses[1].tolist() == pytest.approx([1.0] + [0.0] * (responses.shape[1] - 1))


def test_a_long_response_is_cut(tmp_path: Path):
    write(tmp_path, "hall", np.exp(-np.arange(3 * RATE) / RATE))
    assert load(["hall"], RATE, tmp_path).shape[1] == 1 + round(RATE / 4)


def test_a_response_delays_a_clip_by_two_milliseconds_at_most(tmp_path: Path):
    """What was recorded long before the peak, at -40 dB here, is no part of it."""
    write(tmp_path, "noisy", np.eye(1, 1000, 500)[0] + 0.01 * np.eye(1, 1000, 100)[0])
    (response_K,) = load(["noisy"], RATE, tmp_path)
    assert response_K.argmax() == 44
    assert response_K.count_nonzero() == 1


def test_what_cannot_be_heard_through_is_one_line(tmp_path: Path):
    good = np.eye(1, 100)[0]
    alternating = np.tile([1.0, -1.0], 4800) * signal.windows.hann(9600)  # 24 kHz alone
    write(tmp_path, "good", good)
    write(tmp_path, "silent", 0 * good)
    write(tmp_path, "cancelled", np.stack([good, -good], axis=1))
    write(tmp_path, "high", alternating, 48_000)
    write(tmp_path, "nan", good * np.nan)
    write(tmp_path, "short", good[:20])
    (tmp_path / "text.wav").write_text("no sound")
    for name, reason in {
        "silent": r"is silent \(up to 11025 Hz, half the rate\)",
        "cancelled": "is silent",
        "high": "is silent",
        "nan": r"is not usable \(not finite: it holds NaN",
        "short": r"is too short \(20 samples, a response lasts 1 ms\)",
        "text": r"is not usable \(format not recognised",
        "god": r"no such response in .* \(did you mean good\?\)",
        "xyz": r"no such response in .* \(known: cancelled, good,",
    }.items():
        with pytest.raises(ValueError, match=f"^microphone {name}: .*{reason}") as caught:
            load(["good", name], RATE, tmp_path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"no such response in .*nowhere$"):
        load(["good"], RATE, tmp_path / "nowhere")


def test_digest_is_that_of_the_content(tmp_path: Path):
    write(tmp_path, "a", np.eye(1, 100)[0])
    write(tmp_path, "b", np.eye(1, 100, 1)[0])
    first = digest(["a", "b"], tmp_path)
    assert len(first) == 16
    assert digest(["b", "a"], tmp_path) == first
    assert digest(["a"], tmp_path) != first
    (tmp_path / "a.wav").replace(tmp_path / "c.wav")
    (tmp_path / "b.wav").replace(tmp_path / "a.wav")
    (tmp_path / "c.wav").replace(tmp_path / "b.wav")
    assert digest(["a", "b"], tmp_path) != first
    with pytest.raises(ValueError, match=r"^microphone aa: .*did you mean a\?"):
        digest(["aa"], tmp_path)


def test_digest_never_changes(measured: Path):
    """Manifests hold it."""
    assert digest(NAMES, measured) == "9515374466b3cbc3"


def test_find_looks_where_datasets_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(ValueError, match=r"=Mine not found at Mine, .*elsewhere/Mine, "):
        find("Mine")
    with pytest.raises(ValueError, match=r"not found at /nowhere/Mine: name the folder above"):
        find("/nowhere/Mine")
    for place in ("data/Mine", "elsewhere/Mine", "Mine"):  # each before the last
        Path(place).mkdir(parents=True)
        assert find("Mine").resolve() == tmp_path / place
    assert find(str(tmp_path / "data/Mine")) == tmp_path / "data/Mine"


def test_build_numbers_training_microphones_first(tmp_path: Path):
    for place, name in enumerate("pqr"):
        write(tmp_path, name, np.eye(1, 100)[0] + np.eye(1, 100, 10 + place)[0])
    features = Features(kind="log_mel", window=512, hop=512, mels=32)
    sound = Sound(dataset="synthetic", rate=RATE, seconds=0.1, features=features)
    settings = Microphones(responses=str(tmp_path), train=("r", "p"), share=1.0, test=("q",))
    waves_BT = torch.eye(1, sound.samples).expand(3, -1).contiguous()
    heard_BT = build(settings, sound)(waves_BT, torch.arange(3))
    assert (heard_BT[:, 1:].argmax(dim=1) + 1).tolist() == [12, 10, 11]
    silent = build(Microphones(), sound)
    assert torch.equal(silent(waves_BT, torch.full((3,), RECORDED)), waves_BT)


def test_training_never_hears_a_test_microphone():
    settings = Microphones(train=("a", "b"), share=0.9, test=("c", "d", "e"))
    drawn = draw_microphone(stream(0, "m"), 10_000, settings.share, len(settings.train))
    heard = {settings.heard[which] for which in drawn.tolist() if which != RECORDED}
    assert heard == set(settings.train)
    with pytest.raises(ValueError, match="a is named in train and in test"):
        Microphones(train=("a",), share=0.5, test=("a", "b"))


def tones(*levels_db: float, seconds: float = 1.0) -> Tensor:
    """One wave of tones of 2205 Hz, one after another, at these levels."""
    time_T = torch.arange(round(seconds * RATE)) / RATE
    tone_T = torch.sin(2 * torch.pi * 2205 * time_T + 0.3)  # never zero
    return torch.cat([10 ** (level / 20) * tone_T for level in levels_db])[None]


def levels_db(waves_1T: Tensor, parts: int) -> list[float]:
    """Level of the last half of each part."""
    halves = waves_1T.reshape(parts, 2, -1)[:, 1]
    return (10 * torch.log10(2 * halves.square().mean(dim=1))).tolist()


@pytest.mark.parametrize(("ratio", "threshold"), [(4.0, -30.0), (1.5, -30.0), (10.0, -5.0)])
def test_steady_levels_follow_the_closed_form(ratio: float, threshold: float):
    """Against the peak, -l dB becomes -l / ratio; below the threshold all are lifted alike."""
    peak, *others = given = [-6.0, -10.0, -16.0, -46.0, -56.0]
    found = levels_db(compress(tones(*given), RATE, ratio, threshold), len(given))
    lift = (1 - 1 / ratio) * -threshold
    expected = [
        peak + (level - peak) / ratio if level - peak > threshold else level + lift
        for level in others
    ]
    assert found == pytest.approx([peak, *expected], abs=0.05)


def test_a_microphone_compresses_what_it_has_convolved(clips: Tensor):
    responses_MK = torch.tensor([[0.5, 0.5, -0.5]])
    which_B = torch.zeros(4, dtype=torch.int64)
    plain = Bank(responses_MK, clips.shape[1], RATE, 1.0, -30.0)(clips, which_B)
    pressed = Bank(responses_MK, clips.shape[1], RATE, 3.0, -30.0)(clips, which_B)
    assert torch.equal(pressed, compress(plain, RATE, 3.0, -30.0))
    assert not torch.equal(pressed, plain)


def test_only_the_microphone_differs_where_recorded_clips_are_compressed_too(clips: Tensor):
    """What no microphone hears is compressed as if through a perfect one; others are as ever."""
    responses_MK, which_B = torch.tensor([[0.5, 0.5, -0.5], [1.0, 0.0, 0.0]]), torch.tensor([0] * 4)
    how = clips.shape[1], RATE, 3.0, -30.0
    alike, usual = Bank(responses_MK, *how, compress_recorded=True), Bank(responses_MK, *how)
    recorded = alike(clips, torch.full((4,), RECORDED))
    assert torch.equal(recorded, compress(clips, RATE, 3.0, -30.0))
    assert torch.allclose(recorded, usual(clips, which_B + 1), atol=1e-5)
    mixed = alike(clips, torch.tensor([0, RECORDED, 0, RECORDED]))
    assert torch.equal(mixed[1], recorded[1])
    assert torch.allclose(mixed[0], usual(clips, which_B)[0], atol=1e-6)


def test_ratio_one_or_threshold_zero_is_the_identity():
    assert torch.equal(compress(noise(), RATE, 1.0, -30.0), noise())
    assert torch.equal(compress(noise(), RATE, 4.0, 0.0), noise())


def test_a_steady_sound_is_left_alone_from_its_start_to_its_end():
    """No fade at either edge, and frames that do not divide the clip do not matter."""
    tone_1T = tones(-12.0, seconds=0.7654)
    assert torch.allclose(compress(tone_1T, RATE, 4.0, -30.0), tone_1T, rtol=0.02, atol=0)


@pytest.mark.parametrize("factor", [1e-3, 0.37, 8.0, 1e4])
def test_compression_knows_no_absolute_level(factor: float):
    waves_BT = noise() * torch.linspace(0, 1, 4000) ** 2
    scaled = compress(factor * waves_BT, RATE, 4.0, -30.0)
    assert torch.allclose(scaled, factor * compress(waves_BT, RATE, 4.0, -30.0), rtol=1e-4)


def test_silence_stays_silence():
    waves_BT = torch.cat([torch.zeros(1, 4000), noise(1)])
    waves_BT[1, 2000:] = 0
    pressed_BT = compress(waves_BT, RATE, 100.0, -100.0)
    assert torch.equal(pressed_BT == 0, waves_BT == 0)
    assert pressed_BT.isfinite().all()


def test_attack_is_fast_and_release_slow():
    """A rise has arrived after 50 ms, not after 1; a fall after 300 ms, not after 25."""
    quiet, loud = -20.0, 0.0
    waves = tones(quiet, loud, quiet, seconds=0.5)
    gain = (compress(waves, RATE, 2.0, -40.0) / waves)[0]

    def at(seconds: float) -> float:
        return 20 * float(torch.log10(gain[round(seconds * RATE)]))

    assert gain.diff().abs().max() < 0.1  # no steps, which would be heard as clicks
    assert at(0.499) == pytest.approx(10, abs=0.5)
    assert at(0.501) > 1
    assert at(0.55) == pytest.approx(0, abs=0.5)
    assert at(1.025) < 4
    assert at(1.3) == pytest.approx(10, abs=0.5)


def test_real_recordings_lose_range_not_level(clips: Tensor):
    """No sample is turned down, none lifted by more than 20 dB; the loudest 50 ms rise by little:
    by what an attack lets through.
    """
    pressed = compress(clips, RATE, 3.0, -30.0)
    assert (pressed.abs() >= clips.abs() * 0.9999).all()
    assert (pressed.abs() <= clips.abs() * 10.001).all()
    before, after = (x.square().unfold(1, RATE // 20, 100).mean(dim=2) for x in (clips, pressed))
    risen = 10 * torch.log10(after.amax(dim=1) / before.amax(dim=1))
    assert (risen < 4).all()
