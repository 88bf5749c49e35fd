"""Front ends: waves to what the network sees, on any device.

Sources: `perceptual` is CP-ResNet's (power, decibels, A-weighting of every FFT bin, then mel bands
of decibels: a band averages logarithms); `log_mel` is the usual one (power, mel bands, decibels).
Conventions: waves are float32, full scale 1. Frame n is centred on sample n hop, under a periodic
Hann window, edges reflected; T samples give 1 + T // hop frames. Decibels are 10 log10 of power, at
least -100, and at least `range_db` below the clip's loudest value where that is set (in
`perceptual` before the weighting). librosa in float64 with reflected edges is the judge.
Shapes: B clips, T samples, N frames, Q FFT bins, F mel bands.
Contents: `build` and its BACKENDS; `mel_filters`, `a_weighting`; `statistics`, `Standardize`.
"""

import importlib
import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaling.config import Features, nearest

QUIETEST = 1e-10  # the power of -100 dB, librosa's amin
TWOFOLD = 10 * math.log10(2)  # decibels of a factor of two: 10 log10(x) = TWOFOLD log2(x)
BLOCK = 2**19  # samples transformed at once, 2 MiB: less costs calls, more gains nothing (measured)
GROUP = 32  # mel bands in one product: neighbours share bins, so few of the zeros are multiplied


def build(features: Features, rate: int, backend: str = "overhear") -> nn.Module:
    """A module from waves_BT (float32, full scale 1, at `rate` Hz) to features_BFN (float32, dB).

    On a CPU, the default's features of a clip have the same bits whatever else is in the batch and
    however many threads torch may use. Raises ValueError for a backend that is unknown or cannot be
    imported and for mel bands without an FFT bin; the module does for waves shorter than half a
    window.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r}: no such front end{nearest(backend, BACKENDS)}")
    return BACKENDS[backend](features, rate)


class Plain(nn.Module):
    """Batched operations around any power spectrum: on any device, differentiable."""

    mel_FQ: Tensor
    weighting_F1: Tensor

    def __init__(self, features: Features, rate: int, spectrum: nn.Module) -> None:
        """`spectrum` takes padded waves (B, T + window) to power_BQN, a frame from every hop on."""
        super().__init__()
        self.features = features
        self.perceptual = features.kind == "perceptual"
        self.spectrum = spectrum
        window, high = features.window, features.high or rate / 2
        mel_FQ = mel_filters(rate, window, features.mels, features.low, high)
        # The mel product is linear: its image of the weighting, added once, replaces one per frame.
        weighting_F = np.dot(mel_FQ, a_weighting(np.fft.rfftfreq(window, 1 / rate)))
        for name, values in (("mel_FQ", mel_FQ), ("weighting_F1", weighting_F[:, None])):
            self.register_buffer(name, torch.from_numpy(values).float(), persistent=False)

    def forward(self, waves_BT: Tensor) -> Tensor:
        """Features of waves; raises ValueError for waves too short to reflect half a window."""
        assert waves_BT.ndim == 2, "waves are (B, T)"
        assert waves_BT.dtype == torch.float32, "waves are float32"
        window, samples = self.features.window, waves_BT.shape[1]
        if samples < (needed := window - window // 2 + 1):
            raise ValueError(
                f"a wave of {samples} samples is too short for window={window}, which needs "
                f"{needed} (edges are reflected): longer clips or a shorter window"
            )
        with _full_precision(waves_BT.device.type):
            return self.compute(waves_BT)

    def compute(self, waves_BT: Tensor) -> Tensor:
        """The features, once the waves are checked and float32 means float32."""
        power_BQN = self.spectrum(torch.cat(_reflected(waves_BT, self.features.window), dim=-1))
        if self.perceptual:
            return self.mel_FQ @ self._decibels(power_BQN) + self.weighting_F1
        return self._decibels(self.mel_FQ @ power_BQN)

    def _decibels(self, power: Tensor) -> Tensor:
        power = power.clamp(min=QUIETEST)
        if self.features.range_db > 0:
            loudest = power.amax(dim=(1, 2), keepdim=True)
            power = torch.maximum(power, loudest * 10 ** (-self.features.range_db / 10))
        return 10 * torch.log10(power)


class Fourier(nn.Module):
    """Padded waves (B, T) to power_BQN by torch.stft."""

    window: Tensor

    def __init__(self, window: int, hop: int) -> None:
        super().__init__()
        self.hop = hop
        hann = torch.hann_window(window, dtype=torch.float64)
        self.register_buffer("window", hann.float(), persistent=False)

    def forward(self, waves_BT: Tensor) -> Tensor:
        size = len(self.window)
        spectrum_BQN = torch.stft(
            waves_BT, size, self.hop, window=self.window, center=False, return_complex=True
        )
        return spectrum_BQN.real.square() + spectrum_BQN.imag.square()


class Overhear(Plain):
    """Our own, made for CPUs: clip by clip in memory that stays in cache, clips side by side."""

    spectrum: Fourier

    def __init__(self, features: Features, rate: int) -> None:
        super().__init__(features, rate, Fourier(features.window, features.hop))
        self.groups: list[tuple[slice, slice]] = []  # mel bands, and the bins they touch
        for rows in (slice(i, i + GROUP) for i in range(0, features.mels, GROUP)):
            touched = self.mel_FQ[rows].any(dim=0).nonzero()
            self.groups.append((rows, slice(int(touched[0]), int(touched[-1]) + 1)))

    def compute(self, waves_BT: Tensor) -> Tensor:
        """Plain where a gradient is asked for or a GPU computes, else on torch's many threads."""
        if waves_BT.device.type != "cpu" or (torch.is_grad_enabled() and waves_BT.requires_grad):
            return super().compute(waves_BT)
        waves_BT = waves_BT.detach()
        clips, samples = waves_BT.shape
        frames = 1 + samples // self.features.hop
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
        padded_T = waves_BT.new_empty(waves_BT.shape[1] + size)
        frames_NT = padded_T.as_strided((count, size), (hop, 1))
        windowed_NT = waves_BT.new_empty(block, size)
        power_NQ = waves_BT.new_empty(count, size // 2 + 1)
        bands_FN = waves_BT.new_empty(features_BFN.shape[1:])
        parts = [slice(i, min(i + block, count)) for i in range(0, count, block)]
        blocks = [(frames_NT[n], windowed_NT[: n.stop - n.start], power_NQ[n]) for n in parts]
        unit = TWOFOLD if perceptual else 1.0
        products = [
            (self.mel_FQ[f, q] * unit, power_NQ[:, q].t(), bands_FN[f]) for f, q in self.groups
        ]
        for wave_T, features_FN in zip(waves_BT, features_BFN, strict=True):
            torch.cat(_reflected(wave_T, size), out=padded_T)
            for frames, windowed, power in blocks:
                torch.mul(frames, window, out=windowed)
                squares = torch.view_as_real(torch.fft.rfft(windowed)).square_()
                torch.add(squares[..., 0], squares[..., 1], out=power)
            if perceptual:
                self._log2_(power_NQ)
            for filters, power, bands in products:
                torch.mm(filters, power, out=bands)
            if perceptual:
                torch.add(bands_FN, self.weighting_F1, out=features_FN)
            else:
                torch.mul(self._log2_(bands_FN), TWOFOLD, out=features_FN)

    def _log2_(self, power: Tensor) -> Tensor:
        floor = QUIETEST
        if self.features.range_db > 0:
            floor = max(floor, float(power.amax()) * 10 ** (-self.features.range_db / 10))
        return power.clamp_(min=floor).log2_()


class Convolution(nn.Module):
    """Padded waves (B, T) to power_BQN by nnAudio's STFT, a convolution with sines and cosines.

    In float64: in float32 its long sums miss librosa by more than 2e-4 on 3 of ESC-10's 400 clips.
    """

    def __init__(self, stft: nn.Module) -> None:
        super().__init__()
        self.stft = stft.double()

    def forward(self, waves_BT: Tensor) -> Tensor:
        power_BQN: Tensor = self.stft(waves_BT.double()).square().sum(dim=-1)
        return power_BQN.float()


def _torchaudio(features: Features, rate: int) -> nn.Module:
    library = _import("torchaudio.transforms", "torchaudio")
    spectrum = library.Spectrogram(features.window, hop_length=features.hop, center=False)
    return Plain(features, rate, spectrum)


def _nnaudio(features: Features, rate: int) -> nn.Module:
    library = _import("nnAudio.features.stft", "nnAudio")
    stft = library.STFT(
        features.window, hop_length=features.hop, center=False, sr=rate, verbose=False
    )
    return Plain(features, rate, Convolution(stft))


BACKENDS: dict[str, Callable[[Features, int], nn.Module]] = {
    "overhear": Overhear,
    "torchaudio": _torchaudio,
    "nnaudio": _nnaudio,
}


def _import(module: str, library: str) -> Any:
    """A library that not every machine has; OSError and RuntimeError: built for another torch."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        raise ValueError(
            f"backend={library.lower()!r} needs {library}, which cannot be imported "
            f"({str(error).splitlines()[0]}): install it, or take backend='overhear'"
        ) from None


def _reflected(waves: Tensor, window: int) -> list[Tensor]:
    """The pieces of waves (..., T) padded to (..., T + window), mirrored around their end samples.

    The right edge takes the odd sample of an odd window, so that there is always a last frame.
    """
    left, right = window // 2, window - window // 2
    return [waves[..., 1 : left + 1].flip(-1), waves, waves[..., -right - 1 : -1].flip(-1)]


@contextmanager
def _full_precision(device: str) -> Iterator[None]:
    """No autocast, no TF32, no bfloat16 products: 8 or 10 bits of a power are not enough."""
    switch: Any = getattr(torch.backends, "mkldnn" if device == "cpu" else "cuda").matmul
    before = switch.fp32_precision
    try:
        if before in ("tf32", "bf16"):
            switch.fp32_precision = "ieee"
        with torch.autocast(device, enabled=False):
            yield
    finally:
        if before in ("tf32", "bf16"):
            switch.fp32_precision = before


def mel_filters(rate: int, window: int, mels: int, low: float, high: float) -> NDArray[np.float64]:
    """Triangles of unit area (in Hz) from `low` to `high` Hz, alike in mel: (mels, window//2+1).

    The scale is Slaney's (Auditory Toolbox, 1998), as in librosa. Raises ValueError where a band
    lies between two FFT bins, with the largest number of bands that works.
    """
    bins_Q = np.fft.rfftfreq(window, 1 / rate)

    def covered(mels: int) -> bool:
        edges = _mel_edges(mels, low, high)
        first = np.searchsorted(bins_Q, edges[:-2], side="right")
        return bool((first < np.searchsorted(bins_Q, edges[2:], side="left")).all())

    if not covered(mels):
        most = next(filter(covered, range(mels - 1, 0, -1)), 0)
        raise ValueError(
            f"mels={mels} bands from {low:g} to {high:g} Hz are narrower than the FFT bins of "
            f"window={window} at rate={rate} Hz: "
            + (f"at most {most} work, or take" if most else "widen the range or take")
            + " a longer window"
        )
    edges = _mel_edges(mels, low, high)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (bins_Q - left) / (centre - left), (right - bins_Q) / (right - centre)
    filters_FQ: NDArray[np.float64] = np.maximum(0, np.minimum(rise, fall)) * 2 / (right - left)
    return filters_FQ


def _mel_edges(mels: int, low: float, high: float) -> NDArray[np.float64]:
    """The mels + 2 corners of the triangles, Hz: 200/3 Hz per mel to 1 kHz, then 27 mel per 6.4."""
    step = math.log(6.4) / 27
    first, last = (15 + math.log(f / 1000) / step if f > 1000 else f * 0.015 for f in (low, high))
    mel = np.linspace(first, last, mels + 2)
    edges: NDArray[np.float64] = np.where(mel < 15, mel / 0.015, 1000 * np.exp(step * (mel - 15)))
    return edges


def a_weighting(frequencies: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Gains of IEC 61672-1's A-weighting at frequencies in Hz, dB: 0 at 1 kHz, at least -80."""
    squared = np.asarray(frequencies, dtype=np.float64) ** 2
    low, middle, upper, high = (f**2 for f in (20.598997, 107.65265, 737.86223, 12194.217))
    gain = high * squared**2 / ((squared + low) * (squared + high))
    gain /= np.sqrt((squared + middle) * (squared + upper))
    return np.maximum(-80.0, 2.0 + 20 * np.log10(np.maximum(gain, 1e-10)))


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
