"""The `mn` networks of EfficientAT built: inverted residual blocks with squeeze-and-excitation."""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), E units of the
# hidden layer, Y classes

from collections.abc import Sequence
from itertools import groupby

from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer
from scaling.networks.modules.chain import normed
from scaling.networks.modules.kernels import Convolution, Dense
from scaling.networks.modules.output import Output
from scaling.networks.modules.stochastic import SpatialDropout
from scaling.networks.plan import ChainStyle


class SqueezedBlock(nn.Module):
    """Expand, convolve by channel, weigh the channels where it squeezes, project; plus the input,
    where it has as many channels and as large a map.
    """

    expand: Convolution
    expand_norm: nn.BatchNorm2d
    depthwise: Convolution
    depthwise_norm: nn.BatchNorm2d
    squeeze: Dense
    excite: Dense
    project: Convolution
    project_norm: nn.BatchNorm2d

    def __init__(
        self, layers: Sequence[Layer], style: ChainStyle, damping: float, hard: bool
    ) -> None:
        super().__init__()
        by_name = {layer.name.rpartition(".")[2]: layer for layer in layers}
        for name, layer in by_name.items():
            if layer.reads == "pixels":
                normed(self, layer, damping, style)
            else:
                self.add_module(name, Dense(layer.inputs, layer.outputs))
        self.expands, self.squeezes = "expand" in by_name, "squeeze" in by_name
        whole = by_name["depthwise"].steps == (1, 1)
        self.shortcut = whole and layers[0].inputs == layers[-1].outputs
        self.activation = functional.hardswish if hard else functional.relu

    def forward(self, x_BCFN: Tensor) -> Tensor:
        y_BCFN = x_BCFN
        if self.expands:
            y_BCFN = self.activation(self.expand_norm(self.expand(y_BCFN)))
        y_BCFN = self.activation(self.depthwise_norm(self.depthwise(y_BCFN)))
        if self.squeezes:
            weights_BC = functional.relu(self.squeeze(y_BCFN.mean(dim=(2, 3))))
            y_BCFN = y_BCFN * self.excite(weights_BC).sigmoid()[:, :, None, None]
        y_BCFN = self.project_norm(self.project(y_BCFN))
        added_BCFN: Tensor = x_BCFN + y_BCFN if self.shortcut else y_BCFN
        return added_BCFN


class MNModule(nn.Module):
    """Features (B, channels, F, N) to an embedding (B, E), and from it to logits (B, Y)."""

    stem: Convolution
    stem_norm: nn.BatchNorm2d
    top: Convolution
    top_norm: nn.BatchNorm2d

    def __init__(
        self,
        layers: Sequence[Layer],
        style: ChainStyle,
        damping: float,
        dropout: float,
        hard: Sequence[bool],
    ) -> None:
        super().__init__()
        stem, *within, top, hidden, last = layers
        normed(self, stem, damping, style)
        blocks = groupby(within, lambda layer: layer.name.partition(".")[0])
        self.names: list[str] = []
        for swishes, (name, each) in zip(hard, blocks, strict=True):
            self.names.append(name)
            self.add_module(name, SqueezedBlock([*each], style, damping, swishes))
        normed(self, top, damping, style)
        self.hidden = Dense(hidden.inputs, hidden.outputs)
        self.dropout = SpatialDropout(dropout)
        self.classifier = Dense(last.inputs, last.outputs)

    def forward(self, x_BCFN: Tensor) -> Output:
        x_BCFN = functional.hardswish(self.stem_norm(self.stem(x_BCFN)))
        for name in self.names:
            x_BCFN = getattr(self, name)(x_BCFN)
        x_BCFN = functional.hardswish(self.top_norm(self.top(x_BCFN)))
        embedding_BE = functional.hardswish(self.hidden(x_BCFN.mean(dim=(2, 3))))
        return Output(self.answer(embedding_BE), x_BCFN, embedding_BE=embedding_BE)

    def answer(self, embedding_BE: Tensor) -> Tensor:
        """Logits (B, Y), from embeddings."""
        logits_BY: Tensor = self.classifier(self.dropout(embedding_BE))
        return logits_BY
