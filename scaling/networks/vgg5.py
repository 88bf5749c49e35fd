"""VGG5, the second network of the few-data paper: five 3x3 convolutions, each pooled, one dense
layer.

Sources: Choi et al. 2016, as in Pons et al. 2019 and their public code (facts:
vib_few_data_consistency, section B3): batch normalization in front of the first convolution, and
after each one's ELU. W = 32 is the regularized network's width, W = 128 the prototypical one's,
whose public code normalizes its input frame by frame (`input_norm` = time).
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from scaling.networks.cost import Layer
from scaling.networks.network import Chain, Momentum
from scaling.networks.plan import TENSORFLOW, ChainStyle

CONVOLUTIONS = 5


class VGG5(Chain):
    """Five 3x3 convolutions, each pooled."""

    kind: Literal["vgg5"] = "vgg5"
    input_norm: Annotated[
        Literal["channel", "time"],
        Field(description="normalization of the input; time: each frame on its own"),
    ] = "channel"
    momentum: Momentum = TENSORFLOW.momentum

    style: ClassVar[ChainStyle] = TENSORFLOW._replace(activation="elu", norm_last=True, dropout=0.5)

    @property
    def styled(self) -> ChainStyle:
        """See Network.styled."""
        return self.style._replace(momentum=self.momentum)

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        width = self.width
        found = [
            Layer(
                f"conv{index}",
                width if index > 1 else channels,
                width,
                (3, 3),
                padding="same",
                bias=True,
                pool=2,
            )
            for index in range(1, CONVOLUTIONS + 1)
        ]
        found[0] = found[0]._replace(input_norm=self.input_norm)
        return [*found, Layer("dense", width, classes, bias=True, norm=False, reads="map")]
