"""Compaction: a network built again without its cut channels, smaller and faster, same answers.

What is gone is found in the weights, not in masks: a channel that is zero after every layer of its
group, because it has neither scale nor shift (without normalization: neither kernel nor bias). Its
activation is zero everywhere, padding included, so leaving it out changes nothing but rounding.
Single weights that are cut leave no gap to close: such a network stays as large and as slow as it
was. Contents: `compacted`, `channels`.
"""

# C channels

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from scaling.networks.cost import Layer
from scaling.networks.modules.kernels import Convolution, Dense
from scaling.pruning.built import Built, built

M = TypeVar("M", bound=nn.Module)


def compacted(model: M, network: nn.Module, layers: Sequence[Layer]) -> M:
    """A copy of a model whose `network`, of these layers, has lost its cut channels: in evaluation
    it answers as the model does. A group that is all cut keeps one channel.

    Raises ValueError where the network has no module for one of the layers.
    """
    names = {id(each): name for name, each in model.named_modules()}
    small = copy.deepcopy(model)
    found = built(small.get_submodule(names[id(network)]), layers)
    alive = _alive(found)
    for each in found:
        _shrink(each, alive)
    return small


def channels(network: nn.Module, layers: Sequence[Layer]) -> dict[str, int]:
    """How many channels of each group compaction leaves, by the name of the group's first layer:
    scaling.networks.groups.narrowed says what such a network is.
    """
    return {name: int(alive_C.sum()) for name, alive_C in _alive(built(network, layers)).items()}


@torch.no_grad()
def _alive(found: Sequence[Built]) -> dict[str, Tensor]:
    """Which channels of each group are anywhere else than zero: (C,)."""
    alive: dict[str, Tensor] = {}
    for each in found:
        if each.group:
            own_C = _own(each)
            alive[each.group] = alive[each.group] | own_C if each.group in alive else own_C
    for alive_C in alive.values():
        if not alive_C.any():
            alive_C[0] = True
    return alive


def _own(each: Built) -> Tensor:
    """Which channels of one layer are, at its normalization if it has one: (C,)."""
    numbers: list[Tensor] = [each.module.weight]
    if each.norm is not None:
        numbers = [each.norm.weight, each.norm.bias]
    elif each.module.bias is not None:
        numbers.append(each.module.bias)
    return torch.stack([number.reshape(len(number), -1).any(dim=1) for number in numbers]).any(0)


@torch.no_grad()
def _shrink(each: Built, alive: dict[str, Tensor]) -> None:
    """Take rows and columns out of a layer, and entries out of its normalization."""
    module, norm = each.module, each.norm
    weight = module.weight
    if each.source:
        weight = weight[:, each.columns(alive[each.source])]
    if each.group:
        alive_C = alive[each.group]
        weight = weight[alive_C]
        if module.bias is not None:
            module.bias = nn.Parameter(module.bias[alive_C])
        if norm is not None:
            norm.weight, norm.bias = (nn.Parameter(v[alive_C]) for v in (norm.weight, norm.bias))
            for name in ("running_mean", "running_var"):
                setattr(norm, name, norm.get_buffer(name)[alive_C])
            norm.num_features = len(norm.weight)
    fast = weight.ndim == 4 and module.weight.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if fast else torch.contiguous_format
    module.weight, module.mask = nn.Parameter(weight.contiguous(memory_format=layout)), None
    if isinstance(module, Convolution):
        if each.layer.depthwise:
            module.groups = len(weight)
        module.out_channels, module.in_channels = len(weight), weight.shape[1] * module.groups
    elif isinstance(module, Dense):
        module.out_features, module.in_features = weight.shape
