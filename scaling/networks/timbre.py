"""TIMBRE, the smallest network of the few-data paper: one convolution across most mel bands.

A class's score is its filters' largest value anywhere.

Source: Pons et al. 2019 and their public code (facts: vib_few_data_consistency, section B3): one
linear filter of 108 mel bands x 7 frames for each class, not padded, behind a batch normalization
of the input. Here a class may have W filters and takes the largest of all their values; W = 1 is
the paper's.
"""

from typing import TYPE_CHECKING, Literal

from scaling.networks.cost import Layer, Sides
from scaling.networks.network import Damping, Network
from scaling.networks.plan import TENSORFLOW

if TYPE_CHECKING:
    import torch
    from torch import nn

KERNEL = (108, 7)  # mel bands x frames


class TIMBRE(Network):
    """One convolution, W filters for each class."""

    kind: Literal["timbre"] = "timbre"
    damping: Damping = 0.0

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its one layer."""
        filters = self.width * classes
        return [
            Layer("conv", channels, filters, KERNEL, bias=True, norm=False, input_norm="channel"),
        ]

    def build(
        self,
        classes: int,
        generator: "torch.Generator",
        channels: int = 1,
        size: Sides | None = None,  # noqa: ARG002
    ) -> "nn.Module":
        """The network, for inputs of any size that holds a kernel; see Network.build."""
        from scaling.networks.modules import timbre
        from scaling.networks.modules.kernels import initialize

        (layer,) = self.layers(classes, channels)
        model = timbre.TimbreModule(layer, classes, self.damping)
        initialize(model, generator, TENSORFLOW.initialization)
        return model
