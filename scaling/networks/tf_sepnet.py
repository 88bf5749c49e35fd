"""TF-SepNet: half of a block's channels convolve over frequency, the other half over time, each
averaged over that axis.

Sources: Cai et al., ICASSP 2024, and the public code of TF-SepNet-64 of the DCASE challenge of 2024
(facts: unseen_devices). Two 3x3 convolutions of stride 2, the second in W / 2 groups; nine blocks
of W, 1.5W, 2W and 2.5W channels, pooled after the second, fourth and sixth; residual normalization
after the stem and before each pooling; a 1x1 classifier, averaged over the map. W = 64 is the
published width. Dropout, 0.1 there, drops whole channels here.
"""

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import model_validator

from scaling.networks.cost import Layer, Sides
from scaling.networks.network import Damping, Dropout, Network, check_width
from scaling.networks.plan import ChainStyle

if TYPE_CHECKING:
    from torch import nn

STEP = 4  # widths are multiples of it, so that halves of 1.5W and 2.5W are whole
# channels in halves of W, and blocks of it; each is normalized at its end, and pooled but the last
STAGES = ((2, 2), (3, 2), (4, 2), (5, 3))


class TFSepNet(Network):
    """Nine blocks of separate convolutions over frequency and time."""

    kind: Literal["tf_sepnet"] = "tf_sepnet"
    damping: Damping = 0.0
    dropout: Dropout = 0.0

    style: ClassVar[ChainStyle] = ChainStyle(initialization="uniform")
    mixes: ClassVar[str] = "shuffles and halves its channels"

    @model_validator(mode="after")
    def _whole_halves(self) -> Self:
        check_width(self.kind, self.width, STEP)
        return self

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        width = self.width
        check_width(self.kind, width, STEP)
        stem = Layer("stem1", channels, width // 2, (3, 3), 2, padding=(1, 1))
        grouped = stem._replace(name="stem2", inputs=width // 2, outputs=2 * width)
        found = [stem, grouped._replace(groups=width // 2, clip_norm="residual")]
        inputs, number, last = 2 * width, 0, "stem2"
        for stage, (halves, blocks) in enumerate(STAGES):
            for index in range(blocks):
                number += 1
                pooled = 2 if stage and not index else 1
                made = _block(number, inputs, halves * width // 2, last, pooled)
                inputs, last = halves * width // 2, f"block{number}.frequency"
                found += made
            found[-1] = found[-1]._replace(clip_norm="residual")
        classifier = Layer("classifier", inputs, classes, bias=True, norm=False, after=last)
        return [*found, classifier]

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":  # noqa: ARG002
        """The network, for inputs of any size; see Network.module."""
        from scaling.networks.modules.tf_sepnet import TFSepNetModule

        return TFSepNetModule(layers, self.damping, self.dropout)


def _block(number: int, inputs: int, outputs: int, before: str, pooled: int) -> list[Layer]:
    """The layers of a block, which reads the map of layer `before`, pooled."""
    name, half, found = f"block{number}", outputs // 2, list[Layer]()
    if inputs != outputs:
        found = [Layer(f"{name}.widen", inputs, outputs, after=before, pooled=pooled)]
        before, pooled = f"{name}.widen", 1
    frequency = Layer(f"{name}.frequency", half, half, (3, 1), padding=(1, 0), groups=half)
    mix = Layer(f"{name}.frequency_mix", half, half, averaged="rows")
    time = Layer(f"{name}.time", half, half, (1, 3), padding=(0, 1), groups=half)
    return [
        *found,
        frequency._replace(after=before, pooled=pooled),
        mix,
        time._replace(after=before, pooled=pooled),
        mix._replace(name=f"{name}.time_mix", averaged="columns"),
    ]
