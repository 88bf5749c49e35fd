"""VGG9, the network of the consistency paper: eight 3x3 convolutions, their maps' mean, one dense
layer.

Sources: Iqbal et al., ICASSP 2021 (arXiv 2102.05151) for the channels, and, where that is silent,
its first author's public network of that time (facts: vib_few_data_consistency, section C1): four
blocks of twice 3x3, batch normalization and ReLU, then 2x2 max pooling. W = 64 is the paper's
width.
"""

import torch

from scaling.networks.chain import Chain, assemble
from scaling.networks.cost import Layer, Sides
from scaling.settings import Network

BLOCKS = (1, 2, 4, 8)  # channels of a block's two convolutions, times W


def layers(network: Network, classes: int, channels: int = 1) -> list[Layer]:
    """Its layers in the order of the forward pass, for scaling.networks.cost."""
    found: list[Layer] = []
    for block in BLOCKS:
        for pool in (1, 2):  # the second of two is pooled
            inputs = found[-1].outputs if found else channels
            name, outputs = f"conv{len(found) + 1}", block * network.width
            found.append(Layer(name, inputs, outputs, (3, 3), padding=(1, 1), pool=pool))
    dense = Layer("dense", found[-1].outputs, classes, bias=True, norm=False, reads="mean")
    return [*found, dense]


def build(
    network: Network,
    classes: int,
    channels: int,
    size: Sides | None,
    generator: torch.Generator,
) -> Chain:
    """A network initialized from `generator`: equal settings and seeds give equal weights, damped
    or not.
    """
    return assemble(layers(network, classes, channels), network, size, generator)
