"""TIMBRE, the smallest network of the few-data paper: one convolution across most mel bands.

A class's score is its filters' largest value anywhere.

Source: Pons et al. 2019 and their public code (facts: vib_few_data_consistency, section B3): one
linear filter of 108 mel bands x 7 frames for each class, not padded, after a batch normalization
of the input. Here a class may have W filters and takes the largest of all their values; W = 1 is
the paper's.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from scaling.networks.cost import Layer, Sides
from scaling.networks.network import Damping, Momentum, Network
from scaling.networks.plan import TENSORFLOW, ChainStyle

if TYPE_CHECKING:
    from torch import nn

KERNEL = (108, 7)  # mel bands x frames


class TIMBRE(Network):
    """One convolution, W filters for each class."""

    kind: Literal["timbre"] = "timbre"
    damping: Damping = 0.0
    momentum: Momentum = TENSORFLOW.momentum

    style: ClassVar[ChainStyle] = TENSORFLOW

    @property
    def styled(self) -> ChainStyle:
        """See Network.styled."""
        return self.style._replace(momentum=self.momentum)

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its one layer."""
        filters = self.width * classes
        return [
            Layer("conv", channels, filters, KERNEL, bias=True, norm=False, input_norm="channel"),
        ]

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":  # noqa: ARG002
        """The network, for inputs of any size that holds a kernel; see Network.module."""
        from scaling.networks.modules.timbre import TimbreModule

        (layer,) = layers
        return TimbreModule(layer, layer.outputs // self.width, self.damping, self.styled)
