"""Pruners: what cuts the network of a trial while it trains, as its settings say."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from scaling.pruning.at_initialization import AtInitialization
from scaling.pruning.channel_pruner import ChannelPruner
from scaling.pruning.channels import Channels
from scaling.pruning.pruner import Masked, Pruner
from scaling.pruning.pruning import Cutting
from scaling.pruning.regrower import Regrower
from scaling.pruning.rewinder import Rewinder
from scaling.pruning.rewinding import Rewinding
from scaling.pruning.rigl import RigL
from scaling.pruning.saliency import LossOf
from scaling.seeds import torch_stream
from scaling.settings import Trial, sizes
from scaling.training import classifier
from scaling.training.classifier import Classifier


def build(
    trial: Trial,
    classes: int,
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    steps: int,
    losses: Callable[[int], Sequence[LossOf]],
    resume: Mapping[str, Any] | None,
) -> Masked | None:
    """What cuts a trial's network. An epoch has so many steps; `losses` are those of its first
    ones; `resume` is the state of a trial that resumes. Raises Misfit where that is of another,
    ValueError where the network or its epochs cannot be pruned like this.
    """
    pruning, network, seed = trial.pruning, model.network, trial.seed
    masks = (resume["masks"] or {}) if resume else None
    if isinstance(pruning, Channels):
        layers, rounds = sizes.network_layers(trial, classes), sizes.narrowings(trial, classes)
        _, costs = sizes.of_channels(trial, classes)
        return ChannelPruner(pruning, layers, rounds, network, optimizer, masks, costs)
    if not isinstance(pruning, Cutting):
        return None
    target, epochs = sizes.kept_weights(trial, classes), trial.training.epochs
    if isinstance(pruning, RigL):
        return Regrower(pruning, seed, network, optimizer, target, steps, epochs, masks)
    if isinstance(pruning, Rewinding):
        redrawn = partial(_redrawn, trial, classes)
        resumed = (resume["epoch"], masks or {}, resume.get("early")) if resume else None
        return Rewinder(pruning, seed, model, network, optimizer, target, epochs, redrawn, resumed)
    if isinstance(pruning, AtInitialization) and masks is None:
        judged = copy.deepcopy(network).train()
        masks = pruning.masks(judged, losses(pruning.judged_on), trial.sound.shape, target)
    return Pruner(pruning, seed, network, optimizer, target, masks)


def _redrawn(trial: Trial, classes: int) -> dict[str, Tensor]:
    """The parameters of a trial's network, by their names in its classifier, as another seed would
    draw them.
    """
    network = classifier.network(trial, classes, torch_stream(trial.seed, "reinitialization"))
    return {f"network.{name}": each.detach() for name, each in network.named_parameters()}
