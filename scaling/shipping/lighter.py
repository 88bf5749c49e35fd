"""Lighter: a trained model that loses channels at once, without a trial that trains meanwhile.

Contents: `cut_channels`, `compacted`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from scaling.networks.cost import Cost, Layer, count
from scaling.networks.groups import groups, narrowed
from scaling.pruning import compaction
from scaling.pruning.channel_pruner import ChannelPruner
from scaling.pruning.channels import Channels, fitted
from scaling.settings import explain, sizes
from scaling.shipping.model import Model


def cut_channels(model: Model, keep: float, settings: Mapping[str, Any]) -> dict[str, Tensor]:
    """Cut whole channels of a model, in place, until a share of its budget is left; `settings` are
    those of pruning.kind=channels. Returns the masks of its layers.

    Raises ValueError for settings that there are not, and for a budget that cannot be met.
    """
    try:
        pruning = Channels.model_validate({"keep": keep, "start": 1, **settings})
    except ValidationError as error:
        raise ValueError(explain(error)) from None
    layers, network = _layers(model), model.classifier.network
    found = groups(layers)

    def costs(channels: Mapping[str, int]) -> Cost:
        return count(narrowed(layers, channels), model.trial.sound.shape)

    def price(channels: Mapping[str, int]) -> int:
        return pruning.price(costs(channels))

    dense = price({})
    left = fitted(found, price, pruning.most(dense), pruning)
    if left is None:
        raise pruning.beyond(dense, price({each.name: pruning.least(each.channels)
                                           for each in found}))  # fmt: skip
    rounds = [(each, costs(each)) for each in ({one.name: one.channels for one in found}, left)]
    optimizer = torch.optim.SGD(network.parameters())
    pruner = ChannelPruner(pruning, layers, rounds, network, optimizer, costs=costs)
    pruner.before(pruning.start)
    return pruner.masks


def compacted(model: Model) -> Model:
    """A copy of a model without its channels that are zero."""
    return compaction.compacted(model, model.classifier.network, _layers(model))


def _layers(model: Model) -> list[Layer]:
    """The layers of a model's network with as many channels as they have now."""
    layers = sizes.network_layers(model.trial, len(model.labels))
    rows = {name: len(each) for name, each in model.classifier.network.named_parameters()}
    return narrowed(layers, {each.name: rows[f"{each.name}.weight"] for each in groups(layers)})
