"""Residual normalization: a map plus itself normalized for each clip and frequency.

A microphone colours each band of a clip alike; normalizing bands clip by clip takes that out, and
what else a band's level says with it, of which the residual path brings a share back. Sources: Kim
et al. 2021 (arXiv 2111.06531) for FreqIN and lambda 0.1; the adaptive form with one rho, gamma and
beta a channel is that of TF-SepNet's public code. Contents: `freq_in`, ResidualNormalization,
AdaptiveResidualNormalization, `attach`.
"""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames)

from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-5  # added to the variance; the public code's, and usual of instance normalization
SHARE = 0.1  # of what is not normalized: lambda of Kim et al. 2021


def freq_in(x_BCFN: Tensor) -> Tensor:
    """(x - mean) / sqrt(variance + 1e-5), both of each clip and frequency, over channels and time,
    the variance biased: (B, C, F, N), at least float32.
    """
    x_BCFN = x_BCFN.to(torch.promote_types(x_BCFN.dtype, torch.float32))
    variance_B1F1, mean_B1F1 = torch.var_mean(x_BCFN, dim=(1, 3), correction=0, keepdim=True)
    return (x_BCFN - mean_B1F1) * torch.rsqrt(variance_B1F1 + EPSILON)


class ResidualNormalization(nn.Module):
    """share x + FreqIN(x); nothing learns."""

    def __init__(self, share: float = SHARE) -> None:
        super().__init__()
        self.share = share

    def forward(self, x_BCFN: Tensor) -> Tensor:
        return self.share * x_BCFN + freq_in(x_BCFN)


class AdaptiveResidualNormalization(nn.Module):
    """gamma (rho x + (1 - rho) FreqIN(x)) + beta, all three learnt for each of the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rho = nn.Parameter(torch.full((channels, 1, 1), 0.5))
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x_BCFN: Tensor) -> Tensor:
        mixed_BCFN = self.rho * x_BCFN + (1 - self.rho) * freq_in(x_BCFN)
        return self.gamma * mixed_BCFN + self.beta


def attach(network: nn.Module, normalization: str, channels: int = 1) -> None:
    """Let a network normalize what it is given, by a module `normalization` of its own: residual or
    adaptive; none leaves it as it is.
    """
    if normalization == "none":
        return
    adaptive = normalization == "adaptive"
    module = AdaptiveResidualNormalization(channels) if adaptive else ResidualNormalization()
    network.add_module("normalization", module)
    network.register_forward_pre_hook(_normalized)


def _normalized(network: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    first, *others = inputs
    return (network.get_submodule("normalization")(first), *others)
