"""VGG9, the network of the consistency paper: eight 3x3 convolutions, their maps' mean, one dense
layer.

Sources: Iqbal et al., ICASSP 2021 (arXiv 2102.05151) for the channels, and, where that is silent,
its first author's public network of that time (facts: vib_few_data_consistency, section C1): four
blocks of twice 3x3, batch normalization and ReLU, then 2x2 max pooling. W = 64 is the paper's
width.
"""

from typing import Literal

from scaling.networks.cost import Layer
from scaling.networks.network import Chain

BLOCKS = (1, 2, 4, 8)  # channels of a block's two convolutions, times W


class VGG9(Chain):
    """Eight 3x3 convolutions in four blocks."""

    kind: Literal["vgg9"] = "vgg9"

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        found: list[Layer] = []
        for block in BLOCKS:
            for pool in (1, 2):  # the second of two is pooled
                inputs = found[-1].outputs if found else channels
                name, outputs = f"conv{len(found) + 1}", block * self.width
                found.append(Layer(name, inputs, outputs, (3, 3), padding=(1, 1), pool=pool))
        dense = Layer("dense", found[-1].outputs, classes, bias=True, norm=False, reads="mean")
        return [*found, dense]
