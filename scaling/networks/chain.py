"""Networks without branches: convolutions one after the other, then one dense layer.

Such a network is its list of layers; this module builds it. Each convolution is followed by what
its layer says: bias, batch normalization, ReLU, spatial dropout, max pooling.
"""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.config import Network
from scaling.networks.cost import Layer, Sides, last_map
from scaling.networks.kernels import Convolution, Dense, initialize
from scaling.networks.output import Output
from scaling.networks.stochastic import SpatialDropout


class Chain(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y)."""

    def __init__(self, layers: Sequence[Layer], network: Network, size: Sides | None) -> None:
        super().__init__()
        *self.stages, last = layers
        self.blocks = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.dropouts = nn.ModuleDict()
        for stage in self.stages:
            self.blocks[stage.name] = Convolution(
                stage.inputs,
                stage.outputs,
                stage.kernel,
                stage.stride,
                network.damping,
                stage.padding,
                stage.bias,
            )
            self.dropouts[stage.name] = SpatialDropout(network.dropout)
            if stage.norm:
                self.norms[stage.name] = nn.BatchNorm2d(stage.outputs)
        self.flat = last.reads == "map"
        inputs = last.inputs
        if self.flat:
            assert size is not None, "a dense layer on the whole map needs the size of the input"
            inputs *= math.prod(last_map(layers, size))
        self.dense = Dense(inputs, last.outputs)

    def forward(self, x_BCFN: Tensor) -> Output:
        for stage in self.stages:
            x_BCFN = self.blocks[stage.name](x_BCFN)
            if stage.norm:
                x_BCFN = self.norms[stage.name](x_BCFN)
            x_BCFN = self.dropouts[stage.name](functional.relu(x_BCFN))
            if stage.pool > 1:
                x_BCFN = functional.max_pool2d(x_BCFN, stage.pool)
        read_BC = x_BCFN.flatten(1) if self.flat else x_BCFN.mean(dim=(2, 3))
        return Output(self.dense(read_BC), x_BCFN)


def assemble(
    layers: Sequence[Layer], network: Network, size: Sides | None, generator: torch.Generator
) -> Chain:
    """The network of these layers, the last of which is dense, initialized from `generator`.

    `size` (mel bands, frames) is that of its input; only a dense layer on the whole map needs it,
    and then ValueError is raised where the input is too small.
    """
    model = Chain(layers, network, size)
    initialize(model, generator)
    return model
