"""Sums: what an epoch's steps minimized and measured, added up where it is computed."""

import torch
from torch import Tensor

from scaling.objectives.modules.losses import Loss


class Terms:
    """Sums over an epoch's steps of what is minimized and measured, where they are computed."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}
        self.minimized: set[str] = set()

    def add(self, loss: Loss) -> None:
        """Add those of one step."""
        self.minimized |= loss.parts.keys()
        for name, value in (loss.parts | loss.measured).items():
            if name not in self.values:
                self.values[name] = torch.zeros_like(value)
            self.values[name] += value.detach()


Sums = dict[tuple[int, ...], Terms]  # by the trials, of those that train side by side
