"""Losses: parts that sum to what is minimized, and what is only measured beside them."""


# B clips, Y classes, K dimensions of a bottleneck, V views of a clip

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from scaling.networks.modules.output import Output


class Loss(NamedTuple):
    """What one step's outputs amount to."""

    parts: dict[str, Tensor]  # minimized: their sum
    measured: dict[str, Tensor]  # recorded, not minimized


def cross_entropy(outputs: Sequence[Output], targets_BY: Tensor) -> Tensor:
    """Cross-entropy against class probabilities, mean over views and clips."""
    losses = [functional.cross_entropy(out.logits_BY.float(), targets_BY) for out in outputs]
    return sum(losses[1:], losses[0]) / len(losses)


def divergence_of(outputs: Sequence[Output]) -> Tensor:
    """The divergence of each view's Gaussian from N(0, I), mean over views."""
    divergences = [divergence(*_gaussian(out)) for out in outputs]
    return sum(divergences[1:], divergences[0]) / len(divergences)


def divergence(mean_BK: Tensor, deviation_BK: Tensor) -> Tensor:
    """KL divergence of N(mean, deviation^2) from N(0, I), nats: sum over K, mean over clips."""
    mean_BK, deviation_BK = mean_BK.float(), deviation_BK.float()
    each_BK = mean_BK.square() + deviation_BK.square() - 1 - 2 * deviation_BK.log()
    return 0.5 * each_BK.sum(dim=1).mean()


def jensen_shannon(logits: Sequence[Tensor]) -> Tensor:
    """Jensen-Shannon divergence between V class distributions, mean over clips: 0 to ln V nats.

    Computed from logarithms, so that certain answers give no NaN; all views get a gradient.
    """
    logs_VBY = torch.stack([each.float().log_softmax(dim=1) for each in logits])
    mixture_BY = logs_VBY.logsumexp(dim=0) - math.log(len(logits))
    each_VBY = logs_VBY.exp() * (logs_VBY - mixture_BY)
    return each_VBY.sum(dim=2).mean()


def distillation(
    logits_BY: Tensor, teachers: Sequence[Tensor], temperature: float, over_classes: bool
) -> Tensor:
    """T^2 KL(teachers || student) at temperature T, nats: a mean over clips, over classes, too, if
    asked. `teachers` are logits (B, Y), whose probabilities are averaged.
    """
    taught = [(each.float() / temperature).softmax(dim=1) for each in teachers]
    taught_BY = sum(taught[1:], taught[0]) / len(taught)
    said_BY = (logits_BY.float() / temperature).log_softmax(dim=1)
    total = functional.kl_div(said_BY, taught_BY, reduction="sum")
    return temperature**2 * total / (taught_BY.numel() if over_classes else len(taught_BY))


def _gaussian(output: Output) -> tuple[Tensor, Tensor]:
    assert output.mean_BK is not None, "this network has no bottleneck"
    assert output.deviation_BK is not None
    return output.mean_BK, output.deviation_BK
