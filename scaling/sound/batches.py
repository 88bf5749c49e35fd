"""Batches: clips of a packed store, read from its file or from a GPU's memory.

Contents: `full_scale`; Mapped, Pinned, Uploaded.
"""

# B clips of a batch, N clips of the store, T samples of a clip

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def full_scale(batch_BT: Tensor, device: torch.device) -> Tensor:
    """int16 samples as waves on the device, full scale 1."""
    return batch_BT.to(device, non_blocking=True).float().div_(32768)


class Mapped(NamedTuple):
    """Reads batches from the memory-mapped file."""

    waves: np.ndarray  # int16, all clips one after another
    starts_N: np.ndarray
    lengths_N: np.ndarray
    tiled: bool = False  # whether a short clip is repeated, not followed by zeros

    def __call__(self, indices_B: np.ndarray, samples: int) -> Tensor:
        """A fresh tensor on the CPU."""
        batch_BT = np.empty((len(indices_B), samples), np.int16)
        lengths_B = np.minimum(self.lengths_N[indices_B], samples)
        for row_T, start, length in zip(batch_BT, self.starts_N[indices_B], lengths_B, strict=True):
            row_T[:length] = self.waves[start : start + length]
            row_T[length:] = np.resize(row_T[:length], samples - length) if self.tiled else 0
        return torch.from_numpy(batch_BT)


class Pinned(NamedTuple):
    """Reads batches from the file and sends them to a GPU while it computes."""

    host: Mapped
    device: torch.device

    def __call__(self, indices_B: np.ndarray, samples: int) -> Tensor:
        """A fresh tensor on the GPU; it may still be on its way."""
        return self.host(indices_B, samples).pin_memory().to(self.device, non_blocking=True)


class Uploaded(NamedTuple):
    """Gathers batches from one tensor that holds every clip."""

    waves_NT: Tensor

    def __call__(self, indices_B: np.ndarray, samples: int) -> Tensor:
        """A fresh tensor on the same device."""
        return self.rows(torch.from_numpy(indices_B), samples)

    def rows(self, rows_B: Tensor, samples: int) -> Tensor:
        """The same, by a tensor, best on the same device."""
        assert samples <= self.waves_NT.shape[1], "uploaded with fewer samples than now asked for"
        rows_B = rows_B.to(self.waves_NT.device, non_blocking=True)
        return self.waves_NT[:, :samples].index_select(0, rows_B)
