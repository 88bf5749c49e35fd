"""Spectra: padded waves to power, by torch's FFT, nnAudio's convolutions, or filters that learn."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scaling.settings import Features
from scaling.settings.features import power_of_two

INITIAL = "initial_"  # before the name of filters that learn: a copy as they began


def fft_size(features: Features) -> int:
    """Samples of a frame as transformed: the window, perhaps with zeros after it."""
    if features.kind == "vggish":
        return power_of_two(features.window)
    return features.fft or features.window


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
        periodic = features.kind != "passt"
        hann[: features.window] = torch.hann_window(features.window, periodic, dtype=hann.dtype)
        window = hann if features.kind == "vggish" else hann.float()
        self.register_buffer("window", window, persistent=False)

    def forward(self, waves_BT: Tensor) -> Tensor:
        size, waves_BT = len(self.window), waves_BT.to(self.window.dtype)
        spectrum_BQN = torch.stft(
            waves_BT, size, self.hop, window=self.window, center=False, return_complex=True
        )
        return (spectrum_BQN.real.square() + spectrum_BQN.imag.square()).float()


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


def learn(module: nn.Module, name: str, filters: Tensor) -> None:
    """Give the module filters that learn, and a copy as they began, which is saved with them."""
    module.register_parameter(name, nn.Parameter(filters))
    module.register_buffer(f"{INITIAL}{name}", filters.clone())
