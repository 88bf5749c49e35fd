"""Pruner: what a way of pruning decides, done to a network and its optimizer while they train.

Conventions: what can be cut are the weights of the network's convolutions and dense layers,
classifier included; biases and normalization go only with whole channels
(scaling.pruning.channel_pruner). A layer's name is that of its cost (`block1.conv1`). What is cut
is zero from then on, and so are its moments in the optimizer. Contents: Masked, Pruner.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from scaling.networks.modules.kernels import Prunable
from scaling.networks.modules.state import check_alike
from scaling.pruning.masks import Streams, protected
from scaling.pruning.pruning import Cutting
from scaling.seeds import stream


class Masked:
    """A network with a mask for each layer; who inherits says when they shrink."""

    by_epoch: ClassVar[bool] = True  # masks change between epochs, and in no step

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        masks: Mapping[str, Tensor] | None,
    ) -> None:
        """`masks` are those of a trial that resumes. Raises Misfit when they are none of this
        network's.
        """
        self.optimizer = optimizer
        self.layers = {
            name: module for name, module in network.named_modules() if isinstance(module, Prunable)
        }
        self.dense = sum(layer.weight.numel() for layer in self.layers.values())
        # of biases, scales and shifts whose channels are cut, by their names in the network
        self.vectors: dict[str, Tensor] = {}
        self.early: Mapping[str, Tensor] | None = None  # a state that later epochs return to
        if masks is None:
            masks = self._begin()
        else:
            weights = {name: each.weight.detach().bool() for name, each in self.layers.items()}
            check_alike("what is pruned", masks, weights)
        self._cut(masks)

    def _begin(self) -> Mapping[str, Tensor]:
        """The first masks: all weights stay."""
        return {
            name: torch.ones_like(layer.weight, dtype=torch.bool)
            for name, layer in self.layers.items()
        }

    @property
    def kept(self) -> int:
        """Weights that are left."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    def before(self, epoch: int) -> None:
        """Cut what must go before this epoch (counted from 0) is trained."""
        raise NotImplementedError

    def steps_instead(self, losses: Iterable[Tensor]) -> bool:  # noqa: ARG002
        """Whether it took a step, down these losses, in the optimizer's place."""
        return False

    def penalties(self, epoch: int) -> dict[str, Tensor]:  # noqa: ARG002
        """What is minimized, too, in this epoch (counted from 0), by the name of its metric."""
        return {}

    @torch.no_grad()
    def _cut(self, masks: Mapping[str, Tensor]) -> None:
        self.masks = {
            name: masks[name].to(layer.weight.device) for name, layer in self.layers.items()
        }
        if self.kept == self.dense:  # a layer of which nothing is cut trains as if it had no mask
            return
        for name, layer in self.layers.items():
            layer.cut(self.masks[name])
            self._cut_moments(layer.weight, self.masks[name])

    @torch.no_grad()
    def _cut_vector(self, name: str, vector: Tensor, alive: Tensor) -> None:
        """Set a bias, scale or shift to zero where its channels are not alive, for good."""
        if name not in self.vectors:

            def masked(vector: Tensor) -> None:
                if vector.grad is not None:
                    vector.grad.mul_(self.vectors[name])

            vector.register_post_accumulate_grad_hook(masked)  # type: ignore[no-untyped-call]
        self.vectors[name] = alive
        vector.mul_(alive)
        self._cut_moments(vector, alive)

    def _cut_moments(self, parameter: Tensor, mask: Tensor) -> None:
        for value in self.optimizer.state.get(parameter, {}).values():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                value.mul_(mask)

    def counts(self) -> dict[str, float]:
        """Weights that are left, in all and by layer, by the name of their metric."""
        counts = {f"kept_weights.{name}": float(mask.sum()) for name, mask in self.masks.items()}
        return {"kept_weights": float(sum(counts.values())), **counts}


class Pruner(Masked):
    """Cuts single weights of one network by one trial's settings."""

    def __init__(
        self,
        settings: Cutting,
        seed: int,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        target: int,
        masks: Mapping[str, Tensor] | None = None,
    ) -> None:
        """`target` weights are kept in the end; `masks` are those of a trial that resumes.

        Raises Misfit when the masks are none of this network's, ValueError when the target lies
        above what the network has, or below what the guard (one weight a layer, for a static mask)
        allows.
        """
        self.settings, self.seed, self.target = settings, seed, target
        super().__init__(network, optimizer, masks)

    @torch.no_grad()
    def _begin(self) -> Mapping[str, Tensor]:
        """The first masks; the weights are set to what they begin with."""

        def streams(purpose: str) -> Streams:
            def of_layer(name: str) -> np.random.Generator:
                return stream(self.seed, purpose, name)

            return of_layer

        weights = {name: layer.weight.detach() for name, layer in self.layers.items()}
        groups = {name: getattr(layer, "groups", 1) for name, layer in self.layers.items()}
        masks, drawn = self.settings.begin(weights, groups, self.target, streams)
        for name, layer in self.layers.items():
            layer.weight.copy_(drawn[name])
        return masks

    def before(self, epoch: int) -> None:
        """See Masked.before."""
        keep = self.settings.remaining(self.dense, self.target, epoch)
        if keep < self.kept:
            weights = {name: layer.weight.detach() for name, layer in self.layers.items()}
            kernels = {name: layer.kernel.detach() for name, layer in self.layers.items()}
            self._cut(self.settings.cut(weights, kernels, self.masks, keep))

    def counts(self) -> dict[str, float]:
        """Also layers that are down to the weights that may not be cut."""
        counts = super().counts()
        if self.settings.counts_collapse:
            counts["collapsed_layers"] = float(sum(map(self._collapsed, self.masks.values())))
        return counts

    def _collapsed(self, mask: Tensor) -> bool:
        least = protected(mask.numel(), self.settings.largest_sparsity)
        return int(mask.sum()) <= least < mask.numel()
