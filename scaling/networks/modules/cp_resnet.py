"""CP-ResNet built: residual blocks, its classifier averaged over the map; and fixup."""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.modules.kernels import Convolution
from scaling.networks.modules.output import Output
from scaling.networks.modules.stochastic import SpatialDropout
from scaling.networks.plan import Block


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
        self.dropout.stream = f"blocks.{block.name}.dropout"  # whatever the block is called within

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


class CPResNetModule(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y)."""

    def __init__(
        self,
        blocks: Sequence[Block],
        width: int,
        classes: int,
        channels: int,
        damping: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stem = Convolution(channels, width, 5, stride=2, damping=damping)
        self.stem_norm = nn.BatchNorm2d(width)
        self.names = [block.name for block in blocks]
        for block in blocks:
            self.add_module(block.name, Residual(block, damping, dropout))
        self.classifier = Convolution(blocks[-1].outputs, classes, 1)
        self.classifier_norm = nn.BatchNorm2d(classes)

    @property
    def blocks(self) -> list[Residual]:
        """Its residual blocks, in the order of the forward pass."""
        return [getattr(self, name) for name in self.names]

    def forward(self, x_BCFN: Tensor) -> Output:
        x_BCFN = functional.relu(self.stem_norm(self.stem(x_BCFN)))
        for block in self.blocks:
            x_BCFN = block(x_BCFN)
        scores_BYFN = self.classifier_norm(self.classifier(x_BCFN))
        return Output(scores_BYFN.mean(dim=(2, 3)), x_BCFN)


@torch.no_grad()
def fixup(model: nn.Module, generator: torch.Generator) -> None:
    """The ancestor's default: every block starts as its shortcut, the classifier at zero (facts,
    section 1.2).
    """
    assert isinstance(model, CPResNetModule)
    model.classifier.weight.zero_()
    for block in model.blocks:
        fan_out = block.conv1.kernel_size[0] ** 2 * block.conv1.out_channels
        _normal(block.conv1.weight, 2 / (fan_out * len(model.blocks)), generator)
        block.conv2.weight.zero_()
        if block.shortcut is not None:
            _normal(block.shortcut.weight, 2 / block.shortcut.out_channels, generator)


def _normal(weight: Tensor, variance: float, generator: torch.Generator) -> None:
    weight.normal_(0, variance**0.5, generator=generator)
