"""Roll, patch, microphone and mixup: a draw (on the CPU, from a named stream) and an apply each.

A draw is data: it can be logged, repeated for another view, or set by hand in a test. Sources:
Koutini et al. 2021 (roll of the wave, mixup with alpha 0.3), Zhang et al. 2018 (mixup). What
`augment.transform` names is in `scaling.sound.transforms`; what draws for the features of a whole
batch, Freq-MixStyle and the jitter of bands, is a file each beside this one.
"""

# B clips, T samples, F mel bands, N frames

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def draw_roll(stream: np.random.Generator, batch: int, limit: int) -> Tensor:
    """Circular shifts in samples, uniform over [-limit, limit]: (B,) int64."""
    return torch.from_numpy(stream.integers(-limit, limit, size=batch, endpoint=True))


def roll(waves_BT: Tensor, shifts_B: Tensor) -> Tensor:
    """Each wave shifted later by its own number of samples, its end coming back at its start."""
    length = waves_BT.shape[1]
    shifts_B = shifts_B.to(waves_BT.device)
    source_BT = (torch.arange(length, device=waves_BT.device) - shifts_B[:, None]) % length
    return waves_BT.gather(1, source_BT)


def draw_patch(stream: np.random.Generator, batch: int, last: int) -> Tensor:
    """First frames of patches, uniform over [0, last]: (B,) int64."""
    return torch.from_numpy(stream.integers(0, last, size=batch, endpoint=True))


def patch(features_BFN: Tensor, starts_B: Tensor, size: int) -> Tensor:
    """`size` frames of each clip from its own first one on: (B, F, size)."""
    offsets = torch.arange(size, device=features_BFN.device)
    frames_BN = starts_B.to(features_BFN.device)[:, None] + offsets
    rows = features_BFN.shape[1]
    return features_BFN.gather(2, frames_BN[:, None].expand(-1, rows, -1))


def draw_microphone(stream: np.random.Generator, batch: int, share: float, count: int) -> Tensor:
    """Which microphone each clip is heard through: (B,) int64.

    With probability 1 - share none, -1 (`scaling.sound.microphones.RECORDED`), else one of 0 to
    count - 1, all alike.
    """
    heard = stream.random(batch) < share
    return torch.from_numpy(np.where(heard, stream.integers(count, size=batch), -1))


class Mix(NamedTuple):
    """Which clip is mixed into which, and how much of the first stays."""

    weights_B: Tensor  # in [0.5, 1]
    partners_B: Tensor  # a permutation of the batch


def draw_mixup(stream: np.random.Generator, batch: int, alpha: float) -> Mix:
    """One weight per clip from Beta(alpha, alpha), folded to at least a half; one permutation of
    the batch.
    """
    weights = stream.beta(alpha, alpha, size=batch)
    weights = np.maximum(weights, 1 - weights).astype(np.float32)
    return Mix(torch.from_numpy(weights), torch.from_numpy(stream.permutation(batch)))


def mixup(x_B: Tensor, mix: Mix) -> Tensor:
    """weights * x + (1 - weights) * x of the partners; for features and for class probabilities
    alike.
    """
    weights = mix.weights_B.to(x_B.device).view(-1, *[1] * (x_B.dim() - 1))
    return torch.lerp(x_B[mix.partners_B.to(x_B.device)], x_B, weights)
