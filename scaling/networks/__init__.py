"""Networks: `build` one from its settings, `layers` and `cost` say what it costs without building
it.

A new network is one file with `layers` and `build`, and one line in NETWORKS.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from scaling.config import Network, Trial
from scaling.networks import cp_resnet
from scaling.networks.cost import Cost, Layer, count


class Family(NamedTuple):
    """One kind of network."""

    layers: Callable[[Network, int, int], list[Layer]]  # settings, classes, input channels
    build: Callable[[Network, int, int, torch.Generator], nn.Module]


NETWORKS: dict[str, Family] = {
    "cp_resnet": Family(cp_resnet.layers, cp_resnet.build),
}


def build(
    network: Network, classes: int, generator: torch.Generator, channels: int = 1
) -> nn.Module:
    """The network, initialized from `generator`; maps features (B, channels, mels, frames) to an
    Output.
    """
    return NETWORKS[network.kind].build(network, classes, channels, generator)


def layers(network: Network, classes: int, channels: int = 1) -> list[Layer]:
    """Its convolutions, in the order of the forward pass."""
    return NETWORKS[network.kind].layers(network, classes, channels)


def cost(trial: Trial, classes: int) -> Cost:
    """What a trial's network costs on that trial's clips. Raises ValueError when the clips are too
    small for it.
    """
    return count(layers(trial.network, classes), trial.sound.shape)


def kept_weights(trial: Trial, classes: int) -> int:
    """How many weights a trial ends with: its pruning's target, or all."""
    pruning, network = trial.pruning, trial.network
    if pruning.target:
        return pruning.target
    narrow = network.model_copy(update={"width": pruning.target_width or network.width})
    return sum(layer.weights for layer in layers(narrow, classes))
