"""Standardize: features less the training clips' mean, in their deviations, band by band."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


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
