"""The variational information bottleneck: cross-entropy + beta x divergence from N(0, I).

The network's own last layer puts out mean and deviation of K independent dimensions instead of
classes; one dense layer reads a sample of them. Sources: Alemi et al. 2017; Hu et al. 2021, Eq. 3
(beta weighs the divergence only; nats).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from scaling.networks.cost import Layer
from scaling.networks.plan import Scheme
from scaling.objectives.objective import Objective

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from scaling.networks.modules.output import Output
    from scaling.objectives.modules.losses import Loss


class Bottleneck(Objective):
    """A Gaussian of K dimensions between the network and the classes."""

    kind: Literal["bottleneck"] = "bottleneck"
    beta: Annotated[float, Field(ge=0, le=100, description="beta: weight of the KL divergence")] = (
        0.0
    )
    latent: Annotated[
        int,
        Field(
            ge=0, le=65_536, description="K: dimensions of the Gaussian; must be set to 1 or more"
        ),
    ] = 0
    offset: Annotated[
        float,
        Field(ge=-20, le=20, description="offset of the standard deviation, softplus(x - offset)"),
    ] = 0.0

    apart: ClassVar[tuple[str, ...]] = ("beta",)

    @model_validator(mode="after")
    def _has_dimensions(self) -> Self:
        if not self.latent:
            raise ValueError("kind=bottleneck needs latent to be 1 or more, not 0")
        return self

    def outputs(self, classes: int) -> int:  # noqa: ARG002
        """A mean and a deviation for each dimension."""
        return 2 * self.latent

    def head_layers(self, classes: int) -> list[Layer]:
        """The dense layer that reads the sample."""
        return [Layer("answer", self.latent, classes, bias=True, norm=False, reads="mean")]

    def with_head(
        self,
        network: "nn.Module",
        classes: int,
        generator: "torch.Generator",
        scheme: Scheme = "he",
    ) -> "nn.Module":
        """See Objective.with_head."""
        from scaling.objectives.modules import bottleneck

        return bottleneck.BottleneckHead(
            network, self.latent, classes, self.offset, generator, scheme
        )

    def loss(self, outputs: "Sequence[Output]", targets_BY: "Tensor", epoch: int) -> "Loss":  # noqa: ARG002
        """See Objective.loss."""
        from scaling.objectives.modules import losses

        mean = losses.divergence_of(outputs)
        parts = {
            "cross_entropy": losses.cross_entropy(outputs, targets_BY),
            "weighted_divergence": self.beta * mean,
        }
        return losses.Loss(parts, {"divergence": mean})
