"""CP-ResNet: the residual network of the over-parameterization paper, with width W, depth D and 1x1
blocks K as numbers.

Sources: Koutini et al., ICML 2021 workshop (Table 1) and, where that is silent, its public ancestor
(facts: cp_resnet, section 1). Stem 5x5 stride 2; four blocks of W channels, pooled after the first,
second and fourth; D 3x3 blocks of 2W; K 1x1 blocks of 4W; a 1x1 classifier, normalized, averaged
over the map.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer, Sides
from scaling.networks.kernels import Convolution, initialize
from scaling.networks.output import Output
from scaling.networks.stochastic import SpatialDropout
from scaling.settings import Network

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes, W
# width


class Block(NamedTuple):
    """The plan of one residual block: two convolutions, a shortcut where the width changes, perhaps
    pooling.
    """

    name: str
    kernels: tuple[int, int]
    inputs: int
    outputs: int
    pool: int = 1


def plan(network: Network) -> list[Block]:
    """Table 1 as data."""
    width = network.width
    blocks = [
        Block("block1", (3, 1), width, width, pool=2),
        Block("block2", (3, 3), width, width, pool=2),
        Block("block3", (3, 3), width, width),
        Block("block4", (3, 3), width, width, pool=2),
    ]
    stages = ("deep", network.depth, 2, (3, 3)), ("pointwise", network.pointwise, 4, (1, 1))
    for stage, repeats, factor, kernels in stages:
        for index in range(1, repeats + 1):
            inputs = blocks[-1].outputs
            blocks.append(Block(f"{stage}{index}", kernels, inputs, factor * width))
    return blocks


def layers(network: Network, classes: int, channels: int = 1) -> list[Layer]:
    """Every convolution in the order of the forward pass, for scaling.networks.cost."""
    found = [_layer("stem", channels, network.width, 5)._replace(stride=2)]
    for block in plan(network):
        first, second = block.kernels
        found.append(_layer(f"{block.name}.conv1", block.inputs, block.outputs, first))
        if block.inputs != block.outputs:
            shortcut = _layer(f"{block.name}.shortcut", block.inputs, block.outputs, 1)
            found.append(shortcut._replace(shortcut=True))
        conv2 = _layer(f"{block.name}.conv2", block.outputs, block.outputs, second)
        found.append(conv2._replace(pool=block.pool))
    return [*found, _layer("classifier", found[-1].outputs, classes, 1)]


def _layer(name: str, inputs: int, outputs: int, side: int) -> Layer:
    """A square convolution, padded by a third of its side."""
    return Layer(name, inputs, outputs, (side, side), padding=(side // 3, side // 3))


class Residual(nn.Module):
    """conv - norm - ReLU - conv - norm, plus the input, then ReLU, pooling and dropout."""

    def __init__(self, block: Block, damping: float, dropout: float) -> None:
        super().__init__()
        inputs, outputs = block.inputs, block.outputs
        self.conv1 = Convolution(inputs, outputs, block.kernels[0], damping=damping)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = Convolution(outputs, outputs, block.kernels[1], damping=damping)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = self.shortcut_norm = None
        if inputs != outputs:
            self.shortcut = Convolution(inputs, outputs, 1)
            self.shortcut_norm = nn.BatchNorm2d(outputs)
        self.pool = block.pool
        self.dropout = SpatialDropout(dropout)

    def forward(self, x_BCFN: Tensor) -> Tensor:
        y_BCFN = functional.relu(self.norm1(self.conv1(x_BCFN)))
        y_BCFN = self.norm2(self.conv2(y_BCFN))
        if self.shortcut is not None and self.shortcut_norm is not None:
            x_BCFN = self.shortcut_norm(self.shortcut(x_BCFN))
        y_BCFN = functional.relu(x_BCFN + y_BCFN)
        if self.pool > 1:
            y_BCFN = functional.max_pool2d(y_BCFN, self.pool)
        dropped_BCFN: Tensor = self.dropout(y_BCFN)
        return dropped_BCFN


class CPResNet(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y)."""

    def __init__(self, network: Network, classes: int, channels: int = 1) -> None:
        super().__init__()
        blocks = plan(network)
        self.stem = Convolution(channels, network.width, 5, stride=2, damping=network.damping)
        self.stem_norm = nn.BatchNorm2d(network.width)
        self.blocks = nn.ModuleDict(
            {b.name: Residual(b, network.damping, network.dropout) for b in blocks}
        )
        self.classifier = Convolution(blocks[-1].outputs, classes, 1)
        self.classifier_norm = nn.BatchNorm2d(classes)

    def forward(self, x_BCFN: Tensor) -> Output:
        x_BCFN = functional.relu(self.stem_norm(self.stem(x_BCFN)))
        for block in self.blocks.values():
            x_BCFN = block(x_BCFN)
        scores_BYFN = self.classifier_norm(self.classifier(x_BCFN))
        return Output(scores_BYFN.mean(dim=(2, 3)), x_BCFN)


def build(
    network: Network,
    classes: int,
    channels: int,
    size: Sides | None,  # noqa: ARG001
    generator: torch.Generator,
) -> CPResNet:
    """A network initialized from `generator`: equal settings and seeds give equal weights, damped
    or not. Inputs may be of any size.
    """
    model = CPResNet(network, classes, channels)
    initialize(model, generator)
    if network.initialization == "fixup":
        _fixup(model, generator)
    return model


@torch.no_grad()
def _fixup(model: CPResNet, generator: torch.Generator) -> None:
    """The ancestor's default: every block starts as its shortcut, the classifier at zero (facts,
    section 1.2).
    """
    model.classifier.weight.zero_()
    for block in model.blocks.values():
        assert isinstance(block, Residual)
        fan_out = block.conv1.kernel_size[0] ** 2 * block.conv1.out_channels
        _normal(block.conv1.weight, 2 / (fan_out * len(model.blocks)), generator)
        block.conv2.weight.zero_()
        if block.shortcut is not None:
            _normal(block.shortcut.weight, 2 / block.shortcut.out_channels, generator)


def _normal(weight: Tensor, variance: float, generator: torch.Generator) -> None:
    weight.normal_(0, variance**0.5, generator=generator)
