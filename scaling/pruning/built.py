"""Built: the layers of a list as they stand in a network, with what belongs to their channels.

A layer's normalization is found by its name: `stem_norm` of `stem`, `norm1` of `conv1`. Contents:
Built, `built`.
"""

# C channels, D columns of a weight (its second axis)

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from scaling.networks.cost import Layer
from scaling.networks.groups import groups, owners, sources
from scaling.networks.modules.kernels import Convolution, Dense


class Built(NamedTuple):
    """One layer of a network; groups are named by their first layer."""

    layer: Layer
    module: Convolution | Dense
    norm: nn.BatchNorm2d | None
    norm_name: str
    group: str  # whose channels it puts out; empty: none may be cut
    source: str  # whose channels it reads; empty: none may be cut

    def vectors(self) -> Iterator[tuple[str, Tensor]]:
        """What it learns beside its weight, a number for each channel that it puts out: (C,), by
        its name in the network.
        """
        bias = self.module.bias
        if isinstance(bias, Tensor):
            yield f"{self.layer.name}.bias", bias
        if self.norm is not None:
            yield f"{self.norm_name}.weight", self.norm.weight
            yield f"{self.norm_name}.bias", self.norm.bias

    def columns(self, alive_C: Tensor) -> Tensor:
        """Which columns of its weight read the channels that are alive: (D,)."""
        if self.layer.depthwise:  # its one column reads each channel
            return alive_C.new_ones(1)
        pixels = self.module.weight.shape[1] // len(alive_C)
        if self.layer.innermost == "channel":
            return alive_C.repeat(pixels)
        return alive_C.repeat_interleave(pixels)


def built(network: nn.Module, layers: Sequence[Layer]) -> list[Built]:
    """The layers as they stand in the network. Raises ValueError for one that is not there."""
    owner, source = owners(layers), sources(layers)
    cuttable = {each.name for each in groups(layers)}

    def group(name: str) -> str:
        return owner[name] if name and owner[name] in cuttable else ""

    modules = dict(network.named_modules())
    found = []
    for layer in layers:
        module, name = modules.get(layer.name), _norm_name(layer, modules)
        norm = modules.get(name)
        normed = isinstance(norm, nn.BatchNorm2d)
        if not isinstance(module, Convolution | Dense) or normed != layer.norm:
            lacking = f"the normalization of {layer.name}" if layer.norm else layer.name
            raise ValueError(f"the network has no module for {lacking}")
        of = group(layer.name), group(source[layer.name])
        found.append(Built(layer, module, norm if normed else None, name, *of))
    return found


def _norm_name(layer: Layer, modules: dict[str, nn.Module]) -> str:
    """`block1.norm2` of `block1.conv2`, where there is one; else the name with `_norm`."""
    parent, dot, own = layer.name.rpartition(".")
    inner = parent + dot + own.replace("conv", "norm")
    return inner if inner != layer.name and inner in modules else f"{layer.name}_norm"
