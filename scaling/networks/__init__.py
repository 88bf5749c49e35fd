"""Networks: `build` one from its settings, `layers` and `cost` say what it costs without building
it.

A new network is one file with `layers` and `build`, and one line in NETWORKS. All map features (B,
channels, mels, frames) to an Output, and draw in training only what `reseed` gave them a generator
for.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from scaling.networks import (
    bottleneck,
    cp_resnet,
    mfcc,
    prototypes,
    sb_cnn,
    timbre,
    vgg5,
    vgg9,
    vggish,
    vib_cnn,
)
from scaling.networks.cost import Cost, Layer, Part, Sides, count
from scaling.networks.stochastic import reseed
from scaling.settings import Network, Trial

__all__ = [
    "NETWORKS",
    "Family",
    "build",
    "cost",
    "kept_weights",
    "layers",
    "layers_of_base",
    "layers_of_trial",
    "of_trial",
    "reseed",
]


class Family(NamedTuple):
    """One kind of network."""

    layers: Callable[[Network, int, int], list[Layer]]  # settings, classes, input channels
    # settings, classes, input channels, input size, generator
    build: Callable[[Network, int, int, Sides | None, torch.Generator], nn.Module]


NETWORKS: dict[str, Family] = {
    "cp_resnet": Family(cp_resnet.layers, cp_resnet.build),
    "vib_cnn": Family(vib_cnn.layers, vib_cnn.build),
    "vgg9": Family(vgg9.layers, vgg9.build),
    "sb_cnn": Family(sb_cnn.layers, sb_cnn.build),
    "vgg5": Family(vgg5.layers, vgg5.build),
    "timbre": Family(timbre.layers, timbre.build),
    "vggish": Family(vggish.layers, vggish.build),
    "mfcc": Family(mfcc.layers, mfcc.build),
}


def build(
    network: Network,
    classes: int,
    generator: torch.Generator,
    channels: int = 1,
    size: Sides | None = None,
) -> nn.Module:
    """The network, initialized from `generator`; maps features (B, channels, mels, frames) to an
    Output.

    `size` (mels, frames) is that of all features it will see; only a network that flattens its last
    map needs it. Raises ValueError when they are then too small for it.
    """
    return NETWORKS[network.kind].build(network, classes, channels, size, generator)


def layers(network: Network, classes: int, channels: int = 1) -> list[Layer]:
    """Its layers, in the order of the forward pass."""
    return NETWORKS[network.kind].layers(network, classes, channels)


def of_trial(trial: Trial, classes: int, generator: torch.Generator) -> nn.Module:
    """A trial's network with the head that its objective asks for, initialized from `generator`."""
    objective, size = trial.objective, trial.sound.shape
    base = build(trial.network, _outputs(trial, classes), generator, size=size)
    if objective.latent:
        offset = objective.offset
        return bottleneck.Bottleneck(base, objective.latent, classes, offset, generator)
    if objective.embedding:
        return prototypes.Prototypes(base, classes, objective.distance)
    return base


def layers_of_base(trial: Trial, classes: int, width: int | None = None) -> list[Layer]:
    """The layers of that network without its head, or of one `width` wide, else the same."""
    network = trial.network
    if width is not None:
        network = network.model_copy(update={"width": width})
    return layers(network, _outputs(trial, classes))


def layers_of_trial(trial: Trial, classes: int, width: int | None = None) -> list[Layer]:
    """All of its layers. Prototypes have none of their own: they are the network's answers."""
    base, latent = layers_of_base(trial, classes, width), trial.objective.latent
    return bottleneck.layers(base, latent, classes) if latent else base


def _outputs(trial: Trial, classes: int) -> int:
    """How many numbers the head that the objective asks for wants of the network."""
    return 2 * trial.objective.latent or trial.objective.embedding or classes


def cost(trial: Trial, classes: int) -> Cost:
    """What a trial's network costs on that trial's clips, and the front end where it learns. Raises
    ValueError when the clips are too small for it.
    """
    found, sound = count(layers_of_trial(trial, classes), trial.sound.shape), trial.sound
    if learnt := sound.features.learnt(sound.rate):
        size = sound.features.mels, sound.frames
        front = Part("frontend", learnt, 0, learnt * sound.frames, size)
        found = found._replace(
            parameters=found.parameters + front.parameters,
            macs=found.macs + front.macs,
            parts=(front, *found.parts),
        )
    return found


def kept_weights(trial: Trial, classes: int) -> int:
    """How many weights a trial ends with: its pruning's target, or all."""
    pruning = trial.pruning
    if pruning.target:
        return pruning.target
    narrow = layers_of_trial(trial, classes, pruning.target_width or None)
    return count(narrow, trial.sound.shape).weights
