"""Constant and variable Q: decibels of bins whose filters grow as their frequencies fall."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.settings import Features
from scaling.sound.frontends.libraries import imported
from scaling.sound.frontends.plain import decibels, emphasized, full_precision
from scaling.sound.frontends.spectra import Kernels


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
