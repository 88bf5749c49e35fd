"""CP-ResNet: the residual network of the over-parameterization paper, with width W, depth D and 1x1
blocks K as numbers.

Sources: Koutini et al., ICML 2021 workshop (Table 1) and, where that is silent, its public ancestor
(facts: cp_resnet, section 1). Stem 5x5 stride 2; four blocks of W channels, pooled after the first,
second and fourth; D 3x3 blocks of 2W; K 1x1 blocks of 4W; a 1x1 classifier, normalized, averaged
over the map.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from scaling.networks.cost import Layer, Sides
from scaling.networks.network import Damping, Dropout, Network
from scaling.networks.plan import Block

if TYPE_CHECKING:
    import torch
    from torch import nn


class CPResNet(Network):
    """Width W, depth D and 1x1 blocks K."""

    kind: Literal["cp_resnet"] = "cp_resnet"
    depth: Annotated[
        int, Field(ge=0, le=64, description="depth D: number of 3x3 blocks, 2W channels wide")
    ] = 0
    pointwise: Annotated[
        int, Field(ge=0, le=64, description="K: number of 1x1 blocks, 4W channels wide")
    ] = 0
    damping: Damping = 0.0
    initialization: Annotated[
        Literal["fixup", "he"],
        Field(
            description="initial weights; fixup: each block starts as its shortcut; he: He et al. "
            "2015"
        ),
    ] = "fixup"
    dropout: Dropout = 0.0

    @property
    def begins_at_zero(self) -> bool:
        """Its classifier does, by fixup."""
        return self.initialization == "fixup"

    def blocks(self) -> list[Block]:
        """Table 1 as data."""
        width = self.width
        found = [
            Block("block1", (3, 1), width, width, pool=2),
            Block("block2", (3, 3), width, width, pool=2),
            Block("block3", (3, 3), width, width),
            Block("block4", (3, 3), width, width, pool=2),
        ]
        stages = ("deep", self.depth, 2, (3, 3)), ("pointwise", self.pointwise, 4, (1, 1))
        for stage, repeats, factor, kernels in stages:
            for index in range(1, repeats + 1):
                inputs = found[-1].outputs
                found.append(Block(f"{stage}{index}", kernels, inputs, factor * width))
        return found

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Every convolution, in the order of the forward pass."""
        found = [_layer("stem", channels, self.width, 5)._replace(stride=2)]
        for block in self.blocks():
            first, second = block.kernels
            beside = found[-1].name  # what its second convolution is added to
            found.append(_layer(f"{block.name}.conv1", block.inputs, block.outputs, first))
            if block.inputs != block.outputs:
                beside = f"{block.name}.shortcut"
                shortcut = _layer(beside, block.inputs, block.outputs, 1)
                found.append(shortcut._replace(shortcut=True))
            conv2 = _layer(f"{block.name}.conv2", block.outputs, block.outputs, second)
            found.append(conv2._replace(pool=block.pool, joins=beside))
        return [*found, _layer("classifier", found[-1].outputs, classes, 1)]

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":  # noqa: ARG002
        """The network, for inputs of any size; see Network.module."""
        from scaling.networks.modules.cp_resnet import CPResNetModule

        return CPResNetModule(
            self.blocks(),
            self.width,
            layers[-1].outputs,
            layers[0].inputs,
            self.damping,
            self.dropout,
        )

    def initialize(self, model: "nn.Module", generator: "torch.Generator") -> None:
        """See Network.initialize."""
        from scaling.networks.modules.cp_resnet import fixup

        super().initialize(model, generator)
        if self.initialization == "fixup":
            fixup(model, generator)


def _layer(name: str, inputs: int, outputs: int, side: int) -> Layer:
    """A square convolution, padded by a third of its side."""
    return Layer(name, inputs, outputs, (side, side), padding=(side // 3, side // 3))
