"""Rewinder: rounds of cutting and starting over, done to a model and its optimizer.

What a round returns to is all that the model has learned by then, normalization's statistics
included; moments begin at zero. Orders of clips and other draws are those of the epochs that pass.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from scaling.networks.modules.state import Misfit, check_alike
from scaling.pruning.pruner import Pruner
from scaling.pruning.rewinding import Rewinding


class Rewinder(Pruner):
    """Cuts and rewinds one model by one trial's settings."""

    def __init__(
        self,
        settings: Rewinding,
        seed: int,
        model: nn.Module,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        target: int,
        epochs: int,
        redrawn: Callable[[], Mapping[str, Tensor]],
        resumed: tuple[int, Mapping[str, Tensor], Mapping[str, Tensor] | None] | None = None,
    ) -> None:
        """`network`, whose weights are cut, is part of `model`, which is rewound; `redrawn` gives
        parameters of the model as another seed draws them. `resumed` are the epochs trained, the
        masks and `early` of a trial that resumes. Raises as Pruner does.
        """
        self.rewinding, self.model, self.epochs, self.redrawn = settings, model, epochs, redrawn
        trained, masks, early = resumed or (0, None, None)
        super().__init__(settings, seed, network, optimizer, target, masks)
        if early is not None:
            check_alike("what is rewound to", early, model.state_dict())
        elif settings.returns and settings.rewind_to < trained < self._last:
            raise Misfit("there is nothing to rewind to")
        self.early = early

    @property
    def _last(self) -> int:
        """The epoch, counted from 0, with which the last round begins."""
        return self.epochs - self.rewinding.each(self.epochs)

    @torch.no_grad()
    def before(self, epoch: int) -> None:
        """See Masked.before."""
        settings = self.rewinding
        if epoch == settings.rewind_to and settings.returns:
            self.early = {name: value.clone() for name, value in self.model.state_dict().items()}
        if not settings.due(epoch, self.epochs):
            return
        keep = settings.after(settings.done(epoch, self.epochs), self.dense, self.target)
        weights = {name: layer.weight.detach() for name, layer in self.layers.items()}
        kernels = {name: layer.kernel.detach() for name, layer in self.layers.items()}
        masks = settings.cut(weights, kernels, self.masks, keep)
        if self.early is not None:
            fresh = settings.rewind == "reinitialized" and epoch == self._last
            self.model.load_state_dict({**self.early, **(self.redrawn() if fresh else {})})
        if settings.rewind != "none":
            self._forget()
        if epoch == self._last:
            self.early = None
        self._cut(masks)

    def _forget(self) -> None:
        """Let the optimizer begin again."""
        for moments in self.optimizer.state.values():
            for value in moments.values():
                if isinstance(value, Tensor):
                    value.zero_()
