"""What several test files ask of epochs and of networks."""

# B clips, C channels

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scaling.networks.cost import Cost
from scaling.training.epoch import Epoch


def timeless(epochs: Iterator[Epoch]) -> list[object]:
    """Everything an epoch recorded but what a clock measured."""
    found: list[object] = []
    for epoch in epochs:
        rows = [row for row in epoch.metrics if not row.metric.endswith("_seconds")]
        heard = [row._replace(logits=row.logits.tolist()) for row in epoch.predictions]
        found.append((epoch.number, rows, heard))
    return found


def counted(model: nn.Module, cost: Cost, size: tuple[int, int], channels: int = 1) -> Any:
    """What a network returns for one clip (1, C, *size), once its cost is what torch's own counters
    say of the module that is trained.
    """
    assert sum(p.numel() for p in model.parameters()) == cost.parameters
    weighed = {
        name: module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    assert weighed == {part.name: part.weights for part in cost.parts}
    with FlopCounterMode(display=False) as counter:
        output = model.eval()(torch.randn(1, channels, *size))
    assert counter.get_total_flops() == 2 * cost.macs
    return output
