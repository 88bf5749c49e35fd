"""Pruning: what all ways of pruning share, as settings: how many weights stay, and when they go.

A way of pruning is described here without torch; scaling.pruning.masks holds what it computes.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from scaling.networks.network import Network
from scaling.part import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from scaling.pruning.masks import Streams

Density = Annotated[
    Literal["largest", "uniform", "er", "erk", "magnitude"],
    Field(description="how the kept weights are distributed over layers"),
]
Guard = Annotated[
    float, Field(gt=0, le=1, description="largest sparsity of any layer; 1: no limit")
]
Score = Annotated[
    Literal["weight", "kernel"],
    Field(description="score of a weight: its magnitude, or that of weight x damping"),
]
Rounds = Annotated[int, Field(ge=1, le=1000, description="rounds of pruning; 1: one-shot")]
Target = Annotated[
    int, Field(ge=0, description="number of weights to keep; 0: as `target_width` says")
]
TargetWidth = Annotated[
    int, Field(ge=0, le=4096, description="keep as many weights as this network has at this width")
]


class Length(NamedTuple):
    """What a way of pruning has to fit of how a trial trains."""

    epochs: int
    warmup: float
    patience: int


class Pruning(Kind):
    """Which weights are cut, and when."""

    kind: str

    # whether an epoch is the same in a longer trial
    open_ended: ClassVar[bool] = True
    # settings with which a few epochs, after which it is timed, are as fast as with its own
    brief: ClassVar[Mapping[str, int]] = {}

    @property
    def stackable(self) -> bool:
        """Whether its trials may train side by side: masks that change within an epoch may not."""
        return True

    def check(self, network: Network, length: Length) -> None:
        """Raise ValueError where it does not fit the rest of a trial, in one line."""

    def scheduled(self, epoch: int, epochs: int) -> tuple[int, int]:
        """Of the schedule that the learning rate follows in an epoch, counted from 0, of so many:
        the epoch, and how many it has.
        """
        return epoch, epochs

    @property
    def largest_sparsity(self) -> float:
        """Sparsity that no layer exceeds; 1: a layer keeps one weight at least."""
        return 1.0


class Cutting(Pruning):
    """A way of pruning that cuts: down to a number of weights, or to those of another width."""

    target: Target = 0
    target_width: TargetWidth = 0

    @property
    def counts_collapse(self) -> bool:
        """Whether records tell how many layers are down to what may not be cut: not those of ways
        that earlier versions had, which stay as they were.
        """
        return True

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.target > 0) == (self.target_width > 0):
            raise ValueError(
                f"target={self.target} and target_width={self.target_width}: exactly one of the "
                "two must be above 0"
            )
        return self

    def begin(
        self,
        weights: "Mapping[str, Tensor]",
        groups: "Mapping[str, int]",
        target: int,
        streams: "Callable[[str], Streams]",
    ) -> "tuple[Mapping[str, Tensor], Mapping[str, Tensor]]":
        """Masks and weights of all layers as training begins. `groups` are those of convolutions,
        by layer; `streams` of a purpose give each layer a generator of its own.
        """
        raise NotImplementedError

    def check(self, network: Network, length: Length) -> None:  # noqa: ARG002
        """See Pruning.check."""
        if self.target_width > network.width:
            raise ValueError(
                f"pruning.target_width={self.target_width} is above network.width="
                f"{network.width}: pruning cannot add weights"
            )

    def needs_weights(self, network: Network, setting: str) -> None:
        """Raise ValueError for a network with layers that begin at zero, whose weights cannot be
        compared.
        """
        if network.begins_at_zero:
            raise ValueError(
                f"{setting} compares first weights, and network.initialization=fixup begins with "
                "layers at zero: network.initialization=he"
            )

    def remaining(self, dense: int, target: int, epoch: int) -> int:  # noqa: ARG002
        """How many of `dense` weights are left while epoch `epoch`, counted from 0, is trained: the
        target, unless it is reached on the way.
        """
        return target

    def cut(
        self,
        weights: "Mapping[str, Tensor]",
        kernels: "Mapping[str, Tensor]",
        masks: "Mapping[str, Tensor]",
        keep: int,
    ) -> "Mapping[str, Tensor]":
        """The masks of which `keep` weights stay; `kernels` are the weights as inputs meet them,
        damped. Raises ValueError where no so few can stay.
        """
        raise NotImplementedError
