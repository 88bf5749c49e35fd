"""Objectives: what a trial minimizes. Each is (views, loss), and OBJECTIVES names them.

The training loop knows no objective by name: it makes as many views of each clip as asked, hands
over the network's outputs with the targets, and adds up the parts. What the network ends in
follows from the objective's settings (scaling.networks.of_trial).
Parts sum to what is minimized; beside them stands what is only measured. Targets are class
probabilities, so that mixed clips are not a special case. A new objective is a function and a line
in OBJECTIVES.
"""

# B clips, Y classes, K dimensions of a bottleneck, V views of a clip

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from scaling import settings
from scaling.networks.output import Output


class Loss(NamedTuple):
    """What one step's outputs amount to."""

    parts: dict[str, Tensor]  # minimized: their sum
    measured: dict[str, Tensor]  # recorded, not minimized


class Objective(NamedTuple):
    """One thing to minimize."""

    views: int  # copies of each clip that it compares: as recorded, then transformed ones
    loss: Callable[[Sequence[Output], Tensor, settings.Objective, int], Loss]


def cross_entropy(
    outputs: Sequence[Output],
    targets_BY: Tensor,
    settings: settings.Objective,  # noqa: ARG001
    epoch: int,  # noqa: ARG001
) -> Loss:
    """Cross-entropy against class probabilities, mean over views and clips."""
    return Loss({"cross_entropy": _cross_entropy(outputs, targets_BY)}, {})


def bottleneck(
    outputs: Sequence[Output],
    targets_BY: Tensor,
    settings: settings.Objective,
    epoch: int,  # noqa: ARG001
) -> Loss:
    """Variational information bottleneck: cross-entropy + beta x divergence from N(0, I).

    Source: Alemi et al. 2017; Hu et al. 2021, Eq. 3 (beta weighs the divergence only; nats).
    """
    divergences = [divergence(*_gaussian(out)) for out in outputs]
    mean = sum(divergences[1:], divergences[0]) / len(divergences)
    parts = {
        "cross_entropy": _cross_entropy(outputs, targets_BY),
        "weighted_divergence": settings.beta * mean,
    }
    return Loss(parts, {"divergence": mean})


def consistency(
    outputs: Sequence[Output], targets_BY: Tensor, settings: settings.Objective, epoch: int
) -> Loss:
    """Cross-entropy of all views + weight x Jensen-Shannon divergence between them.

    The weight grows linearly from 0 in epoch 0 to its whole in epoch `ramp`; at weight 0 this is
    batched data augmentation. Source: Iqbal et al. 2021 (weight 5, ramp 10).
    """
    disagreement = jensen_shannon([out.logits_BY for out in outputs])
    parts = {"cross_entropy": _cross_entropy(outputs, targets_BY)}
    if settings.weight > 0:
        grown = min(1.0, epoch / settings.ramp) if settings.ramp else 1.0
        parts["weighted_disagreement"] = settings.weight * grown * disagreement
    return Loss(parts, {"disagreement": disagreement})


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


def _cross_entropy(outputs: Sequence[Output], targets_BY: Tensor) -> Tensor:
    losses = [functional.cross_entropy(out.logits_BY.float(), targets_BY) for out in outputs]
    return sum(losses[1:], losses[0]) / len(losses)


def _gaussian(output: Output) -> tuple[Tensor, Tensor]:
    assert output.mean_BK is not None, "this network has no bottleneck"
    assert output.deviation_BK is not None
    return output.mean_BK, output.deviation_BK


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": Objective(views=1, loss=cross_entropy),
    "bottleneck": Objective(views=1, loss=bottleneck),
    "consistency": Objective(views=3, loss=consistency),
    "prototypes": Objective(views=1, loss=cross_entropy),  # of distances: the head makes them
}
