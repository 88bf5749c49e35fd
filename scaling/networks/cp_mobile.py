"""CP-Mobile, the network of the DCASE 2023 submission of CP-JKU: inverted residual blocks with
global response normalization.

Sources: Schmid et al., DCASE workshop 2023, and their public code (facts: unseen_devices). Two 3x3
convolutions of stride 2; stages of 3, 2 and 1 blocks; a 1x1 classifier, normalized, averaged over
the map. W, the channels after the stem, is 32 in the paper; a stage has `multiplier` times the
channels of the one before it, a block `expansion` times within, all rounded to multiples of 8.
Contents: CPMobile; Inverted, which the DCASE 2024 baseline shares.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from scaling.networks.cost import Layer, Sides
from scaling.networks.network import Damping, Dropout, Network, check_width
from scaling.networks.plan import ChainStyle

if TYPE_CHECKING:
    from torch import nn

STEP = 8  # channels are multiples of it
STAGES = (3, 2, 1)  # blocks of each


def rounded(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and at least 0.9 of it, as MobileNets have it."""
    found = max(STEP, int(channels + STEP / 2) // STEP * STEP)
    return found + STEP if found < 0.9 * channels else found


class Inverted(Network):
    """Blocks that expand by 1x1, convolve each channel by 3x3, and project by 1x1."""

    damping: Damping = 0.0
    dropout: Dropout = 0.0

    style: ClassVar[ChainStyle] = ChainStyle(initialization="fan_out")
    strides: ClassVar[Mapping[int, Sides]]  # of blocks, by their number; else 1
    responds: ClassVar[bool]  # whether global response normalization follows each block

    @model_validator(mode="after")
    def _whole_channels(self) -> Self:
        check_width(self.kind, self.width, STEP)
        return self

    @property
    def growth(self) -> tuple[float, float]:
        """Channels of a stage over those of the one before it, and within a block over before."""
        raise NotImplementedError

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        width = self.width
        check_width(self.kind, width, STEP)
        stem = Layer("stem1", channels, width // 4, (3, 3), 2, padding=(1, 1))
        found = [stem, stem._replace(name="stem2", inputs=width // 4, outputs=width)]
        multiplier, _ = self.growth
        for stage, blocks in enumerate(STAGES):
            for _ in range(blocks):
                number = len(found) // 3 + 1
                outputs = rounded(width * multiplier**stage)
                found += self._block(number, found[-1].name, found[-1].outputs, outputs)
        return [*found, Layer("classifier", found[-1].outputs, classes)]

    def _block(self, number: int, before: str, inputs: int, outputs: int) -> list[Layer]:
        within, name = rounded(inputs * self.growth[1]), f"block{number}"
        expand = Layer(f"{name}.expand", inputs, within)
        depthwise = Layer(f"{name}.depthwise", within, within, (3, 3), padding=(1, 1))
        depthwise = depthwise._replace(groups=within, stride=self.strides.get(number, 1))
        project = Layer(f"{name}.project", within, outputs)
        project = project._replace(
            joins=before if inputs == outputs else "",
            clip_norm="response" if self.responds else "none",
        )
        return [expand, depthwise, project]

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":  # noqa: ARG002
        """The network, for inputs of any size; see Network.module."""
        from scaling.networks.modules.cp_mobile import InvertedModule

        return InvertedModule(layers, self.damping, self.dropout)


class CPMobile(Inverted):
    """W channels, a multiplier of the channels by stage, and an expansion within blocks."""

    kind: Literal["cp_mobile"] = "cp_mobile"
    multiplier: Annotated[
        float, Field(ge=1, le=8, description="ratio of channels from one stage to the next")
    ] = 2.3
    expansion: Annotated[
        float,
        Field(ge=1, le=16, description="ratio of channels within a block to those at its input"),
    ] = 3.0

    strides: ClassVar[Mapping[int, Sides]] = {2: (2, 2), 4: (2, 1)}
    responds: ClassVar[bool] = True

    @property
    def growth(self) -> tuple[float, float]:
        """See Inverted.growth."""
        return self.multiplier, self.expansion
