"""Regrower: what RigL decides, done to a network and its optimizer while they train.

A step at which masks change takes the place of the optimizer's: gradients of all weights, cut ones
too, say which come back. Weights that come back begin at zero, without moments.
"""

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from scaling.networks.modules.kernels import Prunable
from scaling.pruning.masks import lowest
from scaling.pruning.pruner import Pruner
from scaling.pruning.rigl import RigL


class Regrower(Pruner):
    """Moves the weights of one network by one trial's settings."""

    by_epoch: ClassVar[bool] = False

    def __init__(
        self,
        settings: RigL,
        seed: int,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        target: int,
        steps: int,
        epochs: int,
        masks: Mapping[str, Tensor] | None = None,
    ) -> None:
        """A trial has `epochs` of so many steps; see Pruner for the rest. Raises ValueError where
        masks never change.
        """
        self.rigl, self.steps, self.total = settings, steps, steps * epochs
        self.at = self.grown = 0
        if not settings.last(self.total):
            raise ValueError(
                f"pruning.period={settings.period}: masks would never change, as training has "
                f"{self.total} steps and pruning.until={settings.until:g}: at most "
                f"{math.ceil(settings.until * self.total) - 1}"
            )
        super().__init__(settings, seed, network, optimizer, target, masks)

    def before(self, epoch: int) -> None:
        """See Masked.before."""
        self.at, self.grown = epoch * self.steps, 0

    def steps_instead(self, losses: Iterable[Tensor]) -> bool:
        """See Masked.steps_instead."""
        share = self.rigl.share(self.at, self.total)
        self.at += 1
        if not share or self.kept == self.dense:
            return False
        gradients = self._gradients(losses)
        for name, layer in self.layers.items():
            survivors, grown = moved(
                layer.weight.detach(), self.masks[name], gradients[name], share
            )
            self._regrow(name, layer, survivors, grown)
        return True

    def _gradients(self, losses: Iterable[Tensor]) -> dict[str, Tensor]:
        """Those of all weights, cut ones too."""
        masks = {name: layer.mask for name, layer in self.layers.items()}
        for layer in self.layers.values():
            layer.mask = None  # or it would cut the gradient
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward([*losses])
        found = {}
        for name, layer in self.layers.items():
            layer.mask = masks[name]
            gradient = layer.weight.grad
            found[name] = torch.zeros_like(layer.weight) if gradient is None else gradient
        self.optimizer.zero_grad(set_to_none=True)
        return found

    @torch.no_grad()
    def _regrow(self, name: str, layer: Prunable, survivors: Tensor, grown: Tensor) -> None:
        layer.weight.mul_(survivors)
        self._cut_moments(layer.weight, survivors)
        self.masks[name] = survivors | grown
        layer.cut(self.masks[name])
        self.grown += int(grown.sum())

    def counts(self) -> dict[str, float]:
        """Also how many weights came back in the epoch."""
        return super().counts() | {"grown_weights": float(self.grown)}


@torch.no_grad()
def moved(weight: Tensor, mask: Tensor, gradient: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Which weights of a layer survive, and which come back.

    Of those that the mask keeps, the share goes (rounded down) that is smallest; as many come back
    of all others, those that just went included, by the largest gradient. Of equals, the first.
    """
    alive = mask.reshape(-1)
    count = math.floor(share * int(alive.sum()))
    if count == 0 or bool(alive.all()):
        return mask, torch.zeros_like(mask)
    small = lowest(weight.abs().reshape(-1)[alive].nan_to_num(nan=math.inf), count)
    survivors = alive.masked_scatter(alive, ~small)
    steep = lowest(-gradient.abs().reshape(-1)[~survivors].nan_to_num(nan=0.0), count)
    grown = torch.zeros_like(alive).masked_scatter(~survivors, steep)
    return survivors.reshape(mask.shape), grown.reshape(mask.shape)
