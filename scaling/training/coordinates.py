"""Coordinate check: how far a network's outputs move in a few steps, layer by layer and by width.

Under maximal update parametrization the moves stay alike as the width grows; under the standard one
those of wide networks grow. Source: Yang et al. 2022, section 5 and Figure 5. Contents: Move,
`coordinates`.
"""

# B clips, C channels, F rows of a map, N columns

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from scaling.machine import Machine
from scaling.settings import Trial, sizes
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.session import Session


class Move(NamedTuple):
    """How far one layer's output has moved."""

    width: int
    layer: str
    step: int
    size: float  # root mean square of what the layer puts out now, less what it did at first


def coordinates(trial: Trial, store: Store, machine: Machine, steps: int) -> Iterator[Move]:
    """The moves of each layer's output on the first batch, after each of so many steps at the full
    rate, in evaluation mode. Raises as Session does.
    """
    machine.reset()
    session = Session(trial, Listener(trial, store, machine), machine, None, None)
    layers = [layer.name for layer in sizes.layers(trial, len(session.listener.labels))]
    session.begin()
    features_BFN: Tensor | None = None
    first: dict[str, Tensor] = {}
    for number, step in enumerate(islice(session.steps(), steps), start=1):
        if features_BFN is None:
            features_BFN = step.views[0]
            first = _outputs(session.model.network, layers, features_BFN)
        session.update(step._replace(rate=trial.training.rate))
        now = _outputs(session.model.network, layers, features_BFN)
        for name in layers:
            moved = (now[name] - first[name]).square().mean().sqrt()
            yield Move(trial.network.width, name, number, float(moved))


@torch.no_grad()
def _outputs(network: nn.Module, layers: list[str], features_BFN: Tensor) -> dict[str, Tensor]:
    """What each layer puts out, in training's own normalization by the batch."""
    found: dict[str, Tensor] = {}
    hooks = []
    for name in layers:

        def keep(_: nn.Module, __: Any, output: Tensor, name: str = name) -> None:
            found[name] = output.float()

        hooks.append(network.get_submodule(name).register_forward_hook(keep))
    statistics = {
        name: value.clone() for name, value in network.state_dict().items() if "running" in name
    }
    network(features_BFN[:, None])
    network.load_state_dict(statistics, strict=False)
    for hook in hooks:
        hook.remove()
    return found
