"""BC-ResNet: blocks that convolve over frequency, average over it, convolve over time, and add the
result to every frequency.

Source: Kim et al., Interspeech 2021 (arXiv 2106.04140), Tables 1 and 2, and, where they are silent,
its public code (Qualcomm-AI-research/bcresnet). BC-ResNet-1 to -8 are W = 8 to 64: a 5x5 stem of 2W
channels; stages of 2, 2, 4 and 4 blocks with W, 1.5W, 2W and 2.5W, whose kernels in time are
dilated by 1, 2, 4 and 8; a 5x5 convolution of each channel, a 1x1 of 4W, the mean over the map and
a dense layer. Frequency is halved by the stem and the second and third stage; frequencies are
normalized in sub-bands (Chang et al., ICASSP 2021). Made for 40 mel bands, 10 ms from frame to
frame, and dropout 0.1.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from scaling.networks.cost import Layer, Sides
from scaling.networks.network import Damping, Dropout, Network
from scaling.networks.plan import ChainStyle

if TYPE_CHECKING:
    from torch import nn

STAGES = ((2, 2, 1), (3, 2, 2), (4, 4, 2), (5, 4, 1))  # halves of W, blocks, step in frequency


class BCResNet(Network):
    """Twelve broadcasted residual blocks."""

    kind: Literal["bc_resnet"] = "bc_resnet"
    damping: Damping = 0.0
    dropout: Dropout = 0.0
    bands: Annotated[
        int, Field(ge=1, le=64, description="number of sub-bands that are normalized separately")
    ] = 5

    style: ClassVar[ChainStyle] = ChainStyle(initialization="uniform")
    mixes: ClassVar[str] = "normalizes its channels by sub-bands and adds them up in stages"

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        width = self.width
        found = [Layer("stem", channels, 2 * width, (5, 5), (2, 1), padding=(2, 2))]
        inputs, number, last = 2 * width, 0, "stem"
        for stage, (halves, blocks, step) in enumerate(STAGES):
            outputs = max(1, halves * width // 2)
            for index in range(blocks):
                number += 1
                first = not index
                made = self._block(f"block{number}", outputs, step if first else 1, 2**stage)
                if first:
                    found.append(Layer(f"block{number}.widen", inputs, outputs, after=last))
                else:
                    made[0] = made[0]._replace(after=last)
                found += made
                inputs, last = outputs, f"block{number}.frequency"
        head = Layer("head", inputs, inputs, (5, 5), padding=(0, 2), norm=False, groups=inputs)
        top = Layer("top", inputs, 4 * width)
        dense = Layer("classifier", 4 * width, classes, bias=True, norm=False, reads="mean")
        return [*found, head._replace(after=last), top, dense]

    def _block(self, name: str, channels: int, step: int, dilation: int) -> list[Layer]:
        frequency = Layer(f"{name}.frequency", channels, channels, (3, 1), (step, 1))
        time = Layer(f"{name}.time", channels, channels, (1, 3), padding=(0, dilation))
        return [
            frequency._replace(padding=(1, 0), groups=channels, bands=self.bands),
            time._replace(groups=channels, dilation=(1, dilation), averaged="rows"),
            Layer(f"{name}.mix", channels, channels, norm=False),
        ]

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":  # noqa: ARG002
        """The network, for inputs of any length; see Network.module."""
        from scaling.networks.modules.bc_resnet import BCResNetModule

        return BCResNetModule(layers, self.damping, self.dropout)
