"""Waveform: a trial's front end made only of what any runtime has: products, sums and logarithms.

The DFT is two matrix products (Cooley and Tukey 1965). A windowed frame of R x C samples is written
as R rows of C; each column is transformed, rotated, and each row of the outcome transformed. Both
products have fixed tables, so no operator set needs to know Fourier. For a window of 2048 they take
a sixteenth of the multiply-adds of one product with all sines, and lose as little as an FFT; a
window of a prime number of samples is that one product. Of the bands, only those beside each other
are one product, which leaves out most zeros. Filters that learnt are constants.
Shapes: B clips, T samples, N frames, P pieces of a frame, R and C as above, K rows that differ (the
others mirror them), Q FFT bins, F bands.
Contents: `exportable`; ExportedBands, ExportedConstantQ, Products.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scaling.sound.frontends.constant_q import ConstantQ
from scaling.sound.frontends.overhear import GROUP
from scaling.sound.frontends.plain import OFFSET, Plain, decibels, emphasized, passt_scaled
from scaling.sound.frontends.spectra import Fourier, Kernels, fft_size


def exportable(frontend: nn.Module, samples: int) -> nn.Module:
    """A twin of a front end, from waves (B, samples) to features (B, F, N), both float32.

    Raises ValueError, which names it, for one that scaling.sound.frontends does not build.
    """
    if isinstance(frontend, ConstantQ):
        return ExportedConstantQ(frontend)
    if isinstance(frontend, Plain):
        return ExportedBands(frontend, samples)
    raise ValueError(
        f"the front end {type(frontend).__name__} cannot be exported: only those of "
        "sound.features.kind have a twin of plain products"
    )


class ExportedBands(nn.Module):
    """Bands of an STFT: every kind but `cqt` and `vqt`."""

    weighting_F: Tensor

    def __init__(self, frontend: Plain, samples: int) -> None:
        super().__init__()
        self.features, self._padded = frontend.features, frontend.padded
        mel_FQ, weighting_F1 = frontend.mel_FQ, frontend.weighting_F1
        if self.features.trainable == "mel":
            mel_FQ = frontend.filters_FQ.detach() * frontend.peaks_F1
            weighting_F1 = mel_FQ @ frontend.weighting_Q1
        self.spectrum = frontend.spectrum
        if not isinstance(frontend.spectrum, Kernels):
            size, hop = fft_size(self.features), self.features.hop
            samples -= self.features.kind == "passt"  # the first is left out
            frames = 1 + (samples + frontend.padding - size) // hop
            self.spectrum = Products(Fourier(self.features).window, hop, frames)
        self.touched: list[slice] = []  # the bins of each group of bands
        for number, rows in enumerate(range(0, len(mel_FQ), GROUP)):
            group_FQ = mel_FQ[rows : rows + GROUP]
            bins = group_FQ.any(dim=0).nonzero()
            self.touched.append(slice(int(bins[0]), int(bins[-1]) + 1))
            bands_QF = group_FQ[:, self.touched[-1]].t().contiguous()
            self.register_buffer(f"bands{number}_QF", bands_QF)
        self.register_buffer("weighting_F", weighting_F1[:, 0].clone())

    def forward(self, waves_BT: Tensor) -> Tensor:
        waves_BT = emphasized(waves_BT, self.features)
        power_BQN: Tensor = self.spectrum(torch.cat(self._padded(waves_BT), dim=-1))
        if self.features.kind == "vggish":
            bands_BNF = self._summed(power_BQN.clamp(min=1e-20).sqrt())
            features_BNF = torch.log(bands_BNF.clamp(min=0) + OFFSET)
        elif self.features.kind == "passt":
            features_BNF = passt_scaled(self._summed(power_BQN).clamp(min=0))
        elif self.features.kind == "perceptual":
            bands_BNF = self._summed(decibels(power_BQN, self.features))
            features_BNF = bands_BNF + self.weighting_F
        else:
            features_BNF = decibels(self._summed(power_BQN), self.features)
        return features_BNF.transpose(1, 2)

    def _summed(self, bins_BQN: Tensor) -> Tensor:
        """Bins summed to bands: (B, N, F)."""
        bins_BNQ = bins_BQN.transpose(1, 2)
        groups = [
            bins_BNQ[:, :, bins] @ self.get_buffer(f"bands{number}_QF")
            for number, bins in enumerate(self.touched)
        ]
        return torch.cat(groups, dim=2)


class ExportedConstantQ(nn.Module):
    """`cqt` and `vqt`: a convolution already."""

    def __init__(self, frontend: ConstantQ) -> None:
        super().__init__()
        self.features, self.spectrum = frontend.features, frontend.spectrum
        self.reach = frontend.spectrum.kernels_2KT.shape[2] // 2

    def forward(self, waves_BT: Tensor) -> Tensor:
        waves_BT = emphasized(waves_BT, self.features)
        padded_BT = functional.pad(waves_BT, (self.reach, self.reach))
        return decibels(self.spectrum(padded_BT), self.features)


class Products(nn.Module):
    """Padded waves (B, T + padding) to power_BQN, computed in the window's precision."""

    window_T: Tensor
    starts_N1: Tensor  # where frames begin, and offsets of their pieces, counted in pieces
    offsets_1P: Tensor
    first_R2K: Tensor  # cosines, then sines
    twist_2CK: Tensor
    second_2C2C: Tensor  # of real and imaginary parts side by side
    places_Q: Tensor  # of an FFT's bins in the order of the products

    def __init__(self, window_T: Tensor, hop: int, frames: int) -> None:
        super().__init__()
        self.size, self.frames = len(window_T), frames
        # a frame is gathered in the largest pieces that all frames begin at
        self.piece = math.gcd(self.size, hop)
        self.pieces = ((frames - 1) * hop + self.size) // self.piece
        self.rows, self.columns = _sides(self.size)
        rows_R, columns_C = np.arange(self.rows), np.arange(self.columns)
        kept_K = np.arange(self.rows // 2 + 1)
        cos_CC, sin_CC = _circle(columns_C, columns_C, self.columns)
        second = np.block([[cos_CC, sin_CC], [-sin_CC, cos_CC]])
        for name, values in (
            ("first_R2K", np.hstack(_circle(rows_R, kept_K, self.rows))),
            ("twist_2CK", np.stack(_circle(columns_C, kept_K, self.size))),
            ("second_2C2C", second),
        ):
            self.register_buffer(name, torch.from_numpy(values).to(window_T.dtype))
        self.register_buffer("window_T", window_T.clone())
        starts_N1 = torch.arange(frames)[:, None] * (hop // self.piece)
        self.register_buffer("starts_N1", starts_N1)
        self.register_buffer("offsets_1P", torch.arange(self.size // self.piece)[None])
        bins = (kept_K[:, None] + self.rows * columns_C).ravel()
        # a bin and its mirror are alike: of both, the first is taken
        _, places_Q = np.unique(np.minimum(bins, self.size - bins), return_index=True)
        self.register_buffer("places_Q", torch.from_numpy(places_Q))

    def forward(self, waves_BT: Tensor) -> Tensor:
        pieces_BPT = waves_BT[:, : self.pieces * self.piece].reshape(-1, self.pieces, self.piece)
        at = (self.starts_N1 + self.offsets_1P).flatten()  # small tables in the file, one in memory
        frames_BNT = pieces_BPT.index_select(1, at).reshape(-1, self.frames, self.size)
        windowed_BNT = frames_BNT.to(self.window_T.dtype) * self.window_T
        split = (-1, self.frames, self.rows, self.columns)
        columns_BNCR = windowed_BNT.reshape(split).transpose(2, 3)
        real, imaginary = (columns_BNCR @ self.first_R2K).chunk(2, dim=3)
        cosine_CK, sine_CK = self.twist_2CK[0], self.twist_2CK[1]
        turned = [
            real * cosine_CK - imaginary * sine_CK,
            real * sine_CK + imaginary * cosine_CK,
        ]
        turned_BNK2C = torch.cat([part.transpose(2, 3) for part in turned], dim=3)
        real, imaginary = (turned_BNK2C @ self.second_2C2C).chunk(2, dim=3)
        power_BNKC = real * real + imaginary * imaginary
        power_BNQ = power_BNKC.flatten(2).index_select(2, self.places_Q)
        return power_BNQ.transpose(1, 2).float()


def _sides(size: int) -> tuple[int, int]:
    """Rows and columns that multiply to `size`, for the fewest multiply-adds: R + 2 C a sample."""
    divisors = (rows for rows in range(1, size + 1) if size % rows == 0)
    rows = min(divisors, key=lambda rows: rows + 2 * (size // rows))
    return rows, size // rows


def _circle(
    one: NDArray[np.int64], other: NDArray[np.int64], period: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Real and imaginary parts of exp(-2 pi i one other / period)."""
    angles = 2 * np.pi * (np.outer(one, other) % period) / period
    return np.cos(angles), -np.sin(angles)
