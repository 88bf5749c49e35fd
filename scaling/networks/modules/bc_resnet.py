"""BC-ResNet built: broadcasted residual blocks, sub-spectral normalization."""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes,
# S sub-bands

from collections.abc import Sequence
from itertools import groupby

from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer
from scaling.networks.modules.chain import normed
from scaling.networks.modules.kernels import Convolution, Dense
from scaling.networks.modules.output import Output
from scaling.networks.modules.stochastic import SpatialDropout


class SubSpectralNorm(nn.BatchNorm2d):
    """Batch normalization of (B, C, F, N), apart for each of S sub-bands of its rows."""

    def __init__(self, channels: int, bands: int) -> None:
        super().__init__(channels * bands)
        self.bands = bands

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        batch, channels, rows, columns = input.shape
        apart = input.reshape(batch, channels * self.bands, rows // self.bands, columns)
        return super().forward(apart).reshape(input.shape)


class BroadcastBlock(nn.Module):
    """A convolution over frequency, and one over time of its mean over frequency, which is added to
    every row; plus the input, where it has as many channels; then ReLU.
    """

    widen: Convolution
    widen_norm: nn.BatchNorm2d
    frequency: Convolution
    frequency_norm: nn.BatchNorm2d
    time: Convolution
    time_norm: nn.BatchNorm2d
    mix: Convolution

    def __init__(self, layers: Sequence[Layer], damping: float, dropout: float) -> None:
        super().__init__()
        self.widens = layers[0].name.endswith(".widen")
        for layer in layers:
            normed(self, layer, damping)
            if layer.bands > 1:
                self.frequency_norm = SubSpectralNorm(layer.outputs, layer.bands)
        self.dropout = SpatialDropout(dropout)

    def forward(self, x_BCFN: Tensor) -> Tensor:
        y_BCFN = x_BCFN
        if self.widens:
            y_BCFN = functional.relu(self.widen_norm(self.widen(x_BCFN)))
        y_BCFN = self.frequency_norm(self.frequency(y_BCFN))
        z_BC1N = self.time_norm(self.time(y_BCFN.mean(dim=2, keepdim=True)))
        z_BC1N = self.dropout(self.mix(functional.silu(z_BC1N)))
        y_BCFN = y_BCFN + z_BC1N
        return functional.relu(y_BCFN if self.widens else x_BCFN + y_BCFN)


class BCResNetModule(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y)."""

    stem: Convolution
    stem_norm: nn.BatchNorm2d
    head: Convolution
    top: Convolution
    top_norm: nn.BatchNorm2d

    def __init__(self, layers: Sequence[Layer], damping: float, dropout: float) -> None:
        super().__init__()
        stem, *within, head, top, dense = layers
        normed(self, stem, damping)
        self.names: list[str] = []
        for name, each in groupby(within, lambda layer: layer.name.partition(".")[0]):
            self.names.append(name)
            self.add_module(name, BroadcastBlock([*each], damping, dropout))
        normed(self, head, damping)
        normed(self, top, damping)
        self.classifier = Dense(dense.inputs, dense.outputs)

    def forward(self, x_BCFN: Tensor) -> Output:
        x_BCFN = functional.relu(self.stem_norm(self.stem(x_BCFN)))
        for name in self.names:
            x_BCFN = getattr(self, name)(x_BCFN)
        x_BCFN = functional.relu(self.top_norm(self.top(self.head(x_BCFN))))
        return Output(self.classifier(x_BCFN.mean(dim=(2, 3))), x_BCFN)
