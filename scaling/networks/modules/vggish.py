"""VGGish built: its last map flattened by frame, mel band and channel, as TensorFlow does."""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), D units of a
# dense layer, E of the embedding, Y classes

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer, Sides, last_map
from scaling.networks.modules.chain import convolution
from scaling.networks.modules.kernels import Dense
from scaling.networks.modules.output import Output
from scaling.networks.modules.stochastic import SpatialDropout


class VGGishModule(nn.Module):
    """Features (B, channels, F, N) to an embedding (B, E) and from it to logits (B, Y)."""

    def __init__(
        self, layers: Sequence[Layer], damping: float, dropout: float, linear: bool, size: Sides
    ) -> None:
        super().__init__()
        self.linear = linear
        self.last_map = last_map(layers, size)
        self.stages = [layer for layer in layers if layer.reads == "pixels"]
        self.dropouts = nn.ModuleDict()
        for stage in self.stages:
            self.add_module(stage.name, convolution(stage, damping))
            self.dropouts[stage.name] = SpatialDropout(dropout)
        *hidden, last = layers[len(self.stages) :]
        pixels = math.prod(self.last_map)
        for layer in hidden:
            self.add_module(layer.name, Dense(layer.inputs * pixels, layer.outputs))
            pixels = 1
        self.dense = Dense(last.inputs, last.outputs)

    def forward(self, x_BCFN: Tensor) -> Output:
        for stage in self.stages:
            x_BCFN = functional.relu(getattr(self, stage.name)(x_BCFN))
            x_BCFN = self.dropouts[stage.name](x_BCFN)
            if stage.pool != 1:
                x_BCFN = functional.max_pool2d(x_BCFN, stage.window)
        read_BD = x_BCFN.permute(0, 3, 2, 1).flatten(1)
        for name in ("dense1", "dense2"):
            read_BD = functional.relu(getattr(self, name)(read_BD))
        embedding_BE = getattr(self, "embedding")(read_BD)  # noqa: B009  its type is not declared
        if not self.linear:
            embedding_BE = functional.relu(embedding_BE)
        return Output(self.answer(embedding_BE), x_BCFN, embedding_BE=embedding_BE)

    def answer(self, embedding_BE: Tensor) -> Tensor:
        """Logits (B, Y), from embeddings."""
        logits_BY: Tensor = self.dense(embedding_BE)
        return logits_BY
