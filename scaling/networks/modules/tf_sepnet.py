"""TF-SepNet built: channels shuffled, halved, convolved over one axis each, and joined again."""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes,
# H channels of a half

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer
from scaling.networks.modules.chain import convolution, normed
from scaling.networks.modules.kernels import Convolution
from scaling.networks.modules.output import Output
from scaling.networks.modules.residual_normalization import ResidualNormalization
from scaling.networks.modules.stochastic import SpatialDropout


def shuffled(x_BCFN: Tensor) -> Tensor:
    """Channels of the two halves in turn: 0, H, 1, H + 1, ..."""
    batch, channels, rows, columns = x_BCFN.shape
    halves_B2HFN = x_BCFN.reshape(batch, 2, channels // 2, rows, columns)
    return halves_B2HFN.transpose(1, 2).flatten(1, 2)


class SeparateBlock(nn.Module):
    """Half of the channels through (3, 1), averaged over frequency, the others through (1, 3),
    averaged over time; both mixed by 1x1 and added to what they were.
    """

    widen: Convolution
    widen_norm: nn.BatchNorm2d
    frequency: Convolution
    frequency_norm: nn.BatchNorm2d
    frequency_mix: Convolution
    frequency_mix_norm: nn.BatchNorm2d
    time: Convolution
    time_norm: nn.BatchNorm2d
    time_mix: Convolution
    time_mix_norm: nn.BatchNorm2d

    def __init__(self, layers: Sequence[Layer], damping: float, dropout: float) -> None:
        super().__init__()
        self.widens = layers[0].name.endswith(".widen")
        for layer in layers:
            normed(self, layer, damping)
        self.frequency_dropout = SpatialDropout(dropout)
        self.time_dropout = SpatialDropout(dropout)

    def forward(self, x_BCFN: Tensor) -> Tensor:
        if self.widens:
            x_BCFN = functional.relu(self.widen_norm(self.widen(x_BCFN)))
        one_BHFN, other_BHFN = shuffled(x_BCFN).chunk(2, dim=1)
        y_BHFN = functional.relu(self.frequency_norm(self.frequency(one_BHFN)))
        y_BH1N = self.frequency_mix(y_BHFN.mean(dim=2, keepdim=True))
        y_BH1N = self.frequency_dropout(functional.relu(self.frequency_mix_norm(y_BH1N)))
        z_BHFN = functional.relu(self.time_norm(self.time(other_BHFN)))
        z_BHF1 = self.time_mix(z_BHFN.mean(dim=3, keepdim=True))
        z_BHF1 = self.time_dropout(functional.relu(self.time_mix_norm(z_BHF1)))
        return torch.cat((one_BHFN + y_BH1N, other_BHFN + z_BHF1), dim=1)


class TFSepNetModule(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y)."""

    stem1: Convolution
    stem1_norm: nn.BatchNorm2d
    stem2: Convolution
    stem2_norm: nn.BatchNorm2d

    def __init__(self, layers: Sequence[Layer], damping: float, dropout: float) -> None:
        super().__init__()
        stem1, stem2, *within, classifier = layers
        normed(self, stem1, damping)
        normed(self, stem2, damping)
        self.plan: list[tuple[str, int, bool]] = []  # name, pooling before, normalized after
        for name, each in groupby(within, lambda layer: layer.name.partition(".")[0]):
            block = [*each]
            self.plan.append((name, block[0].pooled, block[-1].clip_norm == "residual"))
            self.add_module(name, SeparateBlock(block, damping, dropout))
        self.normalize = ResidualNormalization()
        self.classifier = convolution(classifier, damping)

    def forward(self, x_BCFN: Tensor) -> Output:
        x_BCFN = functional.relu(self.stem1_norm(self.stem1(x_BCFN)))
        x_BCFN = self.normalize(functional.relu(self.stem2_norm(self.stem2(x_BCFN))))
        for name, pool, normalized in self.plan:
            if pool > 1:
                x_BCFN = functional.max_pool2d(x_BCFN, pool)
            x_BCFN = getattr(self, name)(x_BCFN)
            if normalized:
                x_BCFN = self.normalize(x_BCFN)
        return Output(self.classifier(x_BCFN).mean(dim=(2, 3)), x_BCFN)
