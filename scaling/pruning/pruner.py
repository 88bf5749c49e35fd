"""Pruner: what a way of pruning decides, done to a network and its optimizer while they train.

Conventions: what can be cut are the weights of the network's convolutions and dense layers,
classifier included; biases and normalization never are. A layer's name is that of its cost
(`block1.conv1`). A weight that is cut is zero from then on, and so are its moments in the
optimizer.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from scaling.networks.modules.kernels import Prunable
from scaling.networks.modules.state import check_alike
from scaling.pruning.masks import Streams
from scaling.pruning.pruning import Cutting
from scaling.seeds import stream


class Pruner:
    """Cuts one network by one trial's settings; `masks` say what is left of each layer."""

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
        self.settings, self.optimizer, self.target = settings, optimizer, target
        self.layers = {
            name: module for name, module in network.named_modules() if isinstance(module, Prunable)
        }
        self.dense = sum(layer.weight.numel() for layer in self.layers.values())
        if masks is None:
            masks = self._begin(seed)
        else:
            weights = {name: each.weight.detach().bool() for name, each in self.layers.items()}
            check_alike("what is pruned", masks, weights)
        self._cut(masks)

    @torch.no_grad()
    def _begin(self, seed: int) -> Mapping[str, Tensor]:
        """The first masks; the weights are set to what they begin with."""

        def streams(purpose: str) -> Streams:
            def of_layer(name: str) -> np.random.Generator:
                return stream(seed, purpose, name)

            return of_layer

        weights = {name: layer.weight.detach() for name, layer in self.layers.items()}
        masks, drawn = self.settings.begin(weights, self.target, streams)
        for name, layer in self.layers.items():
            layer.weight.copy_(drawn[name])
        return masks

    @property
    def kept(self) -> int:
        """Weights that are left."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    def before(self, epoch: int) -> None:
        """Cut what must go before this epoch (counted from 0) is trained."""
        keep = self.settings.remaining(self.dense, self.target, epoch)
        if keep < self.kept:
            weights = {name: layer.weight.detach() for name, layer in self.layers.items()}
            kernels = {name: layer.kernel.detach() for name, layer in self.layers.items()}
            self._cut(self.settings.cut(weights, kernels, self.masks, keep))

    @torch.no_grad()
    def _cut(self, masks: Mapping[str, Tensor]) -> None:
        self.masks = {
            name: masks[name].to(layer.weight.device) for name, layer in self.layers.items()
        }
        if self.kept == self.dense:  # a layer of which nothing is cut trains as if it had no mask
            return
        for name, layer in self.layers.items():
            layer.cut(self.masks[name])
            for value in self.optimizer.state.get(layer.weight, {}).values():
                if isinstance(value, Tensor) and value.shape == layer.weight.shape:
                    value.mul_(self.masks[name])

    def counts(self) -> dict[str, float]:
        """Weights that are left, in all and by layer, by the name of their metric."""
        counts = {f"kept_weights.{name}": float(mask.sum()) for name, mask in self.masks.items()}
        return {"kept_weights": float(sum(counts.values())), **counts}
