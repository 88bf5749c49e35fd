"""Sharpness-aware minimization (SAM): the gradient is taken where the loss nearby is highest.

With g the gradient at the weights w: e = rho g / |g|; of the adaptive form, which does not depend
on how weights are scaled, e = rho w^2 g / |w g|, products by entry. The optimizer then moves w by
the gradient at w + e. Both passes see the same clips, mixtures and dropped channels; running
statistics of batch normalization come from the first alone. What is cut has no gradient, so it
stays zero. Sources: Foret et al. 2021 (SAM), Kwon et al. 2021 (adaptive). Contents: `climb`,
`rows_climbed`, `uphill`; `drawn` and `repeated`.
"""

# S trials, P numbers of each

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from scaling.networks.modules.stochastic import Stochastic

TINY = 1e-12  # added to the norm, which is 0 where all gradients are


@torch.no_grad()
def climb(weights: Sequence[Tensor], rho: float, adaptive: bool) -> None:
    """Move weights by e, from the gradients that they have."""
    steps = [w.grad * w.abs() if adaptive else w.grad for w in weights if w.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(s) for s in steps]))
    moving = (w for w in weights if w.grad is not None)
    for weight, step in zip(moving, steps, strict=True):
        weight.add_((step * weight.abs() if adaptive else step) * (rho / (norm + TINY)))


@torch.no_grad()
def rows_climbed(flat_SP: Tensor, gradient_SP: Tensor, rho_S: Tensor, adaptive_S: Tensor) -> Tensor:
    """The same for trials side by side, each with its own rho: where its weights climb to."""
    scale_SP = torch.where(adaptive_S[:, None], flat_SP.abs(), 1.0)
    steps_SP = gradient_SP * scale_SP
    share_S1 = rho_S[:, None] / (torch.linalg.vector_norm(steps_SP, dim=1, keepdim=True) + TINY)
    return torch.addcmul(flat_SP, steps_SP * scale_SP, share_S1)


def uphill(
    weights: Iterable[Tensor], rho: float, adaptive: bool, losses: Callable[[], Iterable[Tensor]]
) -> None:
    """Replace the gradients of weights by those of the losses at w + e; the weights stay, to the
    bit.
    """
    weights = [each for each in weights if each.grad is not None]
    before = [weight.detach().clone() for weight in weights]
    climb(weights, rho, adaptive)
    for weight in weights:
        weight.grad = None
    torch.autograd.backward(list(losses()))
    with torch.no_grad():
        for weight, value in zip(weights, before, strict=True):
            weight.copy_(value)


def drawn(network: nn.Module) -> dict[str, Tensor]:
    """Where the generators of a network's modules stand, by the modules' names."""
    return {
        name: module.generator.get_state()
        for name, module in network.named_modules()
        if isinstance(module, Stochastic) and module.generator is not None
    }


@contextmanager
def repeated(network: nn.Module, states: Mapping[str, Tensor]) -> Iterator[None]:
    """While entered, a network in training draws again what it drew from these states on, and
    leaves running statistics as they are.
    """
    for name, state in states.items():
        module = network.get_submodule(name)
        assert isinstance(module, Stochastic)
        assert module.generator is not None
        module.generator.set_state(state)
    norms = [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
    try:
        for norm in norms:
            norm.track_running_stats = False
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
