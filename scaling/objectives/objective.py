"""Objective: what all objectives share, as settings: views of a clip, head of the network, loss.

The training loop knows no objective by name: it makes as many views of each clip as asked, hands
over the network's outputs with the targets, and adds up the parts of the loss. An objective is
described here without torch; scaling.objectives.modules holds its losses and heads.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from scaling.networks.cost import Layer
from scaling.networks.plan import Scheme
from scaling.part import Kind

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from scaling.networks.modules.output import Output
    from scaling.objectives.modules.losses import Loss


class Objective(Kind):
    """What training minimizes."""

    kind: str

    trains: ClassVar[bool] = True  # whether anything is minimized at all
    # settings that only its loss reads: trials that train side by side may differ in them
    apart: ClassVar[tuple[str, ...]] = ()

    @property
    def views(self) -> int:
        """How many there are of each clip: as recorded, then transformed ones."""
        return 1

    @property
    def stackable(self) -> bool:
        """Whether its trials may train side by side: steps of unlike sizes may not."""
        return True

    @property
    def sources(self) -> tuple[str, ...]:
        """The ids of the trials that it learns from, which are trained before."""
        return ()

    def outputs(self, classes: int) -> int:
        """How many numbers its head wants of the network."""
        return classes

    def head_layers(self, classes: int) -> list[Layer]:  # noqa: ARG002
        """The layers of its head, after those of the network."""
        return []

    def with_head(
        self,
        network: "nn.Module",
        classes: int,  # noqa: ARG002
        generator: "torch.Generator",  # noqa: ARG002
        scheme: Scheme = "he",  # noqa: ARG002
    ) -> "nn.Module":
        """A network that puts out `outputs(classes)` numbers, with the head after it, whose weights
        are drawn from `generator` by `scheme`.
        """
        return network

    def loss(self, outputs: "Sequence[Output]", targets_BY: "Tensor", epoch: int) -> "Loss":
        """What one step's outputs, one for each view, amount to in an epoch counted from 0.

        Targets are class probabilities, so that mixed clips are not a special case.
        """
        raise NotImplementedError

    def stage(self, epoch: int) -> int:  # noqa: ARG002
        """Epochs of one number have one loss: all of them, where `loss` does not read the epoch."""
        return 0

    def distilled(
        self, outputs: "Sequence[Output]", targets_BY: "Tensor", teachers: "Sequence[Tensor]"
    ) -> "Loss":
        """`loss`, where it has sources: `teachers` are their logits for the same view, (B, Y)."""
        raise NotImplementedError
