"""Rows: what a trial's network and optimizer hold, laid out for a stack and taken back out of it.

Contents: `layout`, `statistics`, `joined_moments`; `detached`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from scaling.training.session import Session

Tensors = dict[str, Tensor]


def layout(session: Session) -> list[list[tuple[str, Tensor]]]:
    """A trial's parameters by the groups of its optimizer, in their order, each with its name in
    the network.
    """
    names = {id(each): name for name, each in session.model.network.named_parameters()}
    groups = session.optimizer.param_groups
    return [[(names[id(each)], each) for each in group["params"]] for group in groups]


def statistics(session: Session) -> Tensors:
    """What a trial's network holds beside its parameters and the constants of its kernels."""
    held = session.model.network.named_buffers()
    return {name: each for name, each in held if name.rpartition(".")[2] not in ("factor", "mask")}


def joined_moments(own: torch.optim.Optimizer, parameters: Sequence[Tensor]) -> dict[str, Any]:
    """The state of an optimizer for a row of these parameters, which from then on see their part of
    it.
    """
    if isinstance(own, torch.optim.SGD):  # without momentum, it remembers nothing
        return {}
    for each in parameters:
        if not own.state.get(each):  # as torch begins
            zeros = {"exp_avg": torch.zeros_like(each), "exp_avg_sq": torch.zeros_like(each)}
            own.state[each] = {"step": torch.zeros((), device=each.device), **zeros}
    row = {
        name: torch.cat([own.state[each][name].reshape(-1) for each in parameters])
        for name in ("exp_avg", "exp_avg_sq")
    }
    step = own.state[parameters[0]]["step"].clone()
    at = 0
    for each in parameters:
        part = slice(at, at + each.numel())
        at = part.stop
        views = {name: whole[part].view(each.shape) for name, whole in row.items()}
        own.state[each] = {"step": step, **views}
    return {"step": step, **row}


def detached(state: Mapping[str, Any]) -> dict[str, Any]:
    """An Epoch's state in memory of its own, laid out as a network that trains alone lays it out,
    as fused optimizers read moments in the order of their parameter's memory.
    """

    def copied(value: Any) -> Any:
        if isinstance(value, Tensor):
            layout = torch.channels_last if value.ndim == 4 else torch.contiguous_format
            return value.clone(memory_format=layout)
        if isinstance(value, dict):
            return {name: copied(each) for name, each in value.items()}
        return value

    return {name: copied(value) for name, value in state.items()}
