"""Objectives: what a trial minimizes.

Conventions: each part is a mean over clips, in nats, already weighted, so the parts sum to what is
minimized. Targets are class probabilities, so that mixed clips are not a special case. A new
objective is a function and a line in OBJECTIVES.
"""

# B clips, Y classes

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from scaling import config
from scaling.networks.cp_resnet import Output


class Objective(NamedTuple):
    """One thing to minimize."""

    views: int  # augmented copies of each clip that it compares
    head: str  # what the network ends in
    parts: Callable[[Sequence[Output], Tensor, config.Objective, int], dict[str, Tensor]]


def cross_entropy(
    outputs: Sequence[Output],
    targets_BY: Tensor,
    settings: config.Objective,  # noqa: ARG001
    epoch: int,  # noqa: ARG001
) -> dict[str, Tensor]:
    """Cross-entropy against class probabilities, mean over views and clips."""
    losses = [functional.cross_entropy(out.logits_BY.float(), targets_BY) for out in outputs]
    return {"cross_entropy": sum(losses[1:], losses[0]) / len(losses)}


OBJECTIVES: dict[str, Objective] = {
    "cross_entropy": Objective(views=1, head="linear", parts=cross_entropy),
}
