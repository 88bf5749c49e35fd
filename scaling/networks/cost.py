"""What a network costs: parameters, weights, multiply-adds, receptive field, by layer and in total.

Everything is arithmetic over a network's list of layers; nothing is built. Source: facts,
cp_resnet, sections 1.3 and 1.4. Conventions: sizes are (mel bands, frames), rows and columns;
multiply-adds are those of convolutions, dense layers and attention, for one clip's forward pass;
beside them stands the count of the DCASE challenge's tool (NeSsi, by torchinfo), which adds biases
and, once a clip, what batch normalization learns, and is not known of attention; the receptive
field is that of one feature of the last map, before it is pooled over or flattened, in input
pixels.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

Sides = tuple[int, int]  # along frequency and along time
Padding = Sides | Literal["same"]  # zeros on each side; same: as many as keep the map's size


def zeros(kernel: Sides, padding: Padding) -> tuple[Sides, Sides]:
    """Zeros before and after the rows, and before and after the columns; of an odd number, the
    larger half is behind.
    """
    if padding == "same":
        rows, columns = kernel
        return ((rows - 1) // 2, rows // 2), ((columns - 1) // 2, columns // 2)
    rows, columns = padding
    return (rows, rows), (columns, columns)


def dilated(kernel: Sides, dilation: Sides) -> Sides:
    """Rows and columns that a kernel spans."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


class Layer(NamedTuple):
    """One convolution with its batch normalization and the max pooling after it; or, by what it
    `reads`, a dense layer. The activation between costs nothing and is the network's.
    """

    name: str
    inputs: int  # channels; of a dense layer too
    outputs: int
    kernel: Sides = (1, 1)
    stride: int | Sides = 1
    padding: Padding = (0, 0)
    bias: bool = False
    norm: bool = True
    pool: int | Sides = 1  # side or sides of the pooling window and its stride; 1: none
    # dense: the map's mean, or all of the map; what another dense layer puts out is a map of 1 x 1
    reads: Literal["pixels", "mean", "map"] = "pixels"
    shortcut: bool = False  # runs beside the layers of its block: same map, no larger field
    # batch normalization of what it reads: for each channel, or for each column
    input_norm: Literal["none", "channel", "time"] = "none"
    joins: str = ""  # an earlier layer, or the end of its block: their maps are added up
    # of a dense layer that reads all of the map: which of its axes is the last of the flat one
    innermost: Literal["pixel", "channel"] = "pixel"
    groups: int = 1  # into which channels fall, each with kernels of its own
    dilation: Sides = (1, 1)  # pixels from one tap to the next
    bands: int = 1  # sub-bands of its rows, each normalized apart
    after: str = ""  # whose map it reads, where that is not the layer before it
    pooled: int = 1  # side of the max pooling of that map, before it is read
    averaged: Literal["none", "rows", "columns"] = "none"  # the axis of that map which is averaged
    # what follows it, clip by clip: global response normalization (2 numbers) or residual
    clip_norm: Literal["none", "response", "residual"] = "none"
    tokens: int = 0  # that stand beside the pixels of its map and go through it, too
    attends: bool = False  # what it puts out is compared, pixel by pixel, and added up by weight
    learned: int = 0  # other numbers that learn there, as positions

    @property
    def window(self) -> Sides:
        """Rows and columns of the pooling window, and its steps."""
        return (self.pool, self.pool) if isinstance(self.pool, int) else self.pool

    @property
    def steps(self) -> Sides:
        """Its stride along rows and along columns."""
        return (self.stride, self.stride) if isinstance(self.stride, int) else self.stride

    @property
    def extent(self) -> Sides:
        """Rows and columns that its kernel spans."""
        return dilated(self.kernel, self.dilation)

    @property
    def depthwise(self) -> bool:
        """Whether each of its channels is made of the same channel of its input."""
        return 1 < self.groups == self.inputs == self.outputs

    @property
    def weights(self) -> int:
        """Entries of the kernel; of a dense layer that reads all of the map, for each pixel."""
        return self.inputs // self.groups * self.outputs * math.prod(self.kernel)


class LayerCost(NamedTuple):
    """What one layer costs."""

    name: str
    parameters: int
    weights: int
    macs: int
    map: Sides  # size of what it puts out, after pooling; a dense layer puts out one pixel
    dcase_macs: int | None = 0  # as the DCASE challenge counts; None: not known


class Cost(NamedTuple):
    """What a whole network costs; `parts` sum to the totals."""

    parameters: int
    weights: int
    macs: int
    receptive_field: int | None  # its larger side; None: not known, or any pixel of a clip
    parts: tuple[LayerCost, ...]

    @property
    def dcase_macs(self) -> int | None:
        """Multiply-adds as the DCASE challenge counts them; None: not known."""
        each = [part.dcase_macs for part in self.parts if part.dcase_macs is not None]
        return sum(each) if len(each) == len(self.parts) else None


class Axis(NamedTuple):
    """Where features look along one axis: feature i sees `side` pixels, centred on pixel start + i
    * step.
    """

    side: int
    step: int
    start: float

    def centre(self, index: int) -> float:
        """The pixel in the middle of what feature `index` sees; of an even side, between two."""
        return self.start + index * self.step

    def interval(self, index: int, length: int) -> tuple[int, int]:
        """First and last pixel (inclusive) that feature `index` sees on an axis of `length`
        pixels.
        """
        centre, reach = self.centre(index), (self.side - 1) / 2
        return max(0, round(centre - reach)), min(length - 1, round(centre + reach))


class Field(NamedTuple):
    """Where features look."""

    rows: Axis
    columns: Axis


def field(layers: Sequence[Layer]) -> Field:
    """The maximum receptive field of one feature of the last map."""
    return Field(_axis(layers, 0), _axis(layers, 1))


def _axis(layers: Sequence[Layer], axis: int) -> Axis:
    """The recurrence r += (k - 1) j, j *= stride."""
    side, step, start = 1, 1, 0.0
    for layer in layers:
        if layer.shortcut:
            continue
        kernel, (before, _) = layer.extent[axis], zeros(layer.extent, layer.padding)[axis]
        for window, pad, stride in (
            (layer.pooled, 0, layer.pooled),
            (kernel, before, layer.steps[axis]),
            (layer.window[axis], 0, layer.window[axis]),
        ):
            side += (window - 1) * step
            start += ((window - 1) / 2 - pad) * step
            step *= stride
    return Axis(side, step, start)


def local(layers: Sequence[Layer]) -> bool:
    """Whether a feature of the last map sees no further than `field`: nothing before it is averaged
    over an axis or the map, attends to all of it, or is normalized clip by clip.
    """
    if any(a.reads != "pixels" and b.reads == "pixels" for a, b in pairwise(layers)):
        return False
    return not any(
        each.averaged != "none" or each.clip_norm != "none" or each.attends for each in layers
    )


def any_size(layers: Sequence[Layer]) -> bool:
    """Whether a network of these layers takes inputs of any size, once it is built."""
    return not any(layer.reads == "map" or layer.input_norm == "time" for layer in layers)


def last_map(layers: Sequence[Layer], size: Sides) -> Sides:
    """Size of the last map, before it is pooled over or flattened. Raises as `count`."""
    return count([layer for layer in layers if layer.reads == "pixels"], size).parts[-1].map


def count(layers: Sequence[Layer], size: Sides) -> Cost:
    """The cost of these layers on an input of this size. Raises ValueError when the input is too
    small for them.
    """
    parts: list[LayerCost] = []
    maps: dict[str, Sides] = {"": size}
    last = ""
    for layer in layers:
        parts.append(_part(layer, maps[layer.after or last]))
        last, maps[layer.name] = layer.name, parts[-1].map
        rows, columns = parts[-1].map
        if rows % layer.bands:
            raise ValueError(
                f"an input of {size[0]} mel bands x {size[1]} frames has {rows} rows at "
                f"{layer.name}, which do not part into {layer.bands} sub-bands: another "
                "sound.features.mels, or network.bands=1"
            )
        if min(rows, columns) < 1:
            raise ValueError(
                f"an input of {size[0]} mel bands x {size[1]} frames is too small for this network "
                "(nothing is left "
                f"at {layer.name}): more bands, longer clips or a shorter hop"
            )
    return of_parts(parts, max(axis.side for axis in field(layers)) if local(layers) else None)


def of_parts(parts: Sequence[LayerCost], receptive_field: int | None) -> Cost:
    """The cost of these parts together."""
    return Cost(
        parameters=sum(part.parameters for part in parts),
        weights=sum(part.weights for part in parts),
        macs=sum(part.macs for part in parts),
        receptive_field=receptive_field,
        parts=tuple(parts),
    )


def _part(layer: Layer, size: Sides) -> LayerCost:
    """One layer on a map of this size."""
    weights, at, pooled = layer.weights, (1, 1), (1, 1)
    size = size[0] // layer.pooled, size[1] // layer.pooled
    if layer.averaged != "none":
        size = (1, size[1]) if layer.averaged == "rows" else (size[0], 1)
    if layer.reads == "map":
        weights *= math.prod(size)
    elif layer.reads == "pixels":
        around = zeros(layer.extent, layer.padding)
        rows, columns = (
            (length + sum(added) - kernel) // stride + 1
            for length, added, kernel, stride in zip(
                size, around, layer.extent, layer.steps, strict=True
            )
        )
        at, pooled = (rows, columns), (rows // layer.window[0], columns // layer.window[1])
    normalized = {"none": 0, "channel": layer.inputs, "time": size[1]}[layer.input_norm]
    bias = layer.outputs * layer.bias
    learned = 2 * layer.outputs * layer.norm * layer.bands + 2 * normalized + layer.learned
    pixels = math.prod(at) + layer.tokens
    compared = 2 * pixels**2 * layer.inputs * layer.attends  # products of queries, keys and values
    return LayerCost(
        layer.name,
        weights + bias + learned + 2 * (layer.clip_norm == "response"),
        weights,
        weights * pixels + compared,
        pooled,
        None if layer.attends else (weights + bias) * pixels + learned,
    )
