"""Pruner: what scaling.pruning.masks decides, done to a network and its optimizer while they train.

Conventions: what can be cut are the weights of the network's convolutions and dense layers,
classifier included; biases and normalization never are. A layer's name is that of its cost
(`block1.conv1`). A weight that is cut is zero from then on, and so are its moments in the
optimizer.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from scaling.networks.kernels import Prunable
from scaling.networks.state import check_alike
from scaling.pruning.masks import initialize, magnitude, remaining, static
from scaling.seeds import stream
from scaling.settings import Trial


class Pruner:
    """Cuts one network by one trial's settings; `masks` say what is left of each layer."""

    def __init__(
        self,
        trial: Trial,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        target: int,
        masks: Mapping[str, Tensor] | None = None,
    ) -> None:
        """`target` weights are kept in the end; `masks` are those of a trial that goes on.

        Raises Misfit when the masks are none of this network's, ValueError when the target lies
        above what the network has, or below what the guard (one weight a layer, for a static mask)
        allows.
        """
        self.settings, self.optimizer, self.target = trial.pruning, optimizer, target
        self.layers = {
            name.removeprefix("base.").removeprefix("blocks."): module
            for name, module in network.named_modules()
            if isinstance(module, Prunable)
        }
        self.dense = sum(layer.weight.numel() for layer in self.layers.values())
        if masks is not None:
            weights = {name: each.weight.detach().bool() for name, each in self.layers.items()}
            check_alike("what is pruned", masks, weights)
            self._cut(masks)
        elif self.settings.kind == "static":
            self._cut(self._drawn(trial.seed))
        else:
            self.masks = {
                name: torch.ones_like(layer.weight, dtype=torch.bool)
                for name, layer in self.layers.items()
            }

    def _drawn(self, seed: int) -> dict[str, Tensor]:
        """The static masks; what they leave is initialized as the settings say."""
        weights = {name: layer.weight.detach() for name, layer in self.layers.items()}
        shapes = {name: weight.shape for name, weight in weights.items()}
        masks = static(shapes, self.target, lambda name: stream(seed, "mask", name))
        drawn = initialize(
            self.settings.initialization,
            weights,
            masks,
            lambda name: stream(seed, "pruned initialization", name),
        )
        with torch.no_grad():
            for name, layer in self.layers.items():
                layer.weight.copy_(drawn[name])
        return masks

    @property
    def kept(self) -> int:
        """Weights that are left."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    def before(self, epoch: int) -> None:
        """Cut what must go before this epoch (counted from 0) is trained."""
        if self.settings.kind != "magnitude":
            return
        keep = remaining(self.settings, self.dense, self.target, epoch)
        if keep < self.kept:
            scores = {name: self._score(layer) for name, layer in self.layers.items()}
            self._cut(magnitude(scores, self.masks, keep, self.settings.guard))

    def _score(self, layer: Prunable) -> Tensor:
        damped = self.settings.score == "kernel"
        return (layer.kernel if damped else layer.weight).detach().abs()

    @torch.no_grad()
    def _cut(self, masks: Mapping[str, Tensor]) -> None:
        self.masks = {
            name: masks[name].to(layer.weight.device) for name, layer in self.layers.items()
        }
        for name, layer in self.layers.items():
            layer.cut(self.masks[name])
            for value in self.optimizer.state.get(layer.weight, {}).values():
                if isinstance(value, Tensor) and value.shape == layer.weight.shape:
                    value.mul_(self.masks[name])

    def counts(self) -> dict[str, float]:
        """Weights that are left, in all and by layer, by the name of their metric."""
        counts = {f"kept_weights.{name}": float(mask.sum()) for name, mask in self.masks.items()}
        return {"kept_weights": float(sum(counts.values())), **counts}
