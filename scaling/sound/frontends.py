"""Front ends: waves to what the network sees, on any device.

Sources: `perceptual` is CP-ResNet's (power, decibels, A-weighting of every FFT bin, then mel bands
of decibels: a band averages logarithms); `log_mel` is the usual one (power, mel bands, decibels);
`gammatone` the same with nnAudio's bands, the magnitude responses of Slaney's (1993) gammatone
filters at the FFT's bins; `cqt` and `vqt` are decibels of librosa's constant-Q and variable-Q
transforms, by nnAudio's kernels; `vggish` is what VGGish was trained on (Hershey et al. 2017:
magnitude, HTK's mel bands, ln(x + 0.01)).
Conventions: waves are float32, full scale 1, windows periodic Hann windows. Frame n is centred on
sample n hop, edges reflected; T samples give 1 + T // hop frames. Decibels are 10 log10 of power,
at least -100 (or those of `floor`), and at least `range_db` below the clip's loudest value where
that is set (in `perceptual` before the weighting). librosa in float64 with reflected edges is the
judge. Of `cqt` and `vqt`, whose long filters few clips could mirror, there are zeros beyond the
edges, as in librosa. A frame of `vggish` begins at sample n hop and is whole: there are 1 + (T -
window) // hop; its FFT has the next power of two as its size. The definition in float64 is the
judge.
A trainable front end holds its filters as parameters, scaled so that the largest number of each is
1 (an optimizer's steps then mean the same to all of them), and beside them as they began.
Shapes: B clips, T samples, N frames, Q FFT bins, F bands, K filters.
Contents: `build`, `backend_for` and its BACKENDS; `statistics`, `Standardize`.
"""

import importlib
import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scaling.own.names import OWN, is_own
from scaling.settings import Features
from scaling.settings.sound import power_of_two
from scaling.sound import own_frontend
from scaling.sound.mel import Scale, a_weighting, mel_filters
from scaling.spelling import nearest, shortened

QUIETEST = 1e-10  # the power of -100 dB, librosa's amin
OFFSET = 0.01  # VGGish adds it to a band before the logarithm
TWOFOLD = 10 * math.log10(2)  # decibels of a factor of two: 10 log10(x) = TWOFOLD log2(x)
BLOCK = 2**19  # samples transformed at once, 2 MiB: less costs calls, more gains nothing (measured)
INITIAL = "initial_"  # before the name of filters that learn: a copy as they began
GROUP = 32  # mel bands in one product: neighbours share bins, so few of the zeros are multiplied


def build(features: Features, rate: int, backend: str = "auto") -> nn.Module:
    """A module from waves_BT (float32, full scale 1, at `rate` Hz) to features_BFN (float32, dB or,
    of `vggish`, natural logarithms).

    On a CPU, features of a clip by `overhear` have the same bits whatever else is in the batch and
    however many threads torch may use. Raises ValueError as `backend_for` does, and for mel bands
    without an FFT bin; the module does for waves shorter than half a window, or than a whole one of
    `vggish`.
    """
    name = backend_for(features, backend)
    return own_frontend.build(features, rate) if name == OWN else BACKENDS[name](features, rate)


def backend_for(features: Features, backend: str = "auto") -> str:
    """The backend that computes these features: the one named, or the usual one.

    Raises ValueError for a backend that is unknown or has no such front end, and where a library
    that it needs is not installed.
    """
    if backend not in ("auto", *BACKENDS):
        hint = nearest(backend, ["auto", *BACKENDS])
        raise ValueError(f"frontend_backend={shortened(backend)}: no such backend{hint}")
    able = list(BACKENDS)
    if is_own(features.kind):
        if backend != "auto":
            raise ValueError(
                f"frontend_backend={backend} has no kind={features.kind}, it is your own: auto"
            )
        return OWN
    if features.constant_q or features.trainable == "stft":
        able = ["nnaudio"]
    elif features.kind == "vggish":
        able = ["overhear"]
    name = able[0] if backend == "auto" else backend
    if name not in able:
        what = "trainable=stft" if features.trainable == "stft" else f"kind={features.kind}"
        raise ValueError(f"frontend_backend={name} has no {what}: take {able[0]}, or auto")
    needed = {"torchaudio": "torchaudio", "nnaudio": "nnAudio"}.get(name, "")
    for library in {needed, "nnAudio" if features.kind == "gammatone" else ""} - {""}:
        if importlib.util.find_spec(library) is None:
            raise ValueError(_missing(library, "it is not installed"))
    return name


class Plain(nn.Module):
    """Batched operations around any power spectrum: on any device, differentiable."""

    mel_FQ: Tensor
    weighting_F1: Tensor
    weighting_Q1: Tensor
    filters_FQ: Tensor  # that learn
    peaks_F1: Tensor

    def __init__(self, features: Features, rate: int, spectrum: nn.Module) -> None:
        """`spectrum` takes padded waves (B, T + padding) to power_BQN, a frame at every hop."""
        super().__init__()
        self.features = features
        self.perceptual, self.vggish = (features.kind == kind for kind in ("perceptual", "vggish"))
        self.spectrum = spectrum
        size, self.rate = fft_size(features), rate
        self.padding = size - features.window if self.vggish else size  # samples
        self.place(features)

    def place(self, features: Features) -> None:
        """Take the bands of these features, which differ in their range at most."""
        mel_FQ = bands(features, self.rate)
        if features.trainable == "mel":
            peaks_F1 = mel_FQ.max(axis=1, keepdims=True)
            learn(self, "filters_FQ", torch.from_numpy(mel_FQ / peaks_F1).float())
            self.register_buffer("peaks_F1", torch.from_numpy(peaks_F1).float(), persistent=False)
        # The mel product is linear: its image of the weighting, added once, replaces one per frame.
        weighting_Q = a_weighting(np.fft.rfftfreq(fft_size(features), 1 / self.rate))
        weighting_F = np.dot(mel_FQ, weighting_Q)
        for name, values in (
            ("mel_FQ", mel_FQ),
            ("weighting_F1", weighting_F[:, None]),
            ("weighting_Q1", weighting_Q[:, None]),
        ):
            self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)

    def forward(self, waves_BT: Tensor) -> Tensor:
        """Features of waves; raises ValueError for waves too short to reflect half a window, or to
        fill one of `vggish`.
        """
        assert waves_BT.ndim == 2, "waves are (B, T)"
        assert waves_BT.dtype == torch.float32, "waves are float32"
        window, samples = self.features.window, waves_BT.shape[1]
        if samples < (needed := window if self.vggish else window - window // 2 + 1):
            why = "frames are whole" if self.vggish else "edges are reflected"
            raise ValueError(
                f"a wave of {samples} samples is too short for window={window}, which needs "
                f"{needed} ({why}): longer clips or a shorter window"
            )
        with full_precision(waves_BT.device.type):
            return self.compute(emphasized(waves_BT, self.features))

    def compute(self, waves_BT: Tensor) -> Tensor:
        """The features, once the waves are checked and float32 means float32."""
        power_BQN = self.spectrum(torch.cat(self.padded(waves_BT), dim=-1))
        mel_FQ, weighting_F1 = self.mel_FQ, self.weighting_F1
        if self.features.trainable == "mel":
            mel_FQ = self.filters_FQ * self.peaks_F1
            weighting_F1 = mel_FQ @ self.weighting_Q1
        if self.vggish:
            # the root of 0 has no gradient, a logarithm no value where learnt bands are negative
            bands_BFN = mel_FQ @ power_BQN.clamp(min=1e-20).sqrt()
            return torch.log(bands_BFN.clamp(min=0) + OFFSET)
        if self.perceptual:
            return mel_FQ @ decibels(power_BQN, self.features) + weighting_F1
        return decibels(mel_FQ @ power_BQN, self.features)

    def padded(self, waves: Tensor) -> list[Tensor]:
        """The pieces of waves (..., T) padded to (..., T + padding)."""
        if self.vggish:
            return [waves, waves.new_zeros(*waves.shape[:-1], self.padding)]
        after = self.padding - self.features.window  # no window reaches there
        zeros = [waves.new_zeros(*waves.shape[:-1], after)] if after else []
        return _reflected(waves, self.features.window) + zeros


def emphasized(waves: Tensor, features: Features) -> Tensor:
    """Waves (..., T) less `preemphasis` of the sample before, which of the first is silence."""
    if not (share := features.preemphasis):
        return waves
    return torch.cat([waves[..., :1], waves[..., 1:] - share * waves[..., :-1]], dim=-1)


def decibels(power_BFN: Tensor, features: Features) -> Tensor:
    """10 log10 of power, no lower than the features' floors."""
    power_BFN = power_BFN.clamp(min=features.floor or QUIETEST)
    if features.range_db > 0:
        loudest_B11 = power_BFN.amax(dim=(1, 2), keepdim=True)
        power_BFN = torch.maximum(power_BFN, loudest_B11 * 10 ** (-features.range_db / 10))
    return 10 * torch.log10(power_BFN)


def learn(module: nn.Module, name: str, filters: Tensor) -> None:
    """Give the module filters that learn, and a copy as they began, which is saved with them."""
    module.register_parameter(name, nn.Parameter(filters))
    module.register_buffer(f"{INITIAL}{name}", filters.clone())


def bands(features: Features, rate: int) -> NDArray[np.float64]:
    """The filters that an STFT's power, or magnitude, is summed with: (F, Q)."""
    size, high = fft_size(features), features.high or rate / 2
    if features.kind == "gammatone":
        make = imported("nnAudio.librosa_functions", "nnAudio").get_gammatone
        gammatone_FQ: NDArray[np.float64] = make(rate, size, features.mels, features.low, high)
        return gammatone_FQ.astype(np.float64)
    scale: Scale = "htk" if features.kind == "vggish" else "slaney"
    return mel_filters(rate, size, features.mels, features.low, high, scale)


class Fourier(nn.Module):
    """Padded waves (B, T) to power_BQN by torch.stft.

    Of `vggish` in float64: a quiet bin beside loud ones is no more than what float32 rounds them
    by, and as a magnitude, against OFFSET, it counts (1.5e-4 on real clips, 4e-7 so).
    """

    window: Tensor

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.hop = features.hop
        hann = torch.zeros(fft_size(features), dtype=torch.float64)
        hann[: features.window] = torch.hann_window(features.window, dtype=torch.float64)
        window = hann if features.kind == "vggish" else hann.float()
        self.register_buffer("window", window, persistent=False)

    def forward(self, waves_BT: Tensor) -> Tensor:
        size, waves_BT = len(self.window), waves_BT.to(self.window.dtype)
        spectrum_BQN = torch.stft(
            waves_BT, size, self.hop, window=self.window, center=False, return_complex=True
        )
        return (spectrum_BQN.real.square() + spectrum_BQN.imag.square()).float()


class Overhear(Plain):
    """Our own, made for CPUs: clip by clip in memory that stays in cache, clips side by side."""

    spectrum: Fourier

    def __init__(self, features: Features, rate: int) -> None:
        super().__init__(features, rate, Fourier(features))

    def place(self, features: Features) -> None:
        """See Plain."""
        super().place(features)
        self.groups: list[tuple[slice, slice]] = []  # mel bands, and the bins they touch
        for rows in (slice(i, i + GROUP) for i in range(0, features.mels, GROUP)):
            touched = self.mel_FQ[rows].any(dim=0).nonzero()
            self.groups.append((rows, slice(int(touched[0]), int(touched[-1]) + 1)))

    def compute(self, waves_BT: Tensor) -> Tensor:
        """Plain where a gradient is asked for, filters learn (all their bins, zeros too) or a GPU
        computes, else on torch's many threads.
        """
        asked = torch.is_grad_enabled() and waves_BT.requires_grad
        if waves_BT.device.type != "cpu" or asked or self.features.trainable != "none":
            return super().compute(waves_BT)
        waves_BT = waves_BT.detach()
        clips, samples = waves_BT.shape
        whole = samples + self.padding - len(self.spectrum.window)
        frames = 1 + whole // self.features.hop
        features_BFN = waves_BT.new_empty(clips, self.features.mels, frames)
        threads, inference = torch.get_num_threads(), torch.is_inference_mode_enabled()
        if threads == 1 or clips == 0:
            self._fill(features_BFN, waves_BT)
            return features_BFN
        workers = min(threads, clips)

        def work(first: int) -> None:
            torch.set_num_threads(1)
            with torch.inference_mode(inference):  # each thread has its own mode
                self._fill(features_BFN[first::workers], waves_BT[first::workers])

        # A lone clip too is one thread's work: shared among several it may be rounded differently.
        try:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(work, range(workers)))
        finally:
            torch.set_num_threads(threads)  # else threads born later would start with the 1 above
        return features_BFN

    def _fill(self, features_BFN: Tensor, waves_BT: Tensor) -> None:
        """Compute the features of waves one after another, on this thread.

        All products go through buffers of this call, aligned alike for every clip: the last bits of
        MKL's products may depend on alignment.
        """
        window, hop, perceptual = self.spectrum.window, self.spectrum.hop, self.perceptual
        size, count = len(window), features_BFN.shape[2]
        block = min(count, max(1, BLOCK // size))
        padded_T = window.new_empty(waves_BT.shape[1] + self.padding)
        frames_NT = padded_T.as_strided((count, size), (hop, 1))
        windowed_NT = window.new_empty(block, size)
        power_NQ = waves_BT.new_empty(count, size // 2 + 1)
        bands_FN = waves_BT.new_empty(features_BFN.shape[1:])
        parts = [slice(i, min(i + block, count)) for i in range(0, count, block)]
        blocks = [(frames_NT[n], windowed_NT[: n.stop - n.start], power_NQ[n]) for n in parts]
        unit = TWOFOLD if perceptual else 1.0
        products = [
            (self.mel_FQ[f, q] * unit, power_NQ[:, q].t(), bands_FN[f]) for f, q in self.groups
        ]
        for wave_T, features_FN in zip(waves_BT, features_BFN, strict=True):
            torch.cat(self.padded(wave_T), out=padded_T)
            for frames, windowed, power in blocks:
                torch.mul(frames, window, out=windowed)
                squares = torch.view_as_real(torch.fft.rfft(windowed)).square_()
                torch.add(squares[..., 0], squares[..., 1], out=power)
            if perceptual:
                self._log2_(power_NQ)
            elif self.vggish:
                power_NQ.sqrt_()
            for filters, power, bands in products:
                torch.mm(filters, power, out=bands)
            if perceptual:
                torch.add(bands_FN, self.weighting_F1, out=features_FN)
            elif self.vggish:
                torch.log(bands_FN.add_(OFFSET), out=features_FN)
            else:
                torch.mul(self._log2_(bands_FN), TWOFOLD, out=features_FN)

    def _log2_(self, power: Tensor) -> Tensor:
        floor = self.features.floor or QUIETEST
        if self.features.range_db > 0:
            floor = max(floor, float(power.amax()) * 10 ** (-self.features.range_db / 10))
        return power.clamp_(min=floor).log2_()


class ConvolutionSpectrum(nn.Module):
    """Padded waves (B, T) to power_BQN by nnAudio's STFT, a convolution with sines and cosines.

    In float64: in float32 its long sums miss librosa by more than 2e-4 on 3 of ESC-10's 400 clips.
    """

    def __init__(self, stft: nn.Module) -> None:
        super().__init__()
        self.stft = stft.double()

    def forward(self, waves_BT: Tensor) -> Tensor:
        power_BQN: Tensor = self.stft(waves_BT.double()).square().sum(dim=-1)
        return power_BQN.float()


class Kernels(nn.Module):
    """Padded waves (B, T) to power_BKN: |convolution with complex kernels|^2, which may learn."""

    kernels_2KT: Tensor
    gains_K1: Tensor

    def __init__(self, kernels_KT: NDArray[np.complexfloating], hop: int, trainable: bool) -> None:
        super().__init__()
        self.hop = hop
        peaks_K1 = np.abs(kernels_KT).max(axis=1, keepdims=True)
        scaled_KT = kernels_KT / peaks_K1
        kernels_2KT = torch.from_numpy(np.stack([scaled_KT.real, scaled_KT.imag])).float()
        if trainable:
            learn(self, "kernels_2KT", kernels_2KT)
        else:
            self.register_buffer("kernels_2KT", kernels_2KT, persistent=False)
        self.register_buffer("gains_K1", torch.from_numpy(peaks_K1**2).float(), persistent=False)

    def forward(self, waves_BT: Tensor) -> Tensor:
        kernels = self.kernels_2KT.flatten(0, 1)[:, None]
        parts_BCN = functional.conv1d(waves_BT[:, None], kernels, stride=self.hop)
        real_BKN, imaginary_BKN = parts_BCN.chunk(2, dim=1)
        return (real_BKN.square() + imaginary_BKN.square()) * self.gains_K1


def _torchaudio(features: Features, rate: int) -> nn.Module:
    library = imported("torchaudio.transforms", "torchaudio")
    # its own window would lie in the middle of the zeros
    longer = {"window_fn": lambda _: Fourier(features).window} if features.fft else {}
    spectrum = library.Spectrogram(
        fft_size(features), hop_length=features.hop, center=False, **longer
    )
    return Plain(features, rate, spectrum)


def _nnaudio(features: Features, rate: int) -> nn.Module:
    if features.constant_q:
        return ConstantQ(features, rate)
    if features.fft:
        raise ValueError(
            f"sound.features.fft={features.fft}: nnaudio has no zeros after its windows: take "
            "another --frontend-backend"
        )
    library = imported("nnAudio.features.stft", "nnAudio")
    stft = library.STFT(
        features.window, hop_length=features.hop, center=False, sr=rate, verbose=False
    )
    if features.trainable != "stft":
        return Plain(features, rate, ConvolutionSpectrum(stft))
    kernels_KT = (stft.wcos - 1j * stft.wsin)[:, 0].numpy()
    return Plain(features, rate, Kernels(kernels_KT, features.hop, trainable=True))


class ConstantQ(nn.Module):
    """Waves (B, T) to decibels of `cqt` or `vqt`: (B, F, N).

    Every bin at the full rate: nnAudio's own CQT2010 and VQT halve the rate octave by octave and
    interpolate between frames, which at a hop that cannot be halved misses librosa by 27 dB.
    """

    def __init__(self, features: Features, rate: int) -> None:
        super().__init__()
        self.features = features
        # nnAudio counts Q and gamma by the distance to the next bin, librosa by the bandwidth
        step = 2 ** (1 / features.bins_per_octave) - 1
        kernels_FT, _, lengths_F, _ = imported("nnAudio.utils", "nnAudio").create_cqt_kernels(
            1 / features.bandwidth,
            rate,
            features.low,
            features.mels,
            features.bins_per_octave,
            gamma=features.gamma * step / features.bandwidth,
        )
        kernels_FT = kernels_FT * lengths_F.sqrt().numpy()[:, None]
        self.spectrum = Kernels(kernels_FT, features.hop, features.trainable == "stft")

    def forward(self, waves_BT: Tensor) -> Tensor:
        assert waves_BT.ndim == 2, "waves are (B, T)"
        assert waves_BT.dtype == torch.float32, "waves are float32"
        half = self.spectrum.kernels_2KT.shape[2] // 2
        with full_precision(waves_BT.device.type):
            waves_BT = emphasized(waves_BT, self.features)
            return decibels(self.spectrum(functional.pad(waves_BT, (half, half))), self.features)


BACKENDS: dict[str, Callable[[Features, int], nn.Module]] = {
    "overhear": Overhear,
    "torchaudio": _torchaudio,
    "nnaudio": _nnaudio,
}


def fft_size(features: Features) -> int:
    """Samples of a frame as transformed: the window, perhaps with zeros after it."""
    if features.kind == "vggish":
        return power_of_two(features.window)
    return features.fft or features.window


def imported(module: str, library: str) -> Any:
    """A library that not every machine has; OSError and RuntimeError: built for another torch.

    Raises ValueError where it cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        reason = f"it cannot be imported ({str(error).splitlines()[0]})"
        raise ValueError(_missing(library, reason)) from None


def _missing(library: str, reason: str) -> str:
    return f"this front end needs {library}, {reason}: install it, or take another"


def _reflected(waves: Tensor, window: int) -> list[Tensor]:
    """The pieces of waves (..., T) padded to (..., T + window), mirrored around their end samples.

    The right edge takes the odd sample of an odd window, so that there is always a last frame.
    """
    left, right = window // 2, window - window // 2
    return [waves[..., 1 : left + 1].flip(-1), waves, waves[..., -right - 1 : -1].flip(-1)]


@contextmanager
def full_precision(device: str) -> Iterator[None]:
    """No autocast, no TF32, no bfloat16 products: 8 or 10 bits of a power are not enough."""
    backends: Any = torch.backends
    products = backends.mkldnn if device == "cpu" else backends.cuda
    convolutions = backends.mkldnn if device == "cpu" else backends.cudnn
    switches = products.matmul, convolutions.conv
    lowered = [(s, s.fp32_precision) for s in switches if s.fp32_precision in ("tf32", "bf16")]
    try:
        for switch, _ in lowered:
            switch.fp32_precision = "ieee"
        with torch.autocast(device, enabled=False):
            yield
    finally:
        for switch, before in lowered:
            switch.fp32_precision = before


def statistics(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and unbiased standard deviation per mel band, each (F,) float32, over clips and frames.

    One pass over features_BFN, in float64 around the first value seen, so that nothing cancels. A
    band that never changes gets a deviation of 1: standardized, it is 0 and not 0 / 0.
    Raises ValueError for fewer than two frames in all.
    """
    count, origin_F, sum_F, squares_F = 0, torch.zeros(1), torch.zeros(1), torch.zeros(1)
    for features_BFN in batches:
        values_FM = features_BFN.detach().double().transpose(0, 1).flatten(1)
        if count == 0:
            origin_F = values_FM[:, 0]
            sum_F = squares_F = torch.zeros_like(origin_F)
        values_FM = values_FM - origin_F[:, None]
        count += values_FM.shape[1]
        sum_F = sum_F + values_FM.sum(dim=1)
        squares_F = squares_F + values_FM.square().sum(dim=1)
    if count < 2:
        raise ValueError(f"statistics of {count} frames: a deviation needs at least two")
    variance_F = (squares_F - sum_F.square() / count).clamp(min=0) / (count - 1)
    std_F = torch.where(variance_F > 0, variance_F.sqrt(), 1.0)
    return (origin_F + sum_F / count).float(), std_F.float()


class Standardize(nn.Module):
    """(features_BFN - mean) / std per mel band; both are saved with the weights, as (1, F, 1)."""

    mean_F: Tensor
    std_F: Tensor

    def __init__(self, mean_F: Tensor, std_F: Tensor) -> None:
        super().__init__()
        assert (std_F > 0).all(), "statistics() gives positive deviations"
        self.register_buffer("mean_F", mean_F.reshape(1, -1, 1))
        self.register_buffer("std_F", std_F.reshape(1, -1, 1))

    def forward(self, features_BFN: Tensor) -> Tensor:
        return (features_BFN - self.mean_F) / self.std_F
