"""PaSST: a vision transformer of spectrograms, with positions of bands and of frames apart.

Sources: Koutini et al., Interspeech 2022 (arXiv 2110.05069), and its public code (kkoutini/PaSST,
models/passt.py); Touvron et al. 2021 (DeiT) for the blocks and the two tokens. W, the units of a
token, is 768 in the public files, in heads of 64; `blocks` are 12 there. A patch is 16 bands x 16
frames, one every `stride` of both. Their second classifier, of the distilled token alone, answers
nothing in the public code and is left out. scaling.networks.modules.passt_weights reads public
weights into it, which hear `sound.features.kind=passt`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from scaling.networks.cost import Layer, Sides
from scaling.networks.network import Network, check_width

if TYPE_CHECKING:
    import torch
    from torch import nn

BANDS, SIDE = 128, 16  # mel bands that have positions, rows and columns of a patch
HEAD = 64  # units of an attention head
TOKENS = 2  # beside the patches: one of the clip, one that was distilled into
WIDER = 4  # units within a block over those of a token


class PaSST(Network):
    """W units of a token, `blocks` of attention and two dense layers."""

    kind: Literal["passt"] = "passt"
    blocks: Annotated[int, Field(ge=1, le=64, description="number of attention blocks")] = 12
    stride: Annotated[
        int,
        Field(ge=10, le=SIDE, description="step between patches of 16 x 16, in bands and frames"),
    ] = 10
    longest: Annotated[
        int,
        Field(
            ge=SIDE,
            le=10_000,
            description="longest input that the positional encoding covers, frames; 998: ten "
            "seconds",
        ),
    ] = 998
    patchout_bands: Annotated[
        int, Field(ge=0, le=11, description="rows of patches dropped in each training step")
    ] = 0
    patchout_frames: Annotated[
        int, Field(ge=0, le=600, description="columns of patches dropped in each training step")
    ] = 0

    mixes: ClassVar[str] = "adds up all its blocks"
    grows: ClassVar[bool] = False
    stackable: ClassVar[bool] = False
    public: ClassVar[str] = (
        "https://github.com/kkoutini/PaSST/releases (passt-s-f128-p16-s10-ap.476-swa.pt and others)"
    )
    hears: ClassVar[str] = "passt"

    @model_validator(mode="after")
    def _whole_heads(self) -> Self:
        check_width(self.kind, self.width, HEAD)
        return self

    @property
    def positions(self) -> Sides:
        """Rows and columns of patches that have one."""
        return BANDS // self.stride, self.longest // self.stride

    def check_input(self, size: Sides) -> None:
        """See Network.check_input."""
        bands, frames = size
        if bands != BANDS:
            raise ValueError(
                f"sound.features.mels={bands}: network.kind=passt has positions for {BANDS}: "
                f"set sound.features.mels={BANDS}"
            )
        rows, columns = ((side - SIDE) // self.stride + 1 for side in size)
        if frames < SIDE or columns > self.positions[1]:
            raise ValueError(
                f"network.longest={self.longest}: clips have {frames} frames, network.kind=passt "
                f"takes {SIDE} to about {self.longest}: cut patches (sound.patch), or set "
                "sound.seconds"
            )
        for name, left, of in (
            ("patchout_bands", self.patchout_bands, rows),
            ("patchout_frames", self.patchout_frames, columns),
        ):
            if left >= of:
                raise ValueError(
                    f"network.{name}={left}: at most {of - 1} of the {of} that there are"
                )

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers in the order of the forward pass."""
        width, (rows, columns) = self.width, self.positions
        positions = (2 * TOKENS + rows + columns) * width
        patches = Layer("patches", channels, width, (SIDE, SIDE), self.stride, bias=True)
        found = [patches._replace(norm=False, learned=positions)]
        for number in range(1, self.blocks + 1):
            found += self._block(f"block{number}")
        found[-1] = found[-1]._replace(learned=2 * width)  # the normalization of all tokens
        last = Layer("classifier", width, classes, bias=True, norm=False, reads="mean")
        return [*found, last._replace(input_norm="channel")]

    def _block(self, name: str) -> list[Layer]:
        width = self.width
        read = Layer(f"{name}.read", width, 3 * width, bias=True, norm=False, tokens=TOKENS)
        read = read._replace(input_norm="channel")
        return [
            read._replace(attends=True),
            read._replace(name=f"{name}.mix", outputs=width, input_norm="none"),
            read._replace(name=f"{name}.expand", outputs=WIDER * width),
            read._replace(
                name=f"{name}.shrink", inputs=WIDER * width, outputs=width, input_norm="none"
            ),
        ]

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":
        """The network, for inputs of up to `longest` frames; see Network.module."""
        from scaling.networks.modules.passt import PaSSTModule

        if size is not None:
            self.check_input(size)
        patchout = self.patchout_bands, self.patchout_frames
        return PaSSTModule(layers, self.positions, patchout, self.width // HEAD)

    def initialize(self, model: "nn.Module", generator: "torch.Generator") -> None:
        """See Network.initialize."""
        from scaling.networks.modules.passt import initialize

        initialize(model, generator)

    def load_public(self, model: "nn.Module", path: Path) -> None:
        """See Network.load_public."""
        from scaling.networks.modules import passt_weights

        sizes = ("width", "blocks", "stride", "longest")
        said = ", ".join(f"network.{name}={getattr(self, name)}" for name in sizes)
        passt_weights.load(model, path, f"network.kind=passt with {said}")
