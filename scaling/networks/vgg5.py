"""VGG5, the second network of the few-data paper: five 3x3 convolutions, each pooled, one dense
layer.

Sources: Choi et al. 2016, as in Pons et al. 2019 and their public code (facts:
vib_few_data_consistency, section B3): batch normalization in front of the first convolution, and
behind each one's ELU. W = 32 is the regularized network's width, W = 128 the prototypical one's,
whose public code normalizes its input frame by frame (`input_norm` = time).
"""

import torch
from torch.nn import functional

from scaling.networks.chain import TENSORFLOW, Chain, assemble
from scaling.networks.cost import Layer, Sides
from scaling.settings import Network

STYLE = TENSORFLOW._replace(activation=functional.elu, norm_last=True, dropout=0.5)
CONVOLUTIONS = 5


def layers(network: Network, classes: int, channels: int = 1) -> list[Layer]:
    """Its layers in the order of the forward pass, for scaling.networks.cost."""
    width = network.width
    found = [
        Layer(
            f"conv{index}",
            width if index > 1 else channels,
            width,
            (3, 3),
            padding="same",
            bias=True,
            pool=2,
        )
        for index in range(1, CONVOLUTIONS + 1)
    ]
    found[0] = found[0]._replace(input_norm=network.input_norm)
    return [*found, Layer("dense", width, classes, bias=True, norm=False, reads="map")]


def build(
    network: Network,
    classes: int,
    channels: int,
    size: Sides | None,
    generator: torch.Generator,
) -> Chain:
    """A network initialized from `generator`: equal settings and seeds give equal weights, damped
    or not. Raises ValueError when the input's `size` is too small.
    """
    return assemble(layers(network, classes, channels), network, size, generator, STYLE)
