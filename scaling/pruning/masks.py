"""Pruning: which weights are cut, as boolean masks in the shape of the weights; true stays.

Pure functions from named tensors to masks: no network, no file, no trial. Sources: static random
pruning of the largest layers first, Golubeva et al. 2021; global magnitude pruning during training
with a guard against layer collapse, Koutini et al. 2021 (facts: cp_resnet, section 5). Conventions:
counts are whole weights and are met exactly; a weight's place in its layer is its index in
row-major order, however the tensor lies in memory. Contents: `check`, for plans; `allocate`,
`static`, `drawn` and `initialize`, before training; `protected`, `magnitude` and
`lowest`, during it.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Streams = Callable[[str], np.random.Generator]  # a layer's name -> a fresh generator of its own


def check(sizes: Mapping[str, int], keep: int, guard: float = 1.0) -> None:
    """Raise ValueError unless layers of these sizes can be cut down to `keep` weights: for plans,
    before anything trains. Static masks know no guard: 1.
    """
    _possible(sizes, keep, {name: protected(size, guard) for name, size in sizes.items()}, guard)


def allocate(sizes: Mapping[str, int], keep: int) -> dict[str, int]:
    """How many weights each layer keeps: the largest are cut to a common size, the others stay
    dense.

    The common size is the smallest that leaves `keep` weights or more; what is then still too many
    goes from the largest layer (of equals: the first by name), and on to the next once that is down
    to one weight. Source: Golubeva et al.'s code, which refuses where every layer has to be cut.
    Raises ValueError when there are fewer than `keep` weights, or more layers.
    """
    check(sizes, keep)

    def kept(cap: int) -> int:
        return sum(min(size, cap) for size in sizes.values())

    cap = bisect_left(range(max(sizes.values())), keep, key=kept)
    counts = {name: min(size, cap) for name, size in sizes.items()}
    excess = kept(cap) - keep
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        removed = min(excess, counts[name] - 1)
        counts[name] -= removed
        excess -= removed
    return counts


def static(shapes: Mapping[str, Sequence[int]], keep: int, streams: Streams) -> dict[str, Tensor]:
    """Masks that keep `allocate`'s counts. Raises ValueError as `allocate` does."""
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    return drawn(shapes, allocate(sizes, keep), streams)


def drawn(
    shapes: Mapping[str, Sequence[int]], counts: Mapping[str, int], streams: Streams
) -> dict[str, Tensor]:
    """Masks that keep these counts, drawn uniformly in each layer from its own stream.

    Neither the order of the layers nor a layer that stays dense changes what the others draw.
    """
    masks = {}
    for name, count in counts.items():
        size = math.prod(shapes[name])
        mask = torch.ones(size, dtype=torch.bool)
        if count < size:
            mask.zero_()
            places = streams(name).choice(size, count, replace=False, shuffle=False)
            mask[torch.from_numpy(places)] = True
        masks[name] = mask.reshape(tuple(shapes[name]))
    return masks


@torch.no_grad()
def initialize(
    how: Literal["keep", "rescale", "uniform"],
    weights: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    streams: Streams,
) -> dict[str, Tensor]:
    """New weights where the masks are true, zero elsewhere. Weights are (outputs, inputs, ...).

    keep: as they were drawn. rescale: divided by the square root of the layer's connectivity (the
    share of its weights that stays), so that a unit's input keeps its variance. uniform: as in
    Golubeva et al.'s code, layers that lost weights are drawn again from U(-b, b) with b = 1 /
    sqrt(fan_in x connectivity), also where they were zero. Draw from other streams than the masks.
    """
    found = {}
    for name, weight in weights.items():
        mask = masks[name].to(weight.device)
        kept = int(torch.count_nonzero(mask))
        new = weight.masked_fill(~mask, 0)
        if 0 < kept < mask.numel():
            connectivity = kept / mask.numel()
            if how == "rescale":
                new /= math.sqrt(connectivity)
            elif how == "uniform":
                bound = 1 / math.sqrt(weight[0].numel() * connectivity)
                drawn = torch.from_numpy(streams(name).uniform(-bound, bound, kept))
                new[mask] = drawn.to(new)
        found[name] = new
    return found


@torch.no_grad()
def magnitude(
    scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], keep: int, guard: float
) -> dict[str, Tensor]:
    """The masks without their lowest scores: exactly `keep` weights stay, and none comes back.

    Weights are cut across all layers in the order of (score, layer, place in the layer). A layer
    whose sparsity the next cut would lift above `guard`, or which it would empty, is passed over:
    the others give what it cannot. Layers follow each other as in `scores`; a score that is no
    number counts as infinite. Returns masks on the scores' devices. Raises ValueError where the
    masks hold fewer than `keep` weights, or the guard leaves more.
    """
    assert scores.keys() == masks.keys()
    alive = {name: masks[name].to(score.device).reshape(-1) for name, score in scores.items()}
    held = {name: int(torch.count_nonzero(mask)) for name, mask in alive.items()}
    floors = {n: min(held[n], protected(mask.numel(), guard)) for n, mask in alive.items()}
    _possible(held, keep, floors, guard)

    cuttable, pool = {}, []
    for name, score in scores.items():
        values = score.reshape(-1)[alive[name]].nan_to_num(nan=math.inf, posinf=math.inf)
        cuttable[name] = lowest(values, held[name] - floors[name])
        pool.append(values[cuttable[name]])
    cut = lowest(torch.cat(pool), sum(held.values()) - keep)

    found = {}
    parts = torch.split(cut, [len(values) for values in pool])
    for (name, score), part in zip(scores.items(), parts, strict=True):
        lost = cuttable[name].masked_scatter(cuttable[name], part)
        found[name] = alive[name].masked_scatter(alive[name], ~lost).reshape(score.shape)
    return found


def lowest(values: Tensor, count: int) -> Tensor:
    """True at the `count` lowest of (N,) values without NaN; of equals, at the first."""
    if count == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    threshold = values.kthvalue(count).values
    lowest = values < threshold
    ties = (values == threshold).nonzero()[:, 0]
    lowest[ties[: count - int(torch.count_nonzero(lowest))]] = True
    return lowest


def protected(size: int, guard: float) -> int:
    """How many of a layer's weights are never cut: ceil((1 - guard) size), at least one."""
    # as a fraction of what was written: in floating point, (1 - 0.99) x 100 is more than 1
    return max(1, math.ceil((1 - Fraction(str(guard))) * size))


def _possible(held: Mapping[str, int], keep: int, floors: Mapping[str, int], guard: float) -> None:
    """Raise ValueError unless `keep` of the weights held can stay while all of `floors` do."""
    total, fewest = sum(held.values()), sum(floors.values())
    if keep > total:
        raise ValueError(
            f"cannot keep {keep} weights of {total}: pruning only removes weights: lower the target"
        )
    if keep < fewest:
        emptied = f"layer {max(held, key=held.__getitem__)} would be left empty"
        why = f"pruning.guard={guard} protects more" if guard < 1 else emptied
        raise ValueError(
            f"cannot keep only {keep} of {total} weights: {why}, the target must be at least "
            f"{fewest}"
        )
