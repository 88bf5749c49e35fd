"""Saliency: what the weights of an untrained network are worth, each as one number.

Conventions: networks are handed over as copies in training mode and may be changed; scores are in
the shape of the weights, and the highest stay. Weights are scored as inputs meet them: damping is a
factor of the gradient too. Contents: LossOf; `snip`, `grasp` and `kept`; `synflow`.
"""

# S inputs, B clips, Y classes

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from scaling.networks.modules.kernels import Prunable
from scaling.pruning.masks import magnitude

# a network and what its logits are divided by -> the loss of one batch, drawn alike in every call
LossOf = Callable[[nn.Module, float], Tensor]
Scores = dict[str, Tensor]
LINEAR = 1e-6  # how far, of itself, the answer to a doubled input may be from the doubled answer


def layers(network: nn.Module) -> dict[str, Tensor]:
    """The weights that can be cut, by the name of their layer."""
    named = network.named_modules()
    return {name: module.weight for name, module in named if isinstance(module, Prunable)}


def snip(network: nn.Module, losses: Sequence[LossOf]) -> Scores:
    """|weight x gradient|, of the gradient of all losses together."""
    weights = layers(network)
    total = _gradient(network, losses, 1.0)
    return {name: (weights[name] * total[name]).detach().abs() for name in weights}


def grasp(network: nn.Module, losses: Sequence[LossOf], temperature: float) -> Scores:
    """weight x (Hessian x gradient), of all losses together: how much a weight adds to the squared
    norm of the gradient, of which half the slope this is.

    Raises ValueError for a network that cannot be differentiated twice.
    """
    weights = layers(network)
    total = _gradient(network, losses, temperature)
    product = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for loss in losses:
        try:
            own = _of(loss(network, temperature), weights, create_graph=True)
            flow = torch.stack([(own[name] * total[name]).sum() for name in weights]).sum()
            second = _of(flow, weights)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            line = str(error).splitlines()[0][:160]
            raise ValueError(
                f"pruning.kind=grasp differentiates twice, which this network does not take: {line}"
            ) from error
        for name in weights:
            product[name] += second[name]
    return {name: (weights[name] * product[name]).detach() for name in weights}


def _gradient(network: nn.Module, losses: Sequence[LossOf], temperature: float) -> Scores:
    weights = layers(network)
    found = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for loss in losses:
        for name, each in _of(loss(network, temperature), weights).items():
            found[name] += each
    return found


def _of(value: Tensor, weights: Mapping[str, Tensor], create_graph: bool = False) -> Scores:
    """The gradient of a number by weights; zero where it does not depend on them."""
    found = torch.autograd.grad(
        value, [*weights.values()], create_graph=create_graph, materialize_grads=True
    )
    return dict(zip(weights, found, strict=True))


def kept(kind: str, scores: Scores, keep: int, guard: float) -> dict[str, Tensor]:
    """Masks of the `keep` highest scores, over all layers. Raises ValueError for a layer without
    any, and as `masks.magnitude`.
    """
    _check(kind, scores)
    return magnitude(scores, _all(scores), keep, guard)


def synflow(
    network: nn.Module, size: tuple[int, int], keep: int, guard: float, iterations: int
) -> dict[str, Tensor]:
    """Masks of `keep` weights, cut in so many iterations, each of which leaves the same share of
    what it finds. A score is |weight x gradient| of the summed answer to an input of ones (1, 1,
    *size) from a network of magnitudes, in evaluation mode and in float64.

    Batch normalization scales as it does before it has seen anything, biases are left out: then
    what flows into a unit is what flows out of it. Raises ValueError for a network whose answer
    does not double with its input, and for a layer that nothing flows through.
    """
    weights, masks = _of_magnitudes(network), _all(layers(network))
    dense, ones = sum(mask.numel() for mask in masks.values()), torch.ones(1, 1, *size)
    ones = ones.to(next(iter(weights.values())))
    _check_flow(network, ones)
    for number in range(1, iterations + 1):
        flow = _of(network(ones).logits_BY.sum(), weights)
        scores = {name: (weights[name] * flow[name]).detach().abs() for name in weights}
        if number == 1:
            _check("synflow", scores)
        left = round(dense * math.pow(keep / dense, number / iterations))
        masks = magnitude(scores, masks, left, guard)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.mul_(masks[name])
    return masks


@torch.no_grad()
def _of_magnitudes(network: nn.Module) -> dict[str, Tensor]:
    network.double().eval()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
    for name, parameter in network.named_parameters():
        parameter.abs_()
        if name.rpartition(".")[2] == "bias":
            parameter.zero_()
    return layers(network)


@torch.no_grad()
def _check_flow(network: nn.Module, ones: Tensor) -> None:
    once, twice = (float(network(share * ones).logits_BY.sum()) for share in (1, 2))
    if not abs(twice - 2 * once) <= LINEAR * abs(twice):
        raise ValueError(
            "pruning.kind=synflow needs a network whose answer doubles with its input, and this "
            f"one answers {once:.4g} and {twice:.4g}: static, snip, grasp or magnitude take it"
        )


def _check(kind: str, scores: Scores) -> None:
    for name, score in scores.items():
        if not score.any() or not score.isfinite().all():
            what = "all are 0" if score.isfinite().all() else "some are no numbers"
            raise ValueError(
                f"pruning.kind={kind}: the scores of {name} cannot be compared, {what}: "
                "initialize its weights away from zero, or prune by kind=static"
            )


def _all(like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.ones_like(value, dtype=torch.bool) for name, value in like.items()}
