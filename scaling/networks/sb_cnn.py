"""SB-CNN, the first network of the few-data paper: three 5x5 convolutions and two dense layers.

Sources: Salamon and Bello 2017, as in Pons et al. 2019 and their public code (facts:
vib_few_data_consistency, section B3), whose input is normalized by a batch normalization. Their 24,
48 and 48 filters and 64 units are W, 2W, 2W and 8W / 3, with W = 24 the paper's; their 4x2 pooling
spans 4 frames and 2 mel bands.
"""

from typing import ClassVar, Literal

from scaling.networks.cost import Layer
from scaling.networks.network import Chain, Momentum
from scaling.networks.plan import TENSORFLOW, ChainStyle

FILTERS = (1, 2, 2)  # times W
KERNEL = (5, 5)
POOL = (2, 4)  # mel bands x frames; after all convolutions but the last


class SBCNN(Chain):
    """Three 5x5 convolutions and two dense layers."""

    kind: Literal["sb_cnn"] = "sb_cnn"
    momentum: Momentum = TENSORFLOW.momentum

    style: ClassVar[ChainStyle] = TENSORFLOW._replace(dropout=0.5)

    @property
    def styled(self) -> ChainStyle:
        """See Network.styled."""
        return self.style._replace(momentum=self.momentum)

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        found: list[Layer] = []
        for index, filters in enumerate(FILTERS, start=1):
            inputs, outputs = found[-1].outputs if found else channels, filters * self.width
            pool = POOL if index < len(FILTERS) else 1
            convolved = Layer(f"conv{index}", inputs, outputs, KERNEL, bias=True, norm=False)
            found.append(convolved._replace(pool=pool))
        found[0] = found[0]._replace(input_norm="channel")
        for name, units in {"hidden": round(self.width * 8 / 3), "dense": classes}.items():
            inputs = found[-1].outputs
            found.append(Layer(name, inputs, units, bias=True, norm=False, reads="map"))
        return found
