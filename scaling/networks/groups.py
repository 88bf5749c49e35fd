"""Groups: which channels of a network stand or fall together, as its list of layers tells.

What a shortcut adds up is one group: a channel that one of its layers puts out is gone only where
all do without it. The last layer's channels are the answer and belong to no group. Everything is
arithmetic over layers; nothing is built. Source: Fang et al. 2023 (DepGraph) for groups, here of
chains with shortcuts only, and of convolutions by channel, which put out the channels that they
read. Channels that a normalization mixes clip by clip are of no group. Contents: ChannelGroup,
`groups`, `owners`, `sources`, `narrowed`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scaling.networks.cost import Layer


class ChannelGroup(NamedTuple):
    """Layers that put out the same channels."""

    layers: tuple[str, ...]  # in the order of the network
    channels: int

    @property
    def name(self) -> str:
        """The name of its first layer."""
        return self.layers[0]


def owners(layers: Sequence[Layer]) -> dict[str, str]:
    """The group whose channels each layer puts out, by the name of the group's first layer; that of
    the last layer is of no group that may be cut.
    """
    found: dict[str, str] = {}
    source = sources(layers)
    for layer in layers:
        like = layer.joins or (source[layer.name] if layer.depthwise else "")
        found[layer.name] = found[like] if like else layer.name
    return found


def sources(layers: Sequence[Layer]) -> dict[str, str]:
    """The layer that puts out what each layer reads; nothing for those that read the input.

    A layer reads the one before it; a shortcut, which runs beside that one, reads what it reads.
    """
    found: dict[str, str] = {}
    last = ""
    for layer in layers:
        found[layer.name] = layer.after or (found[last] if layer.shortcut else last)
        if not layer.shortcut:
            last = layer.name
    return found


def groups(layers: Sequence[Layer]) -> list[ChannelGroup]:
    """The groups of which channels may be cut, in the order of the network; none for a network that
    answers with its only layer.
    """
    owner = owners(layers)
    outputs = {layer.name: layer.outputs for layer in layers}
    members: dict[str, list[str]] = {}
    for name, first in owner.items():
        members.setdefault(first, []).append(name)
    whole = {owner[each.name] for each in layers if each.clip_norm != "none"}
    for name in whole | {owner[each.name] for each in layers[-1:]}:
        del members[name]
    return [ChannelGroup(tuple(names), outputs[first]) for first, names in members.items()]


def narrowed(layers: Sequence[Layer], channels: Mapping[str, int]) -> list[Layer]:
    """The same network with so many channels in the groups that are named."""
    owner, source = owners(layers), sources(layers)
    found = []
    for layer in layers:
        inputs = channels.get(owner.get(source[layer.name], ""), layer.inputs)
        outputs = channels.get(owner[layer.name], layer.outputs)
        parts = inputs if layer.depthwise else layer.groups
        found.append(layer._replace(inputs=inputs, outputs=outputs, groups=parts))
    return found
