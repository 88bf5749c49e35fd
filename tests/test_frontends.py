import copy
import importlib
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
import torch

from scaling.settings import Features, Sound
from scaling.sound.frontends import BACKENDS, Standardize, backend_for, build, statistics
from scaling.sound.frontends.plain import QUIETEST
from scaling.sound.mel import a_weighting, mel_filters

RATE = 22050
KINDS = ("perceptual", "log_mel")
ALL = (*KINDS, "vggish")
# As VGGish was trained on 16 kHz.
VGGISH = Features(kind="vggish", window=400, hop=160, mels=64, low=125, high=7500)
GAMMATONE = Features(kind="gammatone", window=256, hop=100, mels=24, low=60)
CQT = Features(kind="cqt", hop=101, mels=36, low=65.4, range_db=80)
VQT = CQT.model_copy(update={"kind": "vqt", "gamma": 20.0})
# Rate, window, hop, mels, low, high, range_db: powers of two or not, an odd window, no floor.
SETTINGS = [
    (44100, 1764, 882, 40, 0.0, 0.0, 80.0),
    (16000, 400, 160, 64, 0.0, 0.0, 0.0),
    (16000, 401, 100, 33, 50.0, 7000.0, 60.0),
    (8000, 256, 300, 20, 100.0, 3900.0, 0.0),
]
# Clips of ESC-10, most of them with stretches of digital silence.
CLIPS = [
    "1-100032-A-0.ogg",
    "2-140147-A-38.ogg",
    "2-100786-A-1.ogg",
    "5-189237-A-12.ogg",
    "1-48413-A-38.ogg",
    "3-107219-A-1.ogg",
]


def paper(kind: str) -> Features:
    return Features(kind=kind, window=2048, hop=512, mels=256, range_db=80)


def small(kind: str, **changes) -> Features:
    floor = {} if kind == "vggish" else {"range_db": 80}
    return Features(kind=kind, **({"window": 512, "hop": 128, "mels": 40} | floor | changes))


def noise(clips: int, samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(clips, samples, generator=torch.Generator().manual_seed(0))


def by_librosa(wave_T: np.ndarray, features: Features, rate: int) -> np.ndarray:
    """The judge: librosa's own functions in float64."""
    spectrum = librosa.stft(
        wave_T.astype(np.float64),
        n_fft=features.window,
        hop_length=features.hop,
        pad_mode="reflect",
    )
    power_QN = np.abs(spectrum) ** 2
    mel_FQ = librosa.filters.mel(
        sr=rate,
        n_fft=features.window,
        n_mels=features.mels,
        fmin=features.low,
        fmax=features.high or None,
        dtype=np.float64,
    )
    floor = features.range_db or None
    if features.kind == "log_mel":
        return librosa.power_to_db(mel_FQ @ power_QN, top_db=floor, amin=features.floor or QUIETEST)
    with np.errstate(divide="ignore"):
        weighting_Q = librosa.A_weighting(librosa.fft_frequencies(sr=rate, n_fft=features.window))
    return mel_FQ @ (librosa.power_to_db(power_QN, top_db=floor) + weighting_Q[:, None])


def htk_by_loops(rate: int, size: int, mels: int, low: float, high: float) -> np.ndarray:
    """VGGish's triangles, written from their definition: (mels, size // 2 + 1)."""

    def mel(hertz: float) -> float:
        return 1127.0 * np.log(1.0 + hertz / 700.0)

    step = (mel(high) - mel(low)) / (mels + 1)
    filters_FQ = np.zeros((mels, size // 2 + 1))
    for band in range(mels):
        left, centre, right = (mel(low) + (band + i) * step for i in range(3))
        for bin_ in range(1, size // 2 + 1):  # the DC bin is in no band
            at = mel(bin_ * rate / size)
            rise, fall = (at - left) / (centre - left), (right - at) / (right - centre)
            filters_FQ[band, bin_] = max(0.0, min(rise, fall))
    return filters_FQ


def vggish_by_loops(wave_T: np.ndarray, features: Features, rate: int) -> np.ndarray:
    """The judge of VGGish's input: its definition in float64, frame by frame."""
    window, size = features.window, 2 ** int(np.ceil(np.log2(features.window)))
    filters_FQ = htk_by_loops(rate, size, features.mels, features.low, features.high or rate / 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    columns = []
    for start in range(0, len(wave_T) - window + 1, features.hop):
        frame = wave_T[start : start + window].astype(np.float64) * hann
        columns.append(np.log(filters_FQ @ np.abs(np.fft.rfft(frame, size)) + 0.01))
    return np.stack(columns, axis=1)


def error(module: torch.nn.Module, waves_BT: torch.Tensor, expected_BFN: np.ndarray) -> float:
    features_BFN = module(waves_BT)
    assert features_BFN.dtype == torch.float32
    assert features_BFN.shape == expected_BFN.shape
    return float(np.abs(features_BFN.double().numpy() - expected_BFN).max())


@pytest.fixture(scope="module")
def clips(esc10: Path) -> torch.Tensor:
    waves = []
    for name in CLIPS:
        samples, rate = soundfile.read(esc10 / "audio" / name, dtype="float32")
        waves.append(soxr.resample(samples, rate, RATE)[: 5 * RATE])
    assert sum(float((wave == 0).mean()) > 0.3 for wave in waves) >= 3
    return torch.from_numpy(np.stack(waves))


@pytest.fixture(scope="module")
def judged(clips: torch.Tensor) -> dict[str, np.ndarray]:
    waves = clips.numpy()
    return {kind: np.stack([by_librosa(w, paper(kind), RATE) for w in waves]) for kind in KINDS}


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "tolerance"), [("perceptual", 2e-4), ("log_mel", 2e-3)])
def test_real_clips_equal_librosa(backend, kind, tolerance, clips, judged):
    assert error(build(paper(kind), RATE, backend), clips, judged[kind]) < tolerance


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s[0]}-{s[1]}")
def test_any_setting_equals_librosa(backend, kind, setting):
    rate, window, hop, mels, low, high, range_db = setting
    features = Features(
        kind=kind, window=window, hop=hop, mels=mels, low=low, high=high, range_db=range_db
    )
    waves_BT = noise(2, 10 * window + 7)
    expected = np.stack([by_librosa(wave, features, rate) for wave in waves_BT.numpy()])
    assert error(build(features, rate, backend), waves_BT, expected) < 2e-3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("window", [512, 511])
@pytest.mark.parametrize("samples", [1279, 1280, 1281])
def test_frames_are_one_plus_whole_hops(backend, window, samples):
    module = build(small("log_mel", window=window), 16000, backend)
    assert module(noise(1, samples)).shape == (1, 40, 1 + samples // 128)


@pytest.mark.parametrize("backend", BACKENDS)
def test_scaling_a_wave_shifts_perceptual_features(backend):
    """By (sum of the filter) x 20 log10(gain), as averages of logarithms must, without a floor."""
    module = build(paper("perceptual").model_copy(update={"range_db": 0.0}), RATE, backend)
    waves_BT = noise(2, RATE)
    rows_F1 = torch.from_numpy(mel_filters(RATE, 2048, 256, 0, RATE / 2).sum(axis=1)[:, None])
    shift_BFN = module(waves_BT * 0.5).double() - module(waves_BT).double()
    assert (shift_BFN - rows_F1 * 20 * np.log10(0.5)).abs().max() < 2e-5
    assert rows_F1.min() > 0.08
    assert rows_F1.max() < 0.11


@pytest.mark.parametrize("backend", BACKENDS)
def test_floor_is_each_clips_own(backend):
    """A loud neighbour must not lift a quiet clip's floor; digital silence is -100 dB."""
    module = build(small("log_mel", range_db=30), 16000, backend)
    waves_BT = noise(1, 16000) * torch.tensor([[1.0], [1e-3], [0.0]])
    waves_BT[:, 8000:] *= 1e-4
    loud, quiet, silent = module(waves_BT)
    for features_FN in (loud, quiet):
        assert float(features_FN.max() - features_FN.min()) == pytest.approx(30, abs=1e-3)
    assert float(loud.max() - quiet.max()) == pytest.approx(60, abs=1e-3)
    assert (silent + 100).abs().max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_a_sine_is_loudest_in_its_band(kind):
    edges = librosa.mel_frequencies(42, fmin=0, fmax=8000)
    sine_T = torch.sin(2 * torch.pi * 1000 * torch.arange(16000) / 16000)
    band = int(build(small(kind), 16000)(sine_T[None])[0, :, 60].argmax())
    assert edges[band] < 1000 < edges[band + 2]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(("window", "hop", "mels"), [(512, 128, 40), (2048, 512, 256), (401, 7, 9)])
def test_bits_do_not_depend_on_batch_or_threads(kind, window, hop, mels, threads):
    """Sizes that leave the clips of a batch aligned differently are among these."""
    module = build(small(kind, window=window, hop=hop, mels=mels), 16000)
    waves_BT = noise(5, 4 * window + 3)
    together = module(waves_BT)
    alone = torch.cat([module(wave_T[None].clone()) for wave_T in waves_BT])
    assert torch.equal(together, alone)
    assert torch.equal(together.flip(0), module(waves_BT.flip(0)))
    strided_BT = waves_BT.t().contiguous().t()
    assert torch.equal(together, module(strided_BT))
    other = 3 - threads
    torch.set_num_threads(other)
    assert torch.equal(together, module(waves_BT))


def test_thread_counts_are_left_alone(threads):
    module = build(small("log_mel"), 16000)
    module(noise(3, 4000))
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as newborn:
        assert newborn.submit(torch.get_num_threads).result() == threads


def test_each_worker_computes_on_one_thread(threads, monkeypatch):
    module = build(small("log_mel"), 16000)
    seen = []
    monkeypatch.setattr(module, "_fill", lambda *_: seen.append(torch.get_num_threads()))
    module(noise(3, 4000))
    assert seen == [1] * threads


def test_thread_counts_survive_an_error(threads, monkeypatch):
    module = build(small("log_mel"), 16000)
    monkeypatch.setattr(module, "_fill", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        module(noise(3, 4000))
    with ThreadPoolExecutor(1) as newborn:
        assert newborn.submit(torch.get_num_threads).result() == threads


def test_no_thread_is_born_where_torch_may_use_one(monkeypatch):
    """Workers of a sweep, each of one thread, share the cores."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("a thread was started"))
    build(small("log_mel"), 16000)(noise(3, 4000))


@pytest.mark.parametrize("kind", ALL)
def test_modes_change_nothing(kind, threads):
    module = build(small(kind), 16000)
    waves_BT = noise(3, 4000)
    plain = module(waves_BT)
    with torch.no_grad():
        assert torch.equal(plain, module(waves_BT.clone().requires_grad_()))
    with torch.inference_mode():
        assert torch.equal(plain, module(waves_BT))
    assert torch.equal(plain, copy.deepcopy(module)(waves_BT))
    assert module(waves_BT[:0]).shape == (0, *plain.shape[1:])


@pytest.mark.parametrize(("kind", "backend"), [*product(KINDS, BACKENDS), ("vggish", "overhear")])
def test_low_precision_around_it_changes_nothing(kind, backend, threads):
    """Neither autocast nor cheap products: on some CPUs "medium" means bfloat16."""
    module = build(small(kind), 16000, backend)
    waves_BT = noise(2, 4000)
    plain = module(waves_BT)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(plain, module(waves_BT))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        lowered = torch.backends.mkldnn.matmul.fp32_precision
        assert torch.equal(plain, module(waves_BT))
        assert torch.backends.mkldnn.matmul.fp32_precision == lowered != "ieee"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_take_the_plain_path_and_agree(kind):
    module = build(small(kind), 16000)
    waves_BT = noise(2, 4000)
    plain_BFN = module(waves_BT.clone().requires_grad_())
    assert plain_BFN.requires_grad
    assert (plain_BFN - module(waves_BT)).abs().max() < 2e-4
    waves_BT.requires_grad_()
    # d/dg of the features of g x wave at g = 1 is 20 / ln 10 dB times each filter's share.
    (gradient_BT,) = torch.autograd.grad(module(waves_BT)[0].sum(), waves_BT)
    assert gradient_BT[0].isfinite().all()
    assert (gradient_BT[1] == 0).all()
    share = module.mel_FQ.sum() if kind == "perceptual" else 40
    expected = float(share) * (1 + 4000 // 128) * 20 / np.log(10)
    assert float((gradient_BT * waves_BT.detach()).sum()) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("rate", "window", "mels", "low", "high"),
    [(22050, 2048, 256, 0, 11025), (44100, 1764, 40, 0, 22050), (16000, 400, 64, 60, 7600)],
)
def test_mel_filters_equal_librosa(rate, window, mels, low, high):
    expected = librosa.filters.mel(
        sr=rate, n_fft=window, n_mels=mels, fmin=low, fmax=high, dtype=np.float64
    )
    ours = mel_filters(rate, window, mels, low, high)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("rate", "size", "mels", "low", "high"),
    [(16000, 512, 64, 125, 7500), (22050, 2048, 128, 0, 11025), (44100, 4096, 40, 50, 20000)],
)
def test_mel_filters_of_htk_equal_the_definition(rate, size, mels, low, high):
    """Also librosa's, whose triangles are straight in Hz, up to how little they bend."""
    ours = mel_filters(rate, size, mels, low, high, "htk")
    np.testing.assert_allclose(ours, htk_by_loops(rate, size, mels, low, high), atol=1e-12)
    bent = librosa.filters.mel(
        sr=rate, n_fft=size, n_mels=mels, fmin=low, fmax=high, htk=True, norm=None, dtype=np.float64
    )
    assert np.abs(ours - bent).max() < 0.05
    assert (ours[:, 0] == 0).all()


def test_a_weighting_equals_librosa():
    frequencies = np.array([1.0, 10.0, 100.0, 440.0, 2500.0, 11025.0, 96000.0])
    expected = librosa.A_weighting(frequencies)
    np.testing.assert_allclose(a_weighting(frequencies), expected, rtol=1e-6)
    low, kilo = a_weighting(np.array([0.0, 1000.0]))
    assert low == -80
    assert kilo == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("rate", "window", "mels", "low", "high"),
    [
        (16000, 400, 200, 0, 8000),
        (22050, 512, 256, 0, 11025),
        (22050, 512, 154, 0, 11025),
        (22050, 512, 16, 2000, 2200),
    ],
)
def test_bands_without_bins_name_the_most_that_work(rate, window, mels, low, high):
    line = f"mels={mels} .* FFT of {window} samples at rate={rate} Hz: at most [0-9]+ work"
    with pytest.raises(ValueError, match=line) as caught:
        mel_filters(rate, window, mels, low, high)
    most = int(str(caught.value).split("at most ")[1].split()[0])
    assert mel_filters(rate, window, most, low, high).any(axis=1).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa's own about empty bands
        for more in range(most + 1, mels + 1):
            filters_FQ = librosa.filters.mel(
                sr=rate, n_fft=window, n_mels=more, fmin=low, fmax=high
            )
            assert not filters_FQ.any(axis=1).all()


def test_a_range_between_two_bins_has_no_bands():
    with pytest.raises(ValueError, match="widen the range or take a longer window"):
        mel_filters(16000, 64, 4, 260, 300)


def test_bands_of_htk_without_bins():
    with pytest.raises(ValueError, match=r"mels=128 .* FFT of 512 samples .*: at most 122 work"):
        mel_filters(16000, 512, 128, 125, 7500, "htk")
    assert mel_filters(16000, 512, 122, 125, 7500, "htk").any(axis=1).all()


def test_an_unknown_backend_is_one_line():
    with pytest.raises(ValueError, match=r"^frontend_backend='torchaudo': .*mean torchaudio\?"):
        build(paper("log_mel"), RATE, "torchaudo")


@pytest.mark.parametrize("library", ["torchaudio", "nnAudio"])
def test_a_missing_library_is_one_line(library, monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    line = f"^this front end needs {library}, it is not installed: install it, or take another$"
    with pytest.raises(ValueError, match=line):
        build(small("log_mel"), 16000, library.lower())


@pytest.mark.parametrize("features", [GAMMATONE, CQT, VQT], ids=lambda f: f.kind)
def test_kinds_that_need_nnaudio_say_so(features, monkeypatch):
    monkeypatch.setitem(sys.modules, "nnAudio", None)
    with pytest.raises(ValueError, match=r"^this front end needs nnAudio, it is not installed"):
        build(features, 8000)


def test_a_library_built_for_another_torch_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "nnAudio.utils", None)
    line = r"needs nnAudio, it cannot be imported \(.*nnAudio.utils.*\): install it"
    with pytest.raises(ValueError, match=line):
        build(CQT, 8000)


def test_other_libraries_are_imported_only_when_asked_for(monkeypatch):
    for library in ("torchaudio", "nnAudio", "librosa", "triton"):
        monkeypatch.setitem(sys.modules, library, None)
    for name in [name for name in sys.modules if name.startswith("scaling.sound.frontends")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("scaling.sound.frontends", None)
    afresh = importlib.import_module("scaling.sound.frontends")
    assert afresh.build(small("log_mel"), 16000)(noise(1, 1000)).isfinite().all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("window", "needed"), [(512, 257), (511, 257)])
def test_waves_too_short_to_reflect(backend, window, needed):
    module = build(small("log_mel", window=window), 16000, backend)
    assert module(noise(1, needed)).isfinite().all()
    line = f"a wave of {needed - 1} samples is too short for window={window}, which needs {needed}"
    with pytest.raises(ValueError, match=line):
        module(noise(1, needed - 1))


def test_statistics_pool_clips_and_frames():
    features_BFN = torch.randn(7, 5, 11) * torch.arange(1.0, 6)[:, None] + 1e6
    mean_F, std_F = statistics(features_BFN.split(3))
    pooled_FM = features_BFN.double().transpose(0, 1).flatten(1)
    assert torch.allclose(mean_F.double(), pooled_FM.mean(dim=1), rtol=1.2e-7, atol=0)
    assert torch.allclose(std_F.double(), pooled_FM.std(dim=1), rtol=1e-6, atol=0)
    standard_BFN = Standardize(mean_F, std_F)(features_BFN)
    assert standard_BFN.shape == features_BFN.shape
    assert standard_BFN.mean(dim=(0, 2)).abs().max() < 0.1  # float32 steps by 1/16 at 1e6
    assert standard_BFN.transpose(0, 1).flatten(1).std(dim=1).allclose(torch.ones(5), rtol=1e-3)


def test_a_band_that_never_changes_becomes_zero():
    features_BFN = torch.randn(2, 3, 4)
    features_BFN[:, 1] = -7.3
    mean_F, std_F = statistics([features_BFN])
    assert std_F[1] == 1
    standard_BFN = Standardize(mean_F, std_F)(features_BFN)
    assert (standard_BFN[:, 1] == 0).all()
    assert standard_BFN.isfinite().all()


def test_statistics_need_two_frames():
    with pytest.raises(ValueError, match="statistics of 0 frames: a deviation needs at least two"):
        statistics([])
    with pytest.raises(ValueError, match="statistics of 1 frames"):
        statistics([torch.zeros(1, 3, 1)])


def test_standardization_is_saved_and_filters_are_not():
    saved = Standardize(torch.zeros(3), torch.ones(3)).state_dict()
    assert {name: tuple(value.shape) for name, value in saved.items()} == {
        "mean_F": (1, 3, 1),
        "std_F": (1, 3, 1),
    }
    assert build(small("log_mel"), 16000).state_dict() == {}


def test_blocks_do_not_show(monkeypatch):
    """A clip is transformed in blocks of frames; one frame at a time gives the same features."""
    module = build(small("perceptual"), 16000)
    waves_BT = noise(2, 4000)
    whole = module(waves_BT)
    monkeypatch.setattr("scaling.sound.frontends.overhear.BLOCK", 512)
    assert (module(waves_BT) - whole).abs().max() < 2e-5


# VGGish


def test_vggish_equals_its_definition_on_real_clips(esc10: Path):
    module = build(VGGISH, 16000)
    for name in CLIPS:
        samples, rate = soundfile.read(esc10 / "audio" / name, dtype="float32")
        wave_T = soxr.resample(samples, rate, 16000)
        expected = vggish_by_loops(wave_T, VGGISH, 16000)
        assert error(module, torch.from_numpy(wave_T)[None], expected[None]) < 1e-5


@pytest.mark.parametrize(
    ("rate", "window", "hop", "mels", "low", "high"),
    [
        (16000, 512, 200, 40, 0, 0),
        (8000, 200, 300, 20, 60, 3800),
        (44100, 1103, 441, 64, 125, 7500),
    ],
)
def test_vggish_of_any_setting_equals_its_definition(rate, window, hop, mels, low, high):
    features = Features(kind="vggish", window=window, hop=hop, mels=mels, low=low, high=high)
    waves_BT = noise(2, 10 * window + 7)
    expected = np.stack([vggish_by_loops(wave, features, rate) for wave in waves_BT.numpy()])
    assert error(build(features, rate), waves_BT, expected) < 1e-4
    waves_BT.requires_grad_()
    plain_BFN = build(features, rate)(waves_BT)
    assert plain_BFN.requires_grad
    assert np.abs(plain_BFN.detach().numpy() - expected).max() < 1e-4


@pytest.mark.parametrize("samples", [400, 559, 560, 561, 16000])
def test_frames_of_vggish_are_whole(samples):
    sound = Sound(dataset="esc10", rate=16000, seconds=samples / 16000, features=VGGISH)
    waves_BT = noise(1, samples)
    shape = build(VGGISH, 16000)(waves_BT).shape
    assert shape == (1, *sound.shape) == (1, 64, 1 + (samples - 400) // 160)
    assert shape[1:] == vggish_by_loops(waves_BT[0].numpy(), VGGISH, 16000).shape


def test_a_frame_of_vggish_hears_its_window_and_nothing_else():
    """The first sample of a window, as that of frame 1 in 160, is multiplied by 0."""
    for at, heard in ((399, [0, 1, 2]), (400, [1, 2]), (160, [0]), (161, [0, 1])):
        click_BT = torch.zeros(1, 1200)
        click_BT[0, at] = 1
        loudest_N = build(VGGISH, 16000)(click_BT)[0].amax(dim=0)
        assert (loudest_N > np.log(0.01) + 1e-4).nonzero().flatten().tolist() == heard


def test_silence_of_vggish_is_its_offset_and_has_a_gradient():
    module = build(VGGISH, 16000)
    silence_BT = torch.zeros(1, 1000)
    assert (module(silence_BT) - np.log(0.01)).abs().max() < 1e-6
    silence_BT.requires_grad_()
    (gradient_BT,) = torch.autograd.grad(module(silence_BT).sum(), silence_BT)
    assert (gradient_BT == 0).all()


def test_vggish_refuses_what_it_has_not():
    for backend in ("torchaudio", "nnaudio"):
        line = f"^frontend_backend={backend} has no kind=vggish: take overhear, or auto$"
        with pytest.raises(ValueError, match=line):
            build(VGGISH, 16000, backend)
    line = (
        r"a wave of 399 samples is too short for window=400, which needs 400 \(frames are whole\)"
    )
    with pytest.raises(ValueError, match=line):
        build(VGGISH, 16000)(noise(1, 399))
    with pytest.raises(
        ValueError, match=r"399 samples, but a window of 400 needs more than 399 \(f"
    ):
        Sound(dataset="esc10", rate=16000, seconds=399 / 16000, features=VGGISH)
    for name in ("range_db", "floor"):
        with pytest.raises(ValueError, match=f"{name}=1.0 .*: kind=vggish has no {name}, it adds"):
            small("vggish", **{name: 1})


# A floor of one's own


EPSILON = 2.22e-16  # what Pons et al. add to a power before its logarithm


@pytest.mark.parametrize("backend", BACKENDS)
def test_floor_is_librosas_smallest_power(backend, clips):
    features = Features(kind="log_mel", window=1024, hop=1024, mels=64, floor=EPSILON)
    expected_BFN = np.stack([by_librosa(wave, features, RATE) for wave in clips.numpy()])
    assert expected_BFN.min() == pytest.approx(10 * np.log10(EPSILON))
    assert ((expected_BFN > -156) & (expected_BFN < -101)).sum() > 100
    assert (
        error(build(features, RATE, backend), clips, expected_BFN) < 2e-2
    )  # float32 beside loud bands


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_floor_of_silence(kind, backend):
    features = small(kind, range_db=0, floor=EPSILON)
    silence_BT = torch.zeros(1, 2048)
    lower = build(features, 16000, backend)(silence_BT)
    lower -= build(small(kind, range_db=0), 16000, backend)(silence_BT)
    times_F = mel_filters(16000, 512, 40, 0, 8000).sum(axis=1) if kind == "perceptual" else 1
    expected_F1 = np.reshape(times_F * 10 * np.log10(EPSILON / 1e-10), (-1, 1))
    assert np.abs(lower.numpy() - expected_F1).max() < 1e-4


def test_a_floor_that_float32_cannot_hold():
    with pytest.raises(ValueError, match="floor=1e-40: float32 needs 1e-30 or more, or 0 for 1e-1"):
        small("log_mel", floor=1e-40)


# cqt, vqt and gammatone, by nnAudio


@pytest.mark.parametrize("features", [CQT, VQT], ids=lambda f: f.kind)
def test_constant_q_equals_librosa(features):
    """At an odd hop, where librosa computes every octave at the full rate, as we do. Filters of
    librosa are as long as a fraction of a sample, ours whole samples: that is the tolerance.
    """
    sweep_T = 0.3 * scipy.signal.chirp(np.arange(8000) / 8000, 60, 1, 600)
    wave_T = (sweep_T + 0.01 * noise(1, 8000)[0].numpy()).astype(np.float32)
    expected_FN = np.abs(
        librosa.vqt(
            wave_T.astype(np.float64),
            sr=8000,
            hop_length=features.hop,
            fmin=features.low,
            n_bins=features.mels,
            gamma=features.gamma,
            sparsity=0,
            pad_mode="constant",
            dtype=np.complex128,
        )
    )
    floorless = features.model_copy(update={"range_db": 0.0})
    found_FN = 10 ** (build(floorless, 8000)(torch.from_numpy(wave_T)[None])[0].numpy() / 20)
    assert found_FN.shape == expected_FN.shape
    off_F = np.abs(found_FN - expected_FN).max(axis=1) / expected_FN.max(axis=1)
    assert off_F.max() < 0.015


def test_bandwidths_of_vqt_may_be_the_ears():
    """librosa's default of gamma is that of equivalent rectangular bandwidths."""
    ear = CQT.model_copy(update={"kind": "vqt", "gamma": CQT.erb_gamma})
    lengths_F, _ = librosa.filters.wavelet_lengths(freqs=np.array(ear.centres), sr=8000, gamma=None)
    assert ear.taps(8000) == np.ceil(lengths_F.max())


def test_a_sine_in_its_bin_has_the_level_of_its_filter():
    """Half its amplitude, times the root of the filter's length."""
    sine_T = 0.5 * torch.sin(2 * torch.pi * CQT.centres[12] * torch.arange(8000) / 8000)
    levels_F = build(CQT, 8000)(sine_T[None])[0, :, 40]
    taps = 8000 / (CQT.bandwidth * CQT.centres[12])
    assert int(levels_F.argmax()) == 12
    assert float(levels_F[12]) == pytest.approx(20 * np.log10(0.25 * np.sqrt(taps)), abs=0.05)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gammatone_equals_scipys_filters(backend):
    """The magnitude response of each at the FFT's bins, on power; centres alike in ERB."""
    size, low, high = GAMMATONE.window, GAMMATONE.low, 4000
    corner = 9.26449 * 24.7
    steps_F = np.arange(GAMMATONE.mels, 0, -1) / GAMMATONE.mels
    centres_F = (high + corner) * ((low + corner) / (high + corner)) ** steps_F - corner
    bins_Q = 2 * np.pi * np.arange(size // 2 + 1) / size
    responses_FQ = [
        np.abs(scipy.signal.freqz(*scipy.signal.gammatone(f, "iir", fs=8000), bins_Q)[1])
        for f in centres_F
    ]
    waves_BT = noise(2, 2000)
    spectra = librosa.stft(
        waves_BT.double().numpy(), n_fft=size, hop_length=100, pad_mode="reflect"
    )
    expected_BFN = 10 * np.log10(np.array(responses_FQ) @ np.abs(spectra) ** 2 / size)
    assert error(build(GAMMATONE, 8000, backend), waves_BT, expected_BFN) < 2e-3


@pytest.mark.parametrize("features", [GAMMATONE, CQT, VQT], ids=lambda f: f.kind)
@pytest.mark.parametrize("samples", [8000, 8080, 8081])
def test_frames_of_nnaudios_kinds(features, samples):
    sound = Sound(dataset="esc10", rate=8000, seconds=samples / 8000, features=features)
    found_BFN = build(features, 8000)(noise(2, samples))
    assert found_BFN.shape == (2, *sound.shape) == (2, features.mels, 1 + samples // features.hop)
    assert found_BFN.isfinite().all()


@pytest.mark.parametrize("features", [GAMMATONE, CQT], ids=lambda f: f.kind)
def test_low_precision_changes_nothing_in_nnaudios_kinds(features):
    module, waves_BT = build(features, 8000), noise(2, 4000)
    plain = module(waves_BT)
    before = torch.backends.mkldnn.conv.fp32_precision
    torch.backends.mkldnn.conv.fp32_precision = "bf16"
    try:
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(plain, module(waves_BT))
        assert torch.backends.mkldnn.conv.fp32_precision == "bf16"
    finally:
        torch.backends.mkldnn.conv.fp32_precision = before


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"window": 512}, "window=512 changes nothing: the filters of kind=cqt have lengths of"),
        ({"high": 900}, "high=900.0 changes nothing: mels and bins_per_octave say where"),
        ({"low": 0}, "low=0: kind=cqt counts octaves from it: take one above 0"),
        ({"gamma": 5}, "gamma=5.0 changes nothing: only kind=vqt has it"),
        ({"kind": "vqt"}, r"gamma=0: kind=vqt is then kind=cqt: .* above 0, as 13.2 Hz"),
        ({"trainable": "mel"}, "trainable=mel: kind=cqt has no bands .* take trainable=stft"),
        ({"mels": 72}, r"features.mels=72: .* above 4000 Hz, half of rate=8000: at most 71"),
        ({"low": 12}, r"low=12: the filter .* 11555 samples long, at most 8000 .*low=17.33 or m"),
        ({"low": 5000}, "features.mels=36: .* half of rate=8000: a lower one"),
        ({"kind": "log_mel"}, "window=0: kind=log_mel needs an STFT window of 16 samples or more"),
    ],
)
def test_what_constant_q_cannot_do(changes, line):
    stated = {"kind": "cqt", "hop": 101, "mels": 36, "low": 65.4} | changes
    with pytest.raises(ValueError, match=line):
        Sound(dataset="esc10", rate=8000, seconds=1, features=Features(**stated))


def test_the_most_bins_that_work():
    most = CQT.model_copy(update={"mels": 71})
    sound = Sound(dataset="esc10", rate=8000, seconds=1, features=most)
    assert build(most, 8000)(noise(1, 8000)).shape[1:] == sound.shape
    lowest = CQT.model_copy(update={"low": 17.34})
    Sound(dataset="esc10", rate=8000, seconds=1, features=lowest)


def test_the_usual_backend_is_ours_where_it_can():
    usual = {kind: backend_for(small(kind)) for kind in ALL} | {
        f.kind: backend_for(f) for f in (CQT, VQT)
    }
    assert usual == dict.fromkeys(ALL, "overhear") | {"cqt": "nnaudio", "vqt": "nnaudio"}
    assert backend_for(small("log_mel"), "torchaudio") == "torchaudio"
    assert backend_for(small("log_mel", trainable="stft")) == "nnaudio"
    with pytest.raises(
        ValueError, match=r"^frontend_backend=torchaudio has no trainable=stft: take"
    ):
        backend_for(small("log_mel", trainable="stft"), "torchaudio")
    with pytest.raises(
        ValueError, match=r"^frontend_backend=overhear has no kind=cqt: take nnaudio"
    ):
        backend_for(CQT, "overhear")


# Front ends that learn

LEARNING = [
    *[small(kind, trainable="mel") for kind in ALL],
    *[small(kind, trainable="stft") for kind in KINDS],
    GAMMATONE.model_copy(update={"trainable": "mel"}),
    CQT.model_copy(update={"trainable": "stft"}),
    VQT.model_copy(update={"trainable": "stft"}),
]


@pytest.mark.parametrize("features", LEARNING, ids=lambda f: f"{f.kind}-{f.trainable}")
def test_a_front_end_that_learns_begins_as_the_one_that_does_not(features):
    waves_BT = noise(2, 4000)
    fixed = build(features.model_copy(update={"trainable": "none"}), 8000)
    module = build(features, 8000)
    assert (module(waves_BT) - fixed(waves_BT)).abs().max() < 2e-3
    ((name, filters),) = module.named_parameters()
    state = module.state_dict()
    *path, last = name.split(".")
    assert set(state) == {name, ".".join([*path, f"initial_{last}"])}
    assert all(torch.equal(value, filters) for value in state.values())
    assert float(filters.detach().abs().max()) == pytest.approx(1, abs=1e-6)
    assert filters.numel() == features.learnt(8000)
    assert fixed.state_dict() == {}
    assert fixed.features.learnt(8000) == 0


@pytest.mark.parametrize("features", LEARNING, ids=lambda f: f"{f.kind}-{f.trainable}")
def test_gradients_of_filters_equal_finite_differences(features):
    module, waves_BT, step = build(features, 8000), noise(2, 2000), 1e-3
    compute = module
    if features.trainable == "stft" and not features.constant_q:
        # logarithms of faint bins bend too soon for float32's steps
        compute, waves_BT, step = module.double().compute, waves_BT.double(), 1e-6
    (filters,) = module.parameters()
    weights_BFN = torch.randn(compute(waves_BT).shape, generator=torch.Generator().manual_seed(1))

    def loss() -> torch.Tensor:
        return (compute(waves_BT).double() * weights_BFN).sum()

    (gradient,) = torch.autograd.grad(loss(), filters)
    along = gradient / gradient.norm()
    slope, step = 0.0, step / float(along.abs().max())
    with torch.no_grad():
        for sign in (1, -1):
            filters += sign * step * along
            slope += sign * float(loss()) / (2 * step)
            filters -= sign * step * along
    assert slope == pytest.approx(float(gradient.norm()), rel=0.02)


def test_all_bins_of_a_band_learn_and_count():
    """Those where its triangle is zero, too."""
    module, waves_BT = build(small("log_mel", trainable="mel"), 16000), noise(1, 4000)
    before = module(waves_BT)
    with torch.no_grad():
        module.filters_FQ[0, 200] = 1.0
        after = module(waves_BT)
    assert (after[:, 0] > before[:, 0]).all()
    assert torch.equal(after[:, 1:], before[:, 1:])


def test_a_band_that_has_turned_negative_is_silent():
    for kind in ("log_mel", "vggish"):
        module = build(small(kind, trainable="mel", **SILENT[kind]), 16000)
        with torch.no_grad():
            module.filters_FQ[0] = -1.0
        lowest = -100 if kind == "log_mel" else np.log(0.01)
        assert (module(noise(1, 4000))[:, 0] - lowest).abs().max() < 1e-4


SILENT = {"log_mel": {"range_db": 0}, "vggish": {}}


def test_what_cannot_learn():
    with pytest.raises(ValueError, match="trainable=stft: kind=vggish cannot, take trainable=mel"):
        small("vggish", trainable="stft")
