"""Densities: how many weights each layer keeps, of a number that all layers keep together.

Sources: Golubeva et al. 2021 (largest); Mocanu et al. 2018 (er) and Evci et al. 2020 (erk), with
the densities of arXiv 1911.11134: of a layer with kernels kh x kw, (in + out) / (in out) and (in +
out + kh + kw) / (in out kh kw), times one factor. A convolution in groups counts as so many layers
side by side, in and out being those of one group. Rounding: no layer keeps more than it has or
less than one, for which the factor is solved again; quotas are rounded down, and the weights left
over go to the largest remainders, of equals to the first by name. Contents: `counts`, `masks`,
`quotas`.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from scaling.pruning import masks as masking
from scaling.pruning.masks import Streams
from scaling.pruning.pruning import Density


def masks(
    density: Density,
    weights: Mapping[str, Tensor],
    groups: Mapping[str, int],
    keep: int,
    streams: Streams,
) -> dict[str, Tensor]:
    """Masks that keep `counts`, drawn uniformly in each layer from its own stream."""
    shapes = {name: weight.shape for name, weight in weights.items()}
    return masking.drawn(shapes, counts(density, weights, groups, keep), streams)


def counts(
    density: Density, weights: Mapping[str, Tensor], groups: Mapping[str, int], keep: int
) -> dict[str, int]:
    """How many weights each layer keeps, `keep` in all. Weights are (outputs, inputs of a group,
    ...); `groups` are those of convolutions, by layer.

    largest: as `masks.allocate`. uniform: the same share of each layer. er and erk: see above.
    magnitude: as many as are among the `keep` of largest magnitude in all layers. Raises ValueError
    when there are fewer than `keep` weights, or more layers.
    """
    sizes = {name: weight.numel() for name, weight in weights.items()}
    if density == "largest":
        return masking.allocate(sizes, keep)
    masking.check(sizes, keep)
    if density == "magnitude":
        alive = {name: torch.ones_like(each, dtype=torch.bool) for name, each in weights.items()}
        scores = {name: weight.detach().abs() for name, weight in weights.items()}
        left = masking.magnitude(scores, alive, keep, guard=1.0)
        return {name: int(mask.sum()) for name, mask in left.items()}
    relative = {
        name: _relative(density, tuple(weight.shape), groups.get(name, 1))
        for name, weight in weights.items()
    }
    return _rounded(quotas(relative, sizes, keep), keep)


def _relative(density: Density, shape: tuple[int, ...], groups: int) -> Fraction:
    """A layer's density but for the factor that all layers share."""
    if density == "uniform":
        return Fraction(1)
    outputs, inputs, *kernel = shape
    outputs //= groups
    if density == "er":
        return Fraction(inputs + outputs, inputs * outputs)
    return Fraction(inputs + outputs + sum(kernel), inputs * outputs * math.prod(kernel))


def quotas(
    relative: Mapping[str, Fraction], sizes: Mapping[str, int], keep: int
) -> dict[str, Fraction]:
    """What each layer is to keep before rounding: its density times its size, at least 1 and at
    most its size, with the factor that makes `keep` of their sum.
    """

    def under(factor: Fraction) -> dict[str, Fraction]:
        return {
            name: min(max(factor * relative[name] * size, Fraction(1)), Fraction(size))
            for name, size in sizes.items()
        }

    def total(factor: Fraction) -> Any:  # a Fraction; bisect wants what compares with an int
        return sum(under(factor).values(), Fraction())

    # the sum is a line between the factors at which a layer leaves one weight or becomes dense
    empty = {1 / (relative[name] * size) for name, size in sizes.items()}
    bends = sorted(empty | {1 / each for each in relative.values()})
    place = bisect_left(bends, keep, key=total)
    if not place:
        return under(bends[0])
    low, high = bends[place - 1], bends[place]
    share = (keep - total(low)) / (total(high) - total(low))
    return under(low + share * (high - low))


def _rounded(wanted: Mapping[str, Fraction], keep: int) -> dict[str, int]:
    found = {name: math.floor(quota) for name, quota in wanted.items()}
    order = sorted(wanted, key=lambda name: (found[name] - wanted[name], name))
    for name in order[: keep - sum(found.values())]:
        found[name] += 1
    return found
