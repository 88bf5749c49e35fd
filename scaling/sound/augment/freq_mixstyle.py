"""Freq-MixStyle: clips of a batch exchange the mean and deviation of their bands, by a share.

What a recording device does to a band of decibels is mostly a shift and a scale that stay the same
over a clip: its style. Sources: Schmid et al. 2023 (arXiv 2305.07499); Zhou et al. 2021 (MixStyle).
Standardization by band before or after it gives the same. Contents: StyleMix, `draw`, `mixed`.
"""

# B clips, F mel bands, N frames

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

EPSILON = 1e-6  # added to the variance, as published


class StyleMix(NamedTuple):
    """Whose style is mixed into whose, and how much of a clip's own stays."""

    weights_B: Tensor  # in [0, 1]
    partners_B: Tensor  # a permutation of the batch


def draw(
    stream: np.random.Generator, batch: int, probability: float, alpha: float, as_one: bool
) -> StyleMix | None:
    """With a probability a weight for each clip from Beta(alpha, alpha), or `as_one` the same for
    all, and a permutation; else None. As many numbers are drawn either way.
    """
    taken = stream.random() < probability
    weights = stream.beta(alpha, alpha, size=batch).astype(np.float32)
    partners = torch.from_numpy(stream.permutation(batch))
    if not taken:
        return None
    weights_B = torch.from_numpy(np.full_like(weights, weights[0]) if as_one else weights)
    return StyleMix(weights_B, partners)


def mixed(x_BFN: Tensor, mix: StyleMix) -> Tensor:
    """(x - mean) / deviation, times the weighted mean of both clips' deviations, plus that of their
    means: (B, F, N). Statistics are of each clip and band over time, and get no gradient.
    """
    with torch.no_grad():
        variance_BF1, mean_BF1 = torch.var_mean(x_BFN, dim=2, correction=0, keepdim=True)
        deviation_BF1 = (variance_BF1 + EPSILON).sqrt()
        partners_B = mix.partners_B.to(x_BFN.device)
        weights_B11 = mix.weights_B.to(x_BFN)[:, None, None]
        new_mean_BF1 = torch.lerp(mean_BF1[partners_B], mean_BF1, weights_B11)
        new_deviation_BF1 = torch.lerp(deviation_BF1[partners_B], deviation_BF1, weights_B11)
        scale_BF1 = new_deviation_BF1 / deviation_BF1
    return (x_BFN - mean_BF1) * scale_BF1 + new_mean_BF1
