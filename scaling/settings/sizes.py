"""Sizes: what a trial's network costs, as its settings say; nothing is built. No torch.

Contents: `network_layers`, `layers`; `cost`, `kept_weights`, `compacted`; `narrowings`, round by
round of channel pruning, `of_channels`; Bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from scaling.networks import groups, mup
from scaling.networks.cost import Cost, Layer, LayerCost, count, of_parts
from scaling.networks.mup import LayerScale
from scaling.networks.own import OwnNetwork
from scaling.pruning.channels import FLOAT32 as FLOAT32
from scaling.pruning.channels import Channels, fitted
from scaling.pruning.pruning import Cutting
from scaling.settings.trial import Trial

BITS = 8  # of a byte


class Narrowing(NamedTuple):
    """What so many rounds of channel pruning leave."""

    channels: dict[str, int]  # of each group, by the name of its first layer
    cost: Cost  # without the channels that are cut


class Bytes(NamedTuple):
    """What a network's parameters take in float32, in three forms. The statistics of normalization
    are not counted: they are folded into kernels before use.
    """

    dense: int  # all of them, zeros included, as they train
    sparse: int  # those that are left, and one bit for each weight, which says whether it is
    compacted: int  # without the channels that are cut; single weights leave no gap to close


def in_bytes(parameters: int, weights: int, kept_weights: int, compacted: int | None) -> Bytes:
    """Bytes of so many parameters, of which `weights` can be cut one by one and `kept_weights` are
    left; `compacted` parameters are left where whole channels were cut, None: where none were.
    """
    kept = parameters - weights + kept_weights if compacted is None else compacted
    places = -(-weights // BITS) if kept < parameters else 0
    whole = parameters if compacted is None else compacted
    return Bytes(FLOAT32 * parameters, FLOAT32 * kept + places, FLOAT32 * whole)


def network_layers(trial: Trial, classes: int, width: int | None = None) -> list[Layer]:
    """The layers of a trial's network without the head of its objective, or of one `width` wide,
    else the same.
    """
    network = trial.network
    if width is not None:
        network = network.model_copy(update={"width": width})
    return network.layers(trial.objective.outputs(classes))


def layers(trial: Trial, classes: int, width: int | None = None) -> list[Layer]:
    """All of its layers."""
    return [*network_layers(trial, classes, width), *trial.objective.head_layers(classes)]


def scales(trial: Trial, classes: int) -> Mapping[str, LayerScale]:
    """What the rate and the first weights of each layer are multiplied by, by its name; empty where
    by nothing.
    """
    if trial.network.parametrization == "standard":
        return {}
    return mup.scales(layers(trial, classes), layers(trial, classes, trial.network.base_width))


def _plain(trial: Trial, classes: int, width: int | None = None) -> Cost:
    """What the network costs with the head of its objective, or one `width` wide."""
    network, shape = trial.network, trial.sound.shape
    if not isinstance(network, OwnNetwork) or network.described() is not None:
        return count(layers(trial, classes, width), shape)
    if width is not None:
        network = network.model_copy(update={"width": width})
    found = network.cost(trial.objective.outputs(classes), shape)
    heads = trial.objective.head_layers(classes)
    return of_parts([*found.parts, *(count(heads, (1, 1)).parts if heads else ())], None)


def cost(trial: Trial, classes: int) -> Cost:
    """What a trial's network costs on that trial's clips, and the front end where it learns. Raises
    ValueError when the clips are too small for it.
    """
    return _with_front(trial, _plain(trial, classes))


def _with_front(trial: Trial, found: Cost) -> Cost:
    """The cost with that of a front end, and of a normalization of the input, that learn."""
    sound = trial.sound
    if trial.network.normalization == "adaptive":  # a share, a scale and a shift
        part = LayerCost("normalization", 3, 0, 0, sound.shape)
        parameters = found.parameters + part.parameters
        found = found._replace(parameters=parameters, parts=(part, *found.parts))
    if learnt := sound.features.learnt(sound.rate):
        size = sound.features.mels, sound.frames
        front = LayerCost("frontend", learnt, 0, learnt * sound.frames, size, learnt * sound.frames)
        found = found._replace(
            parameters=found.parameters + front.parameters,
            macs=found.macs + front.macs,
            parts=(front, *found.parts),
        )
    return found


def kept_weights(trial: Trial, classes: int) -> int:
    """How many weights a trial ends with: its pruning's target, or all. Raises as `narrowings`."""
    if less := compacted(trial, classes):
        return less.weights
    width = None
    if isinstance(trial.pruning, Cutting):
        if trial.pruning.target:
            return trial.pruning.target
        width = trial.pruning.target_width
    return _plain(trial, classes, width).weights


def compacted(trial: Trial, classes: int) -> Cost | None:
    """What a trial's network costs without the channels that it loses; None where it loses none.
    Raises as `narrowings`.
    """
    if not isinstance(trial.pruning, Channels):
        return None
    return narrowings(trial, classes)[-1].cost


def narrowings(trial: Trial, classes: int) -> list[Narrowing]:
    """What a trial's channel pruning leaves after 0, 1, ... rounds: none adds to a group, and the
    last one meets the budget.

    Raises ValueError for a network without channels that may be cut, or without the normalization
    that is to judge them, and for a budget that the whole network, or one channel in each layer,
    does not fit.
    """
    pruning = trial.pruning
    assert isinstance(pruning, Channels)
    cuttable, costs = of_channels(trial, classes)

    def price(channels: Mapping[str, int]) -> int:
        return pruning.price(costs(channels))

    dense = price({})
    last = fitted(cuttable, price, pruning.most(dense), pruning)
    if last is None:
        fewest = {each.name: pruning.least(each.channels) for each in cuttable}
        raise pruning.beyond(dense, price(fewest))
    now = {each.name: each.channels for each in cuttable}
    found = [Narrowing(now, costs(now))]
    for number in range(1, pruning.rounds + 1):
        planned = fitted(cuttable, price, pruning.after(number, dense), pruning) or last
        now = {name: max(last[name], min(now[name], planned[name])) for name in now}
        found.append(Narrowing(now, costs(now)))
    return found


def of_channels(
    trial: Trial, classes: int
) -> tuple[list[groups.ChannelGroup], Callable[[Mapping[str, int]], Cost]]:
    """The groups of channels that a trial's network may lose, and what it costs with so many of
    each. Raises as `narrowings`, but for the budget.
    """
    network = trial.network
    if isinstance(network, OwnNetwork) and network.described() is None:
        raise ValueError(
            f"pruning.kind=channels: network.kind={network.kind} does not state its layers, which "
            "say what is cut together: make it a subclass of Network (docs/own_parts.md)"
        )
    base, head = network_layers(trial, classes), trial.objective.head_layers(classes)
    cuttable = groups.groups(base)
    _check_channels(trial, base, cuttable)

    def costs(channels: Mapping[str, int]) -> Cost:
        left = [*groups.narrowed(base, channels), *head]
        return _with_front(trial, count(left, trial.sound.shape))

    return cuttable, costs


def _check_channels(
    trial: Trial, base: Sequence[Layer], cuttable: Sequence[groups.ChannelGroup]
) -> None:
    """Raise ValueError unless the network has channels that may be cut, and what judges them."""
    kind = f"network.kind={trial.network.kind}"
    if trial.network.mixes:
        raise ValueError(
            f"pruning.kind=channels: {kind} {trial.network.mixes}, of which none can be cut: "
            "pruning.kind=static or magnitude"
        )
    if not cuttable:
        raise ValueError(f"pruning.kind=channels: {kind} has no layer but the one that answers")
    assert isinstance(trial.pruning, Channels)
    normalized = {layer.name for layer in base if layer.norm}
    for each in cuttable:
        if trial.pruning.criterion == "scale" and not normalized & {*each.layers}:
            raise ValueError(
                f"pruning.criterion=scale: {each.name} of {kind} has no normalization: "
                "pruning.criterion=l1 or l2"
            )
