"""Networks without branches: convolutions one after the other, then dense layers.

Such a network is its list of layers, the last of which is dense and puts out the logits, and its
style; this module builds it. Each convolution is followed by what its layer says: bias, batch
normalization and activation in the style's order, spatial dropout, max pooling.
"""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), D units of a
# dense layer, Y classes

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer, Sides, last_map
from scaling.networks.modules.kernels import Convolution, Dense
from scaling.networks.modules.output import Output
from scaling.networks.modules.stochastic import SpatialDropout
from scaling.networks.plan import ChainStyle

TORCH = ChainStyle()
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "elu": functional.elu,
}


def _norm(style: ChainStyle, channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, style.epsilon, style.momentum)


class FrameNorm(nn.Module):
    """Batch normalization of (B, C, F, N) with one mean and deviation for each of the N frames."""

    def __init__(self, frames: int, style: ChainStyle) -> None:
        super().__init__()
        self.norm = _norm(style, frames)

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
        layer.groups,
        layer.dilation,
    )


def normed(parent: nn.Module, layer: Layer, damping: float, style: ChainStyle = TORCH) -> None:
    """Give a module the convolution of a layer and the normalization after it, if any, by the last
    part of the layer's name.
    """
    name = layer.name.rpartition(".")[2]
    parent.add_module(name, convolution(layer, damping))
    if layer.norm:
        parent.add_module(f"{name}_norm", _norm(style, layer.outputs))


def input_norm(layer: Layer, style: ChainStyle, size: Sides | None) -> nn.Module:
    """The normalization of what a network's first layer reads; the identity where it has none."""
    if layer.input_norm == "time":
        assert size is not None, "a normalization by frame needs the size of the input"
        return FrameNorm(size[1], style)
    return _norm(style, layer.inputs) if layer.input_norm == "channel" else nn.Identity()


class ChainModule(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y)."""

    def __init__(
        self,
        layers: Sequence[Layer],
        style: ChainStyle,
        damping: float,
        dropout: float,
        size: Sides | None,
    ) -> None:
        super().__init__()
        self.style, self.activation = style, ACTIVATIONS[style.activation]
        self.stages = [layer for layer in layers if layer.reads == "pixels"]
        dense = [layer for layer in layers if layer.reads != "pixels"]
        self._hidden = [layer.name for layer in dense[:-1]]
        self._flat = dense[0].reads == "map"
        self.input_norm = input_norm(layers[0], style, size)
        self.dropouts = nn.ModuleDict()
        for stage in self.stages:
            self.add_module(stage.name, convolution(stage, damping))
            self.dropouts[stage.name] = SpatialDropout(dropout)
        pixels = 1
        if self._flat:
            assert size is not None, "a dense layer on the whole map needs the size of the input"
            pixels = math.prod(last_map(layers, size))
        for layer in dense:
            share = style.dropout
            self.dropouts[layer.name] = SpatialDropout(share) if share else nn.Identity()
            if layer is not dense[-1]:
                self.add_module(layer.name, Dense(layer.inputs * pixels, layer.outputs))
                pixels = 1
        for stage in self.stages:
            norm = _norm(style, stage.outputs) if stage.norm else nn.Identity()
            self.add_module(f"{stage.name}_norm", norm)
        self._last = dense[-1].name
        self.add_module(self._last, Dense(dense[-1].inputs * pixels, dense[-1].outputs))

    def forward(self, x_BCFN: Tensor) -> Output:
        x_BCFN = self.input_norm(x_BCFN)
        for stage in self.stages:
            norm: nn.Module = getattr(self, f"{stage.name}_norm")
            x_BCFN = getattr(self, stage.name)(x_BCFN)
            if self.style.norm_last:
                x_BCFN = norm(self.activation(x_BCFN))
            else:
                x_BCFN = self.activation(norm(x_BCFN))
            x_BCFN = self.dropouts[stage.name](x_BCFN)
            if stage.pool != 1:
                x_BCFN = functional.max_pool2d(x_BCFN, stage.window)
        read_BD = x_BCFN.flatten(1) if self._flat else x_BCFN.mean(dim=(2, 3))
        for name in self._hidden:
            read_BD = self.activation(getattr(self, name)(self.dropouts[name](read_BD)))
        return Output(getattr(self, self._last)(self.dropouts[self._last](read_BD)), x_BCFN)
