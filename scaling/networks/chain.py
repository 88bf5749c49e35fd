"""Networks without branches: convolutions one after the other, then dense layers.

Such a network is its list of layers, the last of which is dense and puts out the logits, and its
Style; this module builds it. Each convolution is followed by what its layer says: bias, batch
normalization and activation in the style's order, spatial dropout, max pooling.
"""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), D units of a
# dense layer, Y classes

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer, Sides, last_map
from scaling.networks.kernels import Convolution, Dense, initialize
from scaling.networks.output import Output
from scaling.networks.stochastic import SpatialDropout
from scaling.settings import Network


class Style(NamedTuple):
    """What the layers of a network have in common; the defaults are torch's."""

    activation: Callable[[Tensor], Tensor] = functional.relu  # behind each layer but the last
    norm_last: bool = False  # batch normalization behind the activation, not in front of it
    epsilon: float = 1e-5  # of batch normalization
    momentum: float = 0.1  # share of the newest batch in its running statistics
    dropout: float = 0.0  # share of elements dropped in front of each dense layer
    initialization: Literal["he", "glorot"] = "he"

    def norm(self, channels: int) -> nn.BatchNorm2d:
        """One batch normalization."""
        return nn.BatchNorm2d(channels, self.epsilon, self.momentum)


TENSORFLOW = Style(epsilon=1e-3, momentum=0.01, initialization="glorot")  # TensorFlow's defaults


class FrameNorm(nn.Module):
    """Batch normalization of (B, C, F, N) with one mean and deviation for each of the N frames."""

    def __init__(self, frames: int, style: Style) -> None:
        super().__init__()
        self.norm = style.norm(frames)

    def forward(self, x_BCFN: Tensor) -> Tensor:
        normed_BNFC: Tensor = self.norm(x_BCFN.transpose(1, 3))
        return normed_BNFC.transpose(1, 3)


def convolution(layer: Layer, damping: float) -> Convolution:
    """The convolution of a layer."""
    return Convolution(
        layer.inputs,
        layer.outputs,
        layer.kernel,
        layer.stride,
        damping,
        layer.padding,
        layer.bias,
    )


def input_norm(layer: Layer, style: Style, size: Sides | None) -> nn.Module:
    """The normalization of what a network's first layer reads; the identity where it has none."""
    if layer.input_norm == "time":
        assert size is not None, "a normalization by frame needs the size of the input"
        return FrameNorm(size[1], style)
    return style.norm(layer.inputs) if layer.input_norm == "channel" else nn.Identity()


class Chain(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y)."""

    def __init__(
        self, layers: Sequence[Layer], network: Network, size: Sides | None, style: Style
    ) -> None:
        super().__init__()
        self.style = style
        self.stages = [layer for layer in layers if layer.reads == "pixels"]
        dense = [layer for layer in layers if layer.reads != "pixels"]
        self.hidden = [layer.name for layer in dense[:-1]]
        self.flat = dense[0].reads == "map"
        self.input_norm = input_norm(layers[0], style, size)
        self.blocks = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        self.dropouts = nn.ModuleDict()
        for stage in self.stages:
            self.blocks[stage.name] = convolution(stage, network.damping)
            self.norms[stage.name] = style.norm(stage.outputs) if stage.norm else nn.Identity()
            self.dropouts[stage.name] = SpatialDropout(network.dropout)
        pixels = 1
        if self.flat:
            assert size is not None, "a dense layer on the whole map needs the size of the input"
            pixels = math.prod(last_map(layers, size))
        for layer in dense:
            share = style.dropout
            self.dropouts[layer.name] = SpatialDropout(share) if share else nn.Identity()
            built = Dense(layer.inputs * pixels, layer.outputs)
            if layer.name in self.hidden:
                self.blocks[layer.name] = built
            else:
                self.dense = built
            pixels = 1

    def forward(self, x_BCFN: Tensor) -> Output:
        x_BCFN = self.input_norm(x_BCFN)
        for stage in self.stages:
            x_BCFN = self.blocks[stage.name](x_BCFN)
            if self.style.norm_last:
                x_BCFN = self.norms[stage.name](self.style.activation(x_BCFN))
            else:
                x_BCFN = self.style.activation(self.norms[stage.name](x_BCFN))
            x_BCFN = self.dropouts[stage.name](x_BCFN)
            if stage.pool != 1:
                x_BCFN = functional.max_pool2d(x_BCFN, stage.window)
        read_BD = x_BCFN.flatten(1) if self.flat else x_BCFN.mean(dim=(2, 3))
        for name in self.hidden:
            read_BD = self.style.activation(self.blocks[name](self.dropouts[name](read_BD)))
        return Output(self.dense(self.dropouts["dense"](read_BD)), x_BCFN)


def assemble(
    layers: Sequence[Layer],
    network: Network,
    size: Sides | None,
    generator: torch.Generator,
    style: Style | None = None,
) -> Chain:
    """The network of these layers, the last of which is dense, initialized from `generator`.

    `size` (mel bands, frames) is that of its input; only a dense layer on the whole map and a
    normalization by frame need it. Raises ValueError where the input is then too small.
    """
    style = style or Style()
    model = Chain(layers, network, size, style)
    initialize(model, generator, style.initialization)
    return model
