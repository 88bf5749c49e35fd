"""Sizes: what a trial's network costs, as its settings say; nothing is built. No torch."""

from scaling.networks.cost import Cost, Layer, LayerCost, count, of_parts
from scaling.networks.own import OwnNetwork
from scaling.pruning.pruning import Cutting
from scaling.settings.trial import Trial


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
    found, sound = _plain(trial, classes), trial.sound
    if learnt := sound.features.learnt(sound.rate):
        size = sound.features.mels, sound.frames
        front = LayerCost("frontend", learnt, 0, learnt * sound.frames, size)
        found = found._replace(
            parameters=found.parameters + front.parameters,
            macs=found.macs + front.macs,
            parts=(front, *found.parts),
        )
    return found


def kept_weights(trial: Trial, classes: int) -> int:
    """How many weights a trial ends with: its pruning's target, or all."""
    width = None
    if isinstance(trial.pruning, Cutting):
        if trial.pruning.target:
            return trial.pruning.target
        width = trial.pruning.target_width
    return _plain(trial, classes, width).weights
