"""Plain: the bands of an STFT as batched operations, on any device and with gradients.

What the fast paths are held against, and what computes wherever they do not.
Contents: Plain; `bands`, `emphasized`, `decibels`, `passt_scaled`, `full_precision`.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scaling.settings import Features
from scaling.sound.frontends.libraries import imported
from scaling.sound.frontends.spectra import fft_size, learn
from scaling.sound.mel import Scale, a_weighting, mel_filters

QUIETEST = 1e-10  # the power of -100 dB, librosa's amin
TWOFOLD = 10 * math.log10(2)  # decibels of a factor of two: 10 log10(x) = TWOFOLD log2(x)
OFFSET = 0.01  # VGGish adds it to a band before the logarithm
PASST_OFFSET, PASST_MEAN, PASST_RANGE = 1e-5, -4.5, 5.0  # the like of PaSST, and what it scales by


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
        kinds = ("perceptual", "vggish", "passt")
        self.perceptual, self.vggish, self.passt = (features.kind == kind for kind in kinds)
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
        if samples < (needed := self.features.shortest):
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
        if self.passt:
            return passt_scaled((mel_FQ @ power_BQN).clamp(min=0))
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
    """Waves (..., T) less `preemphasis` of the sample before, which of the first is silence; of
    `passt`, which leaves out the first, (..., T - 1).
    """
    share = features.preemphasis
    if features.kind == "passt":
        return waves[..., 1:] - share * waves[..., :-1]
    if not share:
        return waves
    return torch.cat([waves[..., :1], waves[..., 1:] - share * waves[..., :-1]], dim=-1)


def decibels(power_BFN: Tensor, features: Features) -> Tensor:
    """10 log10 of power, no lower than the features' floors."""
    power_BFN = power_BFN.clamp(min=features.floor or QUIETEST)
    if features.range_db > 0:
        loudest_B11 = power_BFN.amax(dim=(1, 2), keepdim=True)
        power_BFN = torch.maximum(power_BFN, loudest_B11 * 10 ** (-features.range_db / 10))
    return 10 * torch.log10(power_BFN)


def passt_scaled(bands: Tensor) -> Tensor:
    """Power in bands as PaSST and EfficientAT hear it."""
    return (torch.log(bands + PASST_OFFSET) - PASST_MEAN) / PASST_RANGE


def bands(features: Features, rate: int) -> NDArray[np.float64]:
    """The filters that an STFT's power, or magnitude, is summed with: (F, Q)."""
    size, high = fft_size(features), features.high or rate / 2
    if features.kind == "gammatone":
        make = imported("nnAudio.librosa_functions", "nnAudio").get_gammatone
        gammatone_FQ: NDArray[np.float64] = make(rate, size, features.mels, features.low, high)
        return gammatone_FQ.astype(np.float64)
    scale: Scale = "htk" if features.kind in ("vggish", "passt") else "slaney"
    return mel_filters(rate, size, features.mels, features.low, high, scale)


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
