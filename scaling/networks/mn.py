"""The `mn` networks of EfficientAT: MobileNetV3 trained on AudioSet, taught by transformers.

Sources: Schmid et al., ICASSP 2023 (arXiv 2211.04772), and its public code (fschmid56/EfficientAT,
models/mn); Howard et al. 2019 (MobileNetV3-Large) for the blocks. W is ten times the width
multiplier, as in the names of the public files: mn04 is W = 4, mn10 W = 10, mn40 W = 40. Blocks
expand by 1x1, convolve each channel, weigh channels by their means where they squeeze, and project
by 1x1; all channels are rounded to multiples of 8. The map's mean goes through one hidden layer.
scaling.networks.modules.mn_weights reads public weights into it, which hear
`sound.features.kind=passt`: 128 bands, 10 ms from frame to frame, 32 kHz.
"""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from scaling.networks.cost import Layer, Sides
from scaling.networks.cp_mobile import rounded
from scaling.networks.network import Damping, Dropout, Network
from scaling.networks.plan import ChainStyle

if TYPE_CHECKING:
    from torch import nn

TENTHS = 10  # W of the network as MobileNetV3 has it
STEM, HIDDEN = 16, 1280  # channels, units
WIDER = 6  # channels of the last map over those of the last block


class BlockPlan(NamedTuple):
    """One block of MobileNetV3-Large, at its full width."""

    kernel: int
    within: int
    outputs: int
    squeezes: bool
    hard: bool  # its activation is hard swish, not ReLU
    stride: int


BLOCKS = (
    BlockPlan(3, 16, 16, False, False, 1),
    BlockPlan(3, 64, 24, False, False, 2),
    BlockPlan(3, 72, 24, False, False, 1),
    BlockPlan(5, 72, 40, True, False, 2),
    BlockPlan(5, 120, 40, True, False, 1),
    BlockPlan(5, 120, 40, True, False, 1),
    BlockPlan(3, 240, 80, False, True, 2),
    BlockPlan(3, 200, 80, False, True, 1),
    BlockPlan(3, 184, 80, False, True, 1),
    BlockPlan(3, 184, 80, False, True, 1),
    BlockPlan(3, 480, 112, True, True, 1),
    BlockPlan(3, 672, 112, True, True, 1),
    BlockPlan(5, 672, 160, True, True, 2),
    BlockPlan(5, 960, 160, True, True, 1),
    BlockPlan(5, 960, 160, True, True, 1),
)


class MN(Network):
    """Fifteen inverted residual blocks with squeeze-and-excitation, and one hidden layer."""

    kind: Literal["mn"] = "mn"
    damping: Damping = 0.0
    dropout: Dropout = 0.0

    style: ClassVar[ChainStyle] = ChainStyle(epsilon=1e-3, momentum=0.01, initialization="fan_out")
    mixes: ClassVar[str] = "weighs its channels by each other"
    grows: ClassVar[bool] = False
    stackable: ClassVar[bool] = False
    public: ClassVar[str] = (
        "https://github.com/fschmid56/EfficientAT/releases (mn10_as_mAP_471.pt and others)"
    )
    hears: ClassVar[str] = "passt"

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        inputs = self._channels(STEM)
        found = [Layer("stem", channels, inputs, (3, 3), 2, padding=(1, 1))]
        for number, plan in enumerate(BLOCKS, start=1):
            made = self._block(f"block{number}", plan, inputs)
            found += made
            inputs = made[-1].outputs
        top = Layer("top", inputs, WIDER * inputs)
        hidden = Layer("hidden", top.outputs, self._channels(HIDDEN), bias=True, norm=False)
        last = Layer("classifier", hidden.outputs, classes, bias=True, norm=False, reads="mean")
        return [*found, top, hidden._replace(reads="mean"), last]

    def _channels(self, full: int) -> int:
        return rounded(full * self.width / TENTHS)

    def _block(self, name: str, plan: BlockPlan, inputs: int) -> list[Layer]:
        within, outputs = self._channels(plan.within), self._channels(plan.outputs)
        reach = (plan.kernel - 1) // 2
        depthwise = Layer(f"{name}.depthwise", within, within, (plan.kernel, plan.kernel))
        found = [depthwise._replace(stride=plan.stride, padding=(reach, reach), groups=within)]
        if within != inputs:
            found.insert(0, Layer(f"{name}.expand", inputs, within))
        if plan.squeezes:
            narrow = rounded(within // 4)
            squeeze = Layer(f"{name}.squeeze", within, narrow, bias=True, norm=False, reads="mean")
            excite = squeeze._replace(name=f"{name}.excite", inputs=narrow, outputs=within)
            found += [squeeze, excite]
        return [*found, Layer(f"{name}.project", within, outputs, after=depthwise.name)]

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":  # noqa: ARG002
        """The network, for inputs of any size; see Network.module."""
        from scaling.networks.modules.mn import MNModule

        hard = [plan.hard for plan in BLOCKS]
        return MNModule(layers, self.style, self.damping, self.dropout, hard)

    def load_public(self, model: "nn.Module", path: Path) -> None:
        """See Network.load_public."""
        from scaling.networks.modules import mn_weights

        mn_weights.load(model, path, f"network.kind=mn with network.width={self.width}")
