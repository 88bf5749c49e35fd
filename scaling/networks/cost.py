"""What a network costs: parameters, weights, multiply-adds, receptive field, by layer and in total.

Everything is arithmetic over a network's list of layers; nothing is built. Source: facts,
cp_resnet, sections 1.3 and 1.4. Conventions: sizes are (mel bands, frames); multiply-adds are those
of convolutions, for one clip's forward pass; the receptive field is that of one feature of the last
map before pooling over the map, in input pixels, the same for both axes.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Layer(NamedTuple):
    """One convolution with its batch normalization and the max pooling behind it."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    pool: int = 1  # side of the pooling window and its stride; 1: none
    shortcut: bool = False  # runs beside the layers of its block: same map, no larger field

    @property
    def padding(self) -> int:
        """Rows and columns of zeros on each side."""
        return self.kernel // 3

    @property
    def weights(self) -> int:
        """Entries of the kernel."""
        return self.inputs * self.outputs * self.kernel**2


class Part(NamedTuple):
    """What one layer costs."""

    name: str
    parameters: int
    weights: int
    macs: int
    map: tuple[int, int]  # size of what it puts out, after pooling


class Cost(NamedTuple):
    """What a whole network costs; `parts` sum to the totals."""

    parameters: int
    weights: int
    macs: int
    receptive_field: int
    parts: tuple[Part, ...]


class Field(NamedTuple):
    """Where features look: feature i of an axis sees `side` pixels, centred on pixel start + i *
    step.
    """

    side: int
    step: int
    start: float

    def interval(self, index: int, length: int) -> tuple[int, int]:
        """First and last pixel (inclusive) that feature `index` sees on an axis of `length`
        pixels.
        """
        centre, reach = self.start + index * self.step, (self.side - 1) / 2
        return max(0, round(centre - reach)), min(length - 1, round(centre + reach))


def field(layers: Sequence[Layer]) -> Field:
    """The maximum receptive field of one feature, by the recurrence r += (k - 1) j, j *= stride."""
    side, step, start = 1, 1, 0.0
    for layer in layers:
        if layer.shortcut:
            continue
        side += (layer.kernel - 1) * step
        start += ((layer.kernel - 1) / 2 - layer.padding) * step
        step *= layer.stride
        side += (layer.pool - 1) * step
        start += (layer.pool - 1) / 2 * step
        step *= layer.pool
    return Field(side, step, start)


def count(layers: Sequence[Layer], size: tuple[int, int]) -> Cost:
    """The cost of these layers on an input of this size. Raises ValueError when the input is too
    small for them.
    """
    parts, current = [], size
    for layer in layers:
        at = tuple((s + 2 * layer.padding - layer.kernel) // layer.stride + 1 for s in current)
        pooled = tuple(s // layer.pool for s in at)
        if min(pooled) < 1:
            raise ValueError(
                f"an input of {size[0]} mel bands x {size[1]} frames is too small for this network "
                "(nothing is left "
                f"at {layer.name}): more bands, longer clips or a shorter hop"
            )
        macs = layer.weights * at[0] * at[1]
        current = (pooled[0], pooled[1])
        parts.append(
            Part(layer.name, layer.weights + 2 * layer.outputs, layer.weights, macs, current)
        )
    return Cost(
        parameters=sum(part.parameters for part in parts),
        weights=sum(part.weights for part in parts),
        macs=sum(part.macs for part in parts),
        receptive_field=field(layers).side,
        parts=tuple(parts),
    )
