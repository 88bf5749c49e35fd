"""TIMBRE built: the largest value of each class's filters, anywhere in the clip."""

# B clips, C channels, F rows of a map (mel bands at the input), N columns (frames), Y classes

from torch import Tensor, nn

from scaling.networks.cost import Layer
from scaling.networks.modules.chain import convolution, input_norm
from scaling.networks.modules.output import Output
from scaling.networks.plan import ChainStyle


class TimbreModule(nn.Module):
    """Features (B, channels, F, N) to logits (B, Y); the W filters of a class follow each other."""

    def __init__(self, layer: Layer, classes: int, damping: float, style: ChainStyle) -> None:
        super().__init__()
        self.classes = classes
        self.input_norm = input_norm(layer, style, None)
        self.conv = convolution(layer, damping)

    def forward(self, x_BCFN: Tensor) -> Output:
        scores_BCFN = self.conv(self.input_norm(x_BCFN))
        logits_BY = scores_BCFN.unflatten(1, (self.classes, -1)).amax(dim=(2, 3, 4))
        return Output(logits_BY, scores_BCFN)
