"""VGGish, which the few-data paper transfers from: six 3x3 convolutions and three dense layers.

The last of these is the embedding; one more dense layer answers with the classes.

Sources: Hershey et al. 2017; Pons et al. 2019 and their public code (facts:
vib_few_data_consistency, sections B3, B6 and E). 64, 128, 256, 256, 512 and 512 filters are W, 2W,
4W, 4W, 8W and 8W, the 4096, 4096 and 128 units 64W, 64W and 2W, with W = 64 the public one's. The
last map is flattened with the frame outermost and the channel innermost, as TensorFlow does:
scaling.networks.modules.vggish_weights reads public weights into it, which were trained on 64 mel
bands x 96 frames.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from scaling.networks.cost import Layer, Sides
from scaling.networks.network import Damping, Dropout, Network
from scaling.networks.plan import TENSORFLOW, ChainStyle

if TYPE_CHECKING:
    from torch import nn

FILTERS = ((1, 2), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))  # times W, and the pooling after
UNITS = {"dense1": 64, "dense2": 64, "embedding": 2}  # times W


class VGGish(Network):
    """Six 3x3 convolutions, an embedding, and one dense layer for the classes."""

    kind: Literal["vggish"] = "vggish"
    damping: Damping = 0.0
    dropout: Dropout = 0.0
    linear_embedding: Annotated[
        bool, Field(description="omit the ReLU after the embedding; false: as published")
    ] = False

    style: ClassVar[ChainStyle] = TENSORFLOW
    public: ClassVar[str] = (
        "https://github.com/harritaylor/torchvggish (release v0.1: vggish-10086976.pth)"
    )

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        found: list[Layer] = []
        for index, (filters, pool) in enumerate(FILTERS, start=1):
            inputs, outputs = found[-1].outputs if found else channels, filters * self.width
            convolved = Layer(f"conv{index}", inputs, outputs, (3, 3), padding="same", pool=pool)
            found.append(convolved._replace(bias=True, norm=False))
        sizes = {name: units * self.width for name, units in UNITS.items()} | {"dense": classes}
        for name, outputs in sizes.items():
            inputs = found[-1].outputs
            dense = Layer(name, inputs, outputs, bias=True, norm=False, reads="map")
            found.append(dense._replace(innermost="channel"))
        return found

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":
        """The network, which needs the `size` of its input; see Network.module."""
        from scaling.networks.modules.vggish import VGGishModule

        assert size is not None, "a dense layer on the whole map needs the size of the input"
        return VGGishModule(layers, self.damping, self.dropout, self.linear_embedding, size)

    def load_public(self, model: "nn.Module", path: Path) -> None:
        """See Network.load_public."""
        from scaling.networks.modules import vggish, vggish_weights

        assert isinstance(model, vggish.VGGishModule)
        vggish_weights.load(model, path)
