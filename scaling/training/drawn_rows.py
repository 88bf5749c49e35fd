"""Drawn rows: what the steps of an epoch draw, uploaded at once, and read on the device by step.

Contents: Rows; `uploaded`, for a step that is unlike the others.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as trees


class Rows:
    """What alike steps draw, on the device: row by row, one buffer for each type."""

    def __init__(self, device: torch.device) -> None:
        self.at_1 = torch.zeros(1, dtype=torch.int64, device=device)
        self.buffers: dict[torch.dtype, Tensor] = {}
        self.shape: Any = None

    def fill(self, steps: Sequence[Any]) -> list[bool]:
        """Upload those that are as the first; returns which are."""
        flat = [trees.tree_flatten(step) for step in steps]
        shapes = [(spec, *map(_shape, leaves)) for leaves, spec in flat]
        alike = [shape == shapes[0] for shape in shapes]
        rows: dict[torch.dtype, list[Tensor]] = {}
        for (leaves, _), chosen in zip(flat, alike, strict=True):
            if chosen:
                for kind, parts in _by_type(leaves).items():
                    rows.setdefault(kind, []).append(torch.cat(parts))
        self.shape, (leaves, self.spec) = shapes[0], flat[0]
        self.leaves = [_tensor(leaf) if _is_data(leaf) else leaf for leaf in leaves]
        for kind, each in rows.items():
            whole, buffer = torch.stack(each), self.buffers.get(kind)
            if buffer is None or buffer.shape != whole.shape:
                self.buffers[kind] = whole.to(self.at_1.device)
            else:
                buffer.copy_(whole)
        self.at_1.zero_()
        return alike

    def row(self) -> Any:
        """What the next step draws, on the device."""
        found = {}
        for kind, buffer in self.buffers.items():
            own = [leaf for leaf in self.leaves if isinstance(leaf, Tensor) and leaf.dtype == kind]
            row = torch.split(buffer.index_select(0, self.at_1)[0], [leaf.numel() for leaf in own])
            found[kind] = iter([part.view(leaf.shape) for part, leaf in zip(row, own, strict=True)])
        self.at_1 += 1
        leaves = [next(found[x.dtype]) if isinstance(x, Tensor) else x for x in self.leaves]
        return trees.tree_unflatten(leaves, self.spec)


def uploaded(step: Any, device: torch.device) -> Any:
    """One step's draws, on the device."""
    return trees.tree_map(lambda leaf: _tensor(leaf).to(device) if _is_data(leaf) else leaf, step)


def _is_data(leaf: Any) -> bool:
    return isinstance(leaf, Tensor | float)


def _tensor(leaf: Any) -> Tensor:
    return leaf if isinstance(leaf, Tensor) else torch.tensor(leaf, dtype=torch.float32)


def _shape(leaf: Any) -> Any:
    """What steps that are alike have in common of a leaf."""
    return (tuple(_tensor(leaf).shape), _tensor(leaf).dtype) if _is_data(leaf) else leaf


def _by_type(leaves: Sequence[Any]) -> dict[torch.dtype, list[Tensor]]:
    found: dict[torch.dtype, list[Tensor]] = {}
    for leaf in filter(_is_data, leaves):
        found.setdefault(_tensor(leaf).dtype, []).append(_tensor(leaf).reshape(-1))
    return found
