"""How a trial's weights move: rate by epoch, optimizer, penalty, and when a network has fit.

Sources: the exponential warm-up and linear decay of Koutini et al. 2021, in the form of its first
author's later code; Pons et al. 2019 for SGD with a penalty and a clipped gradient, and for
stopping once training clips are fit. Contents: `learning_rate`, `steps_of`, `check_batch`, `build`,
`step`, `penalty`, `half_squares`, Patience.
"""

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor, nn

from scaling import settings
from scaling.networks.modules.kernels import Prunable
from scaling.networks.mup import LayerScale


def _uncompiled(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """An optimizer without what torch.compile wraps around its methods: nothing is compiled here,
    and the first call of one of these imports the compiler, which takes each worker a second.
    """
    wrapped = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in wrapped}
    step = torch.no_grad()(inspect.unwrap(kind.step))  # which one of the wrappers does, too
    return type(kind.__name__, (kind,), plain | {"step": step})


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": _uncompiled(torch.optim.Adam),
    "adamw": _uncompiled(torch.optim.AdamW),
    "sgd": _uncompiled(torch.optim.SGD),
}


def learning_rate(training: settings.Training, epoch: float, last: float) -> float:
    """The rate at a moment counted in epochs from 0, of which `last` is the final one trained at.

    Exponential ramp exp(-5 (1 - e/T)^2) over the T epochs of warm-up, then a straight line down to
    `final` times the peak, reached exactly at `last`; all of it times `decay` for every
    `decay_every` whole epochs that have passed.
    """
    factor = 1.0
    if epoch < training.warmup:
        factor = math.exp(-5 * (1 - max(epoch, 0.5) / training.warmup) ** 2)
    elif last > training.warmup:
        done = min(1.0, (epoch - training.warmup) / (last - training.warmup))
        factor = 1 - (1 - training.final) * done
    return training.rate * factor * training.decay ** (int(epoch) // training.decay_every)


def steps_of(training: settings.Training, clips: int) -> int:
    """How many optimizer steps so many clips make."""
    steps, rest = divmod(clips, training.batch)
    return steps + (training.partial and rest > 1)  # one clip alone cannot be normalized


def check_batch(training: settings.Training, clips: int) -> None:
    """Raises ValueError where so many training clips make no step."""
    if clips < (2 if training.partial else training.batch):
        few = f"there {'is' if clips == 1 else 'are'} only {clips} clip{'s' * (clips != 1)}"
        remedy = (
            "train on more"
            if training.partial or clips < 2
            else (f"take at most {clips}, or training.partial=true")
        )
        raise ValueError(f"training.batch={training.batch}: {few} to train on, {remedy}")


def build(
    model: nn.Module,
    training: settings.Training,
    slow: Collection[str] = (),
    factor: float = 1.0,
    scales: Mapping[str, LayerScale] | None = None,
) -> torch.optim.Optimizer:
    """The optimizer of a model; parameters named in `slow` learn at `factor` times the rate, the
    weights of a layer at what `scales` say of it. The filters of a front end do not decay: zero is
    no filter.
    """
    rates = {f"network.{name}.weight": scale.rate for name, scale in (scales or {}).items()}
    groups: dict[tuple[bool, bool, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        key = name.startswith("frontend."), name in slow, rates.get(name, 1.0)
        groups.setdefault(key, []).append(parameter)
    found = []
    for (front, chosen, scale), parameters in sorted(groups.items(), key=itemgetter(0)):
        group = {"params": parameters, "factor": (factor if chosen else 1.0) * scale}
        found.append(group | ({"weight_decay": 0.0} if front else {}))
    own = {} if training.optimizer == "sgd" else {"eps": training.epsilon}
    return OPTIMIZERS[training.optimizer](
        found, lr=training.rate, weight_decay=training.weight_decay, fused=True, **own
    )


def step(
    optimizer: torch.optim.Optimizer,
    losses: Iterable[Tensor],
    rate: float,
    clip: float,
    elsewhere: Callable[[Iterable[Tensor]], None] | None = None,
) -> None:
    """Move the weights down the sum of the losses, whose gradient is cut to a norm of `clip` (0: is
    left as it is). `elsewhere` replaces the gradients of the weights that it is given before that.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(list(losses))
    whole = [weight for group in optimizer.param_groups for weight in group["params"]]
    if elsewhere is not None:
        elsewhere(whole)
    if clip:
        torch.nn.utils.clip_grad_norm_(whole, clip)
    optimizer.step()


def penalty(network: nn.Module) -> Tensor:
    """Half the sum of the squared weights of all convolutions and dense layers that learn, biases
    left out.
    """
    kernels = (each.weight for each in network.modules() if isinstance(each, Prunable))
    return half_squares(weight for weight in kernels if weight.requires_grad)


def half_squares(kernels: Iterable[Tensor]) -> Tensor:
    """Half the sum of the squares of all of these."""
    return 0.5 * torch.stack([weight.float().square().sum() for weight in kernels]).sum()


class Patience(NamedTuple):
    """How well training clips were fit so far, and how many epochs were no better."""

    best: float = -math.inf  # accuracy on them as recorded
    worse: int = 0

    def after(self, accuracy: float, training: settings.Training) -> "Patience":
        """What is left of it after an epoch with this accuracy.

        The count of `all` is never reset, as in the public code of Pons et al. 2019.
        """
        if accuracy > self.best:
            kept = self.worse if training.patience_counts == "all" else 0
            return Patience(accuracy, kept)
        return Patience(self.best, self.worse + 1)
