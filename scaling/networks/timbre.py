"""TIMBRE, the smallest network of the few-data paper: one convolution across most mel bands.

A class's score is its filters' largest value anywhere.

Source: Pons et al. 2019 and their public code (facts: vib_few_data_consistency, section B3): one
linear filter of 108 mel bands x 7 frames for each class, not padded, behind a batch normalization
of the input. Here a class may have W filters and takes the largest of all their values; W = 1 is
the paper's.
"""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes

import torch
from torch import Tensor, nn

from scaling.networks.chain import TENSORFLOW, convolution, input_norm
from scaling.networks.cost import Layer, Sides
from scaling.networks.kernels import initialize
from scaling.networks.output import Output
from scaling.settings import Network

KERNEL = (108, 7)  # mel bands x frames


def layers(network: Network, classes: int, channels: int = 1) -> list[Layer]:
    """Its one layer, for scaling.networks.cost."""
    filters = network.width * classes
    return [
        Layer("conv", channels, filters, KERNEL, bias=True, norm=False, input_norm="channel"),
    ]


class Timbre(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y); the W filters of a class follow each other."""

    def __init__(self, network: Network, classes: int, channels: int) -> None:
        super().__init__()
        (layer,) = layers(network, classes, channels)
        self.classes = classes
        self.input_norm = input_norm(layer, TENSORFLOW, None)
        self.conv = convolution(layer, network.damping)

    def forward(self, x_BCFN: Tensor) -> Output:
        scores_BCFN = self.conv(self.input_norm(x_BCFN))
        logits_BY = scores_BCFN.unflatten(1, (self.classes, -1)).amax(dim=(2, 3, 4))
        return Output(logits_BY, scores_BCFN)


def build(
    network: Network,
    classes: int,
    channels: int,
    size: Sides | None,  # noqa: ARG001
    generator: torch.Generator,
) -> Timbre:
    """A network initialized from `generator`: equal settings and seeds give equal weights, damped
    or not. Inputs may be of any size that holds a kernel.
    """
    model = Timbre(network, classes, channels)
    initialize(model, generator, TENSORFLOW.initialization)
    return model
