"""Handed: what the modules of a network draw in a step, drawn before it and handed to them.

Modules draw while a network runs, each from its own generator; which of them, how, and in which
shapes is noted in one run. From then on a step's draws are made ahead of it, from the same
generators and so the same, and a module is given them in place of its own.
"""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from scaling.machine import Machine
from scaling.networks.modules.stochastic import Stochastic


class Handed:
    """The modules of one network that draw, once it is known what. Between `hand` and `back`, they
    draw nothing.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.modules = {
            name: module
            for name, module in network.named_modules()
            if isinstance(module, Stochastic)
        }
        self.calls: dict[tuple[int, ...], list[tuple[str, Callable[..., Tensor], Any]]] = {}

    @torch.no_grad()
    def noted(self, shape: Sequence[int], network: nn.Module, machine: Machine) -> None:
        """Note what is drawn for inputs of this shape, with the parameters and buffers of a network
        alike, which stay as they are. The modules are in the modes that they train in.
        """
        key = tuple(shape)
        if not self.modules or key in self.calls:
            return
        calls = self.calls[key] = []
        zeros_BCFN = torch.zeros(key, device=machine.device)
        for name, module in self.modules.items():

            def note(how: Callable[..., Tensor], shape: Any, name: str = name) -> Tensor:
                calls.append((name, how, tuple(shape)))
                return torch.full(shape, 0.5, device=machine.device)

            module.draw = note  # type: ignore[method-assign]
        held: dict[str, Tensor] = dict(network.named_parameters())
        held |= {name: each.clone() for name, each in network.named_buffers()}
        with machine.autocast():
            functional_call(self.network, held, (zeros_BCFN,))
        self.back()

    def drawn(self, shape: Sequence[int], network: nn.Module) -> list[Tensor]:
        """What this network, alike, draws in its next step for inputs of a noted shape."""
        found = []
        for name, how, size in self.calls.get(tuple(shape), []):
            module = network.get_submodule(name)
            assert isinstance(module, Stochastic)
            found.append(Stochastic.draw(module, how, size))
        return found

    def hand(self, draws: Sequence[Tensor], shape: Sequence[int]) -> None:
        """Let the modules take these, in the order of their calls; the same in a second pass."""
        own: dict[str, list[Tensor]] = {name: [] for name in self.modules}
        for (name, *_), each in zip(self.calls.get(tuple(shape), []), draws, strict=True):
            own[name].append(each)
        for name, module in self.modules.items():
            module.draw = _given(own[name])  # type: ignore[method-assign]

    def back(self) -> None:
        """Let the modules draw for themselves."""
        for module in self.modules.values():
            module.__dict__.pop("draw", None)


def _given(draws: Sequence[Tensor]) -> Callable[..., Tensor]:
    """A module's `draw` that returns these, again and again."""
    again = cycle(draws)
    return lambda how, shape: next(again)  # noqa: ARG005
