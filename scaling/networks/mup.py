"""Maximal update parametrization: how rates and first weights follow the width, layer by layer.

A rate that is best for a network of `base_width` is then about best for any width. Source: Yang et
al. 2022 (Tensor Programs V), Tables 3 and 8, for Adam: a layer whose inputs grow with the width
learns at 1 / growth of the rate; the last layer, whose outputs do not grow, begins smaller by the
root of it, too. Biases, normalization, first layers and depthwise ones, whose fan-in stays, learn
at the rate itself. At the base width both parametrizations are one. No torch.
Contents: LayerScale, `scales`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scaling.networks.cost import Layer

ADAM = ("adam", "adamw")  # optimizers for which the rules below are


class LayerScale(NamedTuple):
    """What a layer's weights are multiplied by."""

    rate: float
    first: float  # the weights that it begins with


def scales(layers: Sequence[Layer], base: Sequence[Layer]) -> Mapping[str, LayerScale]:
    """The scales of layers beside the same ones at the base width, by name."""
    found = {}
    for layer, at_base in zip(layers, base, strict=True):
        assert layer.name == at_base.name, "width changes no network's layers but their sizes"
        growth = (layer.inputs / layer.groups) / (at_base.inputs / at_base.groups)
        last = layer.outputs == at_base.outputs
        found[layer.name] = LayerScale(1 / growth, 1 / math.sqrt(growth) if last else 1.0)
    return found
