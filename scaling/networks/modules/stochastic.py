"""Modules that draw while they train, each from a generator that it is handed.

Nothing draws from torch's global generator: `reseed`, called at the start of each epoch, gives
every such module a fresh stream, so that an epoch that is run again draws what it drew. Source of
spatial dropout: Tompson et al. 2015; its place in our networks: after every ReLU convolution
(facts: vib_few_data_consistency, section A5), in CP-ResNet after every block.
"""

# B clips, C channels, F rows of a map, N columns

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Stochastic(nn.Module):
    """A module that draws in training, from `generator`; in evaluation it draws nothing."""

    generator: torch.Generator | None = None
    stream: str | None = None  # the name of its stream; else that of the module

    def draw(self, how: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        """So many numbers, drawn by `how` (torch.rand, torch.randn) where its generator lies."""
        assert self.generator is not None, "reseed() the network before it trains"
        return how(shape, generator=self.generator, device=self.generator.device)


class SpatialDropout(Stochastic):
    """In training, sets a share of all (clip, channel) maps to zero and scales the others up by
    1 / (1 - share), so that means are kept; in evaluation, or with share 0, the identity.

    Of vectors (B, C) it drops single elements: plain dropout.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x_BCFN: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return x_BCFN
        drawn_BC = self.draw(torch.rand, x_BCFN.shape[:2])
        factor_BC = (drawn_BC >= self.share).to(x_BCFN) / (1 - self.share)
        return x_BCFN * factor_BC.reshape(*factor_BC.shape, *[1] * (x_BCFN.ndim - 2))


def reseed(network: nn.Module, make: Callable[[str], torch.Generator]) -> None:
    """Give every module that draws the generator that `make` returns for its stream's name."""
    for name, module in network.named_modules():
        if isinstance(module, Stochastic):
            module.generator = make(name if module.stream is None else module.stream)
