"""The CNN of the information bottleneck paper: four convolutions, one pooling, one dense layer.

Source: Table 2 of the VIB paper (Interspeech 2021, arXiv 2107.04803). It leaves open how kernels
lie, whether maps are padded and what the dense layer reads; here (facts: vib_few_data_consistency,
section A3) a 4x10 kernel spans 4 mel bands and 10 frames, maps are not padded unless asked, and the
dense layer reads the mean over the map, or the whole of it where `flatten` is set. Its 32, 96, 96
and 160 filters are W, 3W, 3W and 5W, with W = 32 the paper's.
"""

from typing import Annotated, Literal

from pydantic import Field

from scaling.networks.cost import Layer, Padding
from scaling.networks.network import Chain
from scaling.networks.plan import ChainStyle, Scheme

FILTERS = (1, 3, 3, 5)  # times W
KERNELS = ((4, 4), (4, 10), (4, 10), (4, 10))  # mel bands x frames
POOL = 2  # after the last convolution


class VIBCNN(Chain):
    """Four convolutions and one dense layer."""

    kind: Literal["vib_cnn"] = "vib_cnn"
    flatten: Annotated[
        bool, Field(description="feed the dense layer the whole map; false: the map's mean")
    ] = False
    padding: Annotated[
        Literal["valid", "same"],
        Field(description="padding of each convolution; same: zeros around the map; valid: none"),
    ] = "valid"
    first_weights: Annotated[
        Literal["he", "glorot"],
        Field(description="initial weights: He et al. 2015 (he) or Keras's default (glorot)"),
    ] = "he"

    @property
    def styled(self) -> ChainStyle:
        """See Network.styled."""
        return self.style._replace(initialization=self.first_weights)

    @property
    def head_scheme(self) -> Scheme:
        """See Network.head_scheme: its dense layers begin alike."""
        return self.first_weights

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        padding: Padding = "same" if self.padding == "same" else (0, 0)
        found: list[Layer] = []
        for index, (filters, kernel) in enumerate(zip(FILTERS, KERNELS, strict=True), start=1):
            inputs = found[-1].outputs if found else channels
            pool = POOL if index == len(FILTERS) else 1
            found.append(
                Layer(
                    f"conv{index}",
                    inputs,
                    filters * self.width,
                    kernel,
                    padding=padding,
                    bias=True,
                    norm=False,
                    pool=pool,
                )
            )
        dense = Layer("dense", found[-1].outputs, classes, bias=True, norm=False)
        return [*found, dense._replace(reads="map" if self.flatten else "mean")]
