"""Lighter: a model that loses weights or channels at once, without a trial that trains meanwhile.

Contents: `cut_weights` of any torch model; `cut_channels` and `compacted` of a trained one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn.utils import prune

from scaling.networks.cost import Cost, Layer, count
from scaling.networks.groups import groups, narrowed
from scaling.networks.modules.kernels import Prunable
from scaling.pruning import compaction, masks
from scaling.pruning.channel_pruner import ChannelPruner
from scaling.pruning.channels import Channels, fitted
from scaling.seeds import stream
from scaling.settings import explain, sizes
from scaling.shipping.model import Model


def cut_weights(
    model: nn.Module, keep: float, way: str, guard: float, seed: int
) -> dict[str, Tensor]:
    """Cut single weights of a model's convolutions and dense layers, in place: by `way=magnitude`
    the smallest over all layers, of none more than `guard`; by `way=static` drawn ones. Returns the
    masks by the layer's name.

    Raises ValueError for a share `keep` that cannot be met and for another way.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear)
    }
    total = sum(layer.weight.numel() for layer in layers.values())
    if not (0 < keep <= 1 and total):
        raise ValueError(
            f"keep={keep} must be a share of the {total} weights, above 0 and at most 1"
        )
    kept = round(keep * total)
    if way == "static":
        shapes = {name: layer.weight.shape for name, layer in layers.items()}
        found = masks.static(shapes, kept, lambda name: stream(seed, "prune", name))
    elif way == "magnitude":
        kernels = {n: m.kernel if isinstance(m, Prunable) else m.weight for n, m in layers.items()}
        magnitudes = {name: kernel.detach().abs() for name, kernel in kernels.items()}
        alive = {name: _alive(layer) for name, layer in layers.items()}
        found = masks.magnitude(magnitudes, alive, kept, guard)
    else:
        raise ValueError(f"way={way} must be magnitude, static or channels")
    with _learning(model):
        for name, layer in layers.items():
            if isinstance(layer, Prunable):
                layer.cut(found[name])
            else:
                prune.custom_from_mask(layer, "weight", found[name])  # type: ignore[no-untyped-call]
    return found


@contextmanager
def _learning(model: nn.Module) -> Iterator[None]:
    """All parameters ask for gradients meanwhile, without which no hook can be set on them."""
    asking = [(each, each.requires_grad) for each in model.parameters()]
    model.requires_grad_(True)
    try:
        yield
    finally:
        for each, before in asking:
            each.requires_grad_(before)


def _alive(layer: nn.Module) -> Tensor:
    """Where an earlier cut left the weights of a layer."""
    mask: Tensor | None = getattr(layer, "mask", getattr(layer, "weight_mask", None))
    weight: Any = layer.weight
    return torch.ones_like(weight, dtype=torch.bool) if mask is None else mask.bool()


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
    with _learning(model):
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
