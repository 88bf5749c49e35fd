"""VGGish, which the few-data paper transfers from: six 3x3 convolutions and three dense layers.

The last of these is the embedding; one more dense layer answers with the classes.

Sources: Hershey et al. 2017; Pons et al. 2019 and their public code (facts:
vib_few_data_consistency, sections B3, B6 and E). 64, 128, 256, 256, 512 and 512 filters are W, 2W,
4W, 4W, 8W and 8W, the 4096, 4096 and 128 units 64W, 64W and 2W, with W = 64 the public one's. The
last map is flattened with the frame outermost and the channel innermost, as TensorFlow does:
scaling.networks.vggish_weights reads public weights into it, which were trained on 64 mel bands x
96 frames.
"""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), D units of a
# dense layer, E of the embedding, Y classes

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.chain import TENSORFLOW, convolution
from scaling.networks.cost import Layer, Sides, last_map
from scaling.networks.kernels import Dense, initialize
from scaling.networks.output import Output
from scaling.networks.stochastic import SpatialDropout
from scaling.settings import Network

FILTERS = ((1, 2), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))  # times W, and the pooling behind
UNITS = {"dense1": 64, "dense2": 64, "embedding": 2}  # times W


def layers(network: Network, classes: int, channels: int = 1) -> list[Layer]:
    """Its layers in the order of the forward pass, for scaling.networks.cost."""
    found: list[Layer] = []
    for index, (filters, pool) in enumerate(FILTERS, start=1):
        inputs, outputs = found[-1].outputs if found else channels, filters * network.width
        convolved = Layer(f"conv{index}", inputs, outputs, (3, 3), padding="same", pool=pool)
        found.append(convolved._replace(bias=True, norm=False))
    sizes = {name: units * network.width for name, units in UNITS.items()} | {"dense": classes}
    for name, outputs in sizes.items():
        inputs = found[-1].outputs
        found.append(Layer(name, inputs, outputs, bias=True, norm=False, reads="map"))
    return found


class VGGish(nn.Module):
    """Features (B, channels, F, N) to an embedding (B, E) and from it to logits (B, Y)."""

    def __init__(self, network: Network, classes: int, channels: int, size: Sides) -> None:
        super().__init__()
        listed = layers(network, classes, channels)
        self.linear = network.linear_embedding
        self.last_map = last_map(listed, size)
        self.stages = [layer for layer in listed if layer.reads == "pixels"]
        self.blocks = nn.ModuleDict()
        self.dropouts = nn.ModuleDict()
        for stage in self.stages:
            self.blocks[stage.name] = convolution(stage, network.damping)
            self.dropouts[stage.name] = SpatialDropout(network.dropout)
        *hidden, last = listed[len(self.stages) :]
        pixels = math.prod(self.last_map)
        for layer in hidden:
            self.blocks[layer.name] = Dense(layer.inputs * pixels, layer.outputs)
            pixels = 1
        self.dense = Dense(last.inputs, last.outputs)

    def forward(self, x_BCFN: Tensor) -> Output:
        for stage in self.stages:
            x_BCFN = functional.relu(self.blocks[stage.name](x_BCFN))
            x_BCFN = self.dropouts[stage.name](x_BCFN)
            if stage.pool != 1:
                x_BCFN = functional.max_pool2d(x_BCFN, stage.window)
        read_BD = x_BCFN.permute(0, 3, 2, 1).flatten(1)
        for name in ("dense1", "dense2"):
            read_BD = functional.relu(self.blocks[name](read_BD))
        embedding_BE = self.blocks["embedding"](read_BD)
        if not self.linear:
            embedding_BE = functional.relu(embedding_BE)
        return Output(self.dense(embedding_BE), x_BCFN, embedding_BE=embedding_BE)


def build(
    network: Network,
    classes: int,
    channels: int,
    size: Sides | None,
    generator: torch.Generator,
) -> VGGish:
    """A network initialized from `generator`: equal settings and seeds give equal weights, damped
    or not. Raises ValueError when the input's `size` is too small.
    """
    assert size is not None, "a dense layer on the whole map needs the size of the input"
    model = VGGish(network, classes, channels, size)
    initialize(model, generator, TENSORFLOW.initialization)
    return model
