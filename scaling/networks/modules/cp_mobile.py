"""CP-Mobile and the DCASE baseline built: inverted residual blocks, global response normalization.

Source of the latter: Woo et al. 2023 (ConvNeXt V2, arXiv 2301.00808), here with one gamma and one
beta a block, both from 0 (facts: unseen_devices).
"""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer
from scaling.networks.modules.chain import normed
from scaling.networks.modules.kernels import Convolution
from scaling.networks.modules.output import Output
from scaling.networks.modules.stochastic import SpatialDropout

EPSILON = 1e-6  # added to the mean of the norms, as in the public code


class ResponseNorm(nn.Module):
    """x (1 + gamma g / mean of g) + beta; g is the L2 norm of each map, its mean over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.beta = nn.Parameter(torch.zeros(1))

    def forward(self, x_BCFN: Tensor) -> Tensor:
        wide = torch.promote_types(x_BCFN.dtype, torch.float32)
        norm_BC11 = torch.linalg.vector_norm(x_BCFN, dim=(2, 3), keepdim=True, dtype=wide)
        share_BC11 = norm_BC11 / (norm_BC11.mean(dim=1, keepdim=True) + EPSILON)
        responded_BCFN: Tensor = x_BCFN * (1 + self.gamma * share_BC11) + self.beta
        return responded_BCFN


class InvertedBlock(nn.Module):
    """Expand, convolve by channel, project; plus the input, averaged where strided, if it has as
    many channels; then response normalization, ReLU and dropout.
    """

    expand: Convolution
    expand_norm: nn.BatchNorm2d
    depthwise: Convolution
    depthwise_norm: nn.BatchNorm2d
    project: Convolution
    project_norm: nn.BatchNorm2d

    def __init__(self, layers: Sequence[Layer], damping: float, dropout: float) -> None:
        super().__init__()
        expand, depthwise, project = layers
        for layer in layers:
            normed(self, layer, damping)
        self.steps = depthwise.steps
        self.shortcut = expand.inputs == project.outputs
        self.respond = ResponseNorm() if project.clip_norm == "response" else nn.Identity()
        self.dropout = SpatialDropout(dropout)

    def forward(self, x_BCFN: Tensor) -> Tensor:
        y_BCFN = functional.relu(self.expand_norm(self.expand(x_BCFN)))
        y_BCFN = functional.relu(self.depthwise_norm(self.depthwise(y_BCFN)))
        y_BCFN = self.project_norm(self.project(y_BCFN))
        if self.shortcut:
            if self.steps != (1, 1):
                x_BCFN = functional.avg_pool2d(x_BCFN, 3, self.steps, padding=1)
            y_BCFN = y_BCFN + x_BCFN
        dropped_BCFN: Tensor = self.dropout(functional.relu(self.respond(y_BCFN)))
        return dropped_BCFN


class InvertedModule(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y)."""

    stem1: Convolution
    stem1_norm: nn.BatchNorm2d
    stem2: Convolution
    stem2_norm: nn.BatchNorm2d
    classifier: Convolution
    classifier_norm: nn.BatchNorm2d

    def __init__(self, layers: Sequence[Layer], damping: float, dropout: float) -> None:
        super().__init__()
        stem1, stem2, *within, classifier = layers
        normed(self, stem1, damping)
        normed(self, stem2, damping)
        self.names: list[str] = []
        for at in range(0, len(within), 3):
            block = within[at : at + 3]
            self.names.append(block[0].name.partition(".")[0])
            self.add_module(self.names[-1], InvertedBlock(block, damping, dropout))
        normed(self, classifier, damping)

    def forward(self, x_BCFN: Tensor) -> Output:
        x_BCFN = functional.relu(self.stem1_norm(self.stem1(x_BCFN)))
        x_BCFN = functional.relu(self.stem2_norm(self.stem2(x_BCFN)))
        for name in self.names:
            x_BCFN = getattr(self, name)(x_BCFN)
        scores_BYFN = self.classifier_norm(self.classifier(x_BCFN))
        return Output(scores_BYFN.mean(dim=(2, 3)), x_BCFN)
