"""Network: what all networks share, as settings: their width, their layers, how they are built.

A network is described here without torch, so that what it costs is known without building it;
scaling.networks.modules holds what is built.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from scaling.networks.cost import Layer, Sides
from scaling.networks.plan import ChainStyle, Scheme
from scaling.part import Kind

if TYPE_CHECKING:
    import torch
    from torch import nn

Damping = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="damping of the kernels along frequency; 0: none; 1: the outermost taps are "
        "zero",
    ),
]
Dropout = Annotated[
    float,
    Field(ge=0, lt=1, description="share of channels dropped after each layer or block"),
]

Momentum = Annotated[
    float,
    Field(
        gt=0,
        le=1,
        description="momentum of batch normalization: weight of the newest batch in the running "
        "statistics; the published 0.01 needs hundreds of steps",
    ),
]

Normalization = Annotated[
    Literal["none", "residual", "adaptive"],
    Field(description="residual normalization of the input, per band and clip"),
]


def check_width(kind: str, width: int, step: int) -> None:
    """Raise ValueError unless a width is a multiple of `step`."""
    if width % step:
        near = max(step, (width + step // 2) // step * step)
        raise ValueError(
            f"width={width}: network.kind={kind} has widths that are multiples of {step}, as {near}"
        )


class Network(Kind):
    """A network as numbers."""

    kind: str
    width: Annotated[
        int,
        Field(
            ge=1,
            le=4096,
            description="width W: channels of the first layer, unless docs/networks.md says "
            "otherwise",
        ),
    ]
    normalization: Normalization = "none"
    parametrization: Annotated[
        Literal["standard", "mup"],
        Field(
            description="mup scales each layer's learning rate and initial weights, so that one "
            "rate fits all widths"
        ),
    ] = "standard"
    base_width: Annotated[
        int, Field(ge=1, le=4096, description="mup: the width at which nothing is scaled")
    ] = 8

    style: ClassVar[ChainStyle] = ChainStyle()
    # settings in which networks may differ that train side by side: constants and first weights
    apart: ClassVar[tuple[str, ...]] = ("damping", "initialization")
    # what it does with channels so that none can be cut; empty: nothing
    mixes: ClassVar[str] = ""
    # where weights can be fetched that others trained, and the front end they hear; empty: none
    public: ClassVar[str] = ""
    hears: ClassVar[str] = ""
    # whether its widths differ in nothing but sizes, as mup needs it, and whether trials of it
    # train side by side
    grows: ClassVar[bool] = True
    stackable: ClassVar[bool] = True

    def idle(self) -> Iterator[tuple[str, str]]:
        """The base width without mup."""
        if self.parametrization == "standard":
            yield "base_width", "network.parametrization=standard has none"

    @property
    def styled(self) -> ChainStyle:
        """Its style, as its settings have it."""
        return self.style

    @property
    def head_scheme(self) -> Scheme:
        """How the first weights of an objective's head are drawn."""
        return "he"

    @property
    def begins_at_zero(self) -> bool:
        """Whether its last layer does, so that all clips are answered alike."""
        return False

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """Its layers, in the order of the forward pass."""
        raise NotImplementedError

    def check_input(self, size: Sides) -> None:
        """Raise ValueError where features of this size are none that it can take."""

    def load_public(self, model: "nn.Module", path: Path) -> None:
        """Replace the weights of what `build` made, but for those of its classes, by public ones.

        Raises ValueError in one line for a file that is not there or holds something else.
        """
        raise NotImplementedError

    def build(
        self,
        classes: int,
        generator: "torch.Generator",
        channels: int = 1,
        size: Sides | None = None,
    ) -> "nn.Module":
        """The network, initialized from `generator`: equal settings and seeds give equal weights,
        damped or not. It maps features (B, channels, mels, frames) to an Output, and draws in
        training only what `reseed` gave it a generator for.

        `size` (mels, frames) is that of all features it will see; only a network that flattens its
        last map or normalizes its input by frame needs it. Raises ValueError when they are then too
        small for it.
        """
        model = self.module(self.layers(classes, channels), size)
        self.initialize(model, generator)
        return model

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":
        """The network of these layers, its weights not drawn yet; see `build`."""
        raise NotImplementedError

    def initialize(self, model: "nn.Module", generator: "torch.Generator") -> None:
        """Draw the weights of what `module` made."""
        from scaling.networks.modules.kernels import initialize

        initialize(model, generator, self.styled.initialization)


class Chain(Network):
    """A network without branches: convolutions one after the other, then dense layers."""

    damping: Damping = 0.0
    dropout: Dropout = 0.0

    def module(self, layers: list[Layer], size: Sides | None) -> "nn.Module":
        """See Network.module."""
        from scaling.networks.modules.chain import ChainModule

        return ChainModule(layers, self.styled, self.damping, self.dropout, size)
