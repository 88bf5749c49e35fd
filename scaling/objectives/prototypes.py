"""Prototypes: cross-entropy of distances to the mean of each class's examples.

The network's own last layer puts out a place in a space of E dimensions instead of classes.
Sources: Snell et al. 2017; Pons et al. 2019 (facts: vib_few_data_consistency, section B5).
"""

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.networks.plan import Scheme
from scaling.objectives.cross_entropy import CrossEntropy
from scaling.objectives.objective import Objective

if TYPE_CHECKING:
    import torch
    from torch import nn


class Prototypes(Objective):
    """A space in which clips lie near the examples of their class."""

    kind: Literal["prototypes"] = "prototypes"
    embedding: Annotated[
        int,
        Field(ge=0, le=65_536, description="dimensions of the embedding; must be set to 1 or more"),
    ] = 0
    support: Annotated[
        int,
        Field(ge=1, le=10_000, description="largest number of clips averaged into a prototype"),
    ] = 5
    distance: Annotated[
        Literal["mean_squared", "squared", "cosine"],
        Field(
            description="distance to a prototype: squared, averaged or summed over the dimensions, "
            "or 1 - cosine"
        ),
    ] = "mean_squared"

    queries: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description="clips per class in a step, or as many as the class has; 0: batches are "
            "drawn from all clips",
        ),
    ] = 0

    @property
    def stackable(self) -> bool:
        """See Objective.stackable: classes may have fewer clips than there are queries."""
        return not self.queries

    @model_validator(mode="after")
    def _has_dimensions(self) -> Self:
        if not self.embedding:
            raise ValueError("kind=prototypes needs embedding to be 1 or more, not 0")
        return self

    def outputs(self, classes: int) -> int:  # noqa: ARG002
        """A place in the space."""
        return self.embedding

    def with_head(
        self,
        network: "nn.Module",
        classes: int,
        generator: "torch.Generator",  # noqa: ARG002
        scheme: Scheme = "he",  # noqa: ARG002
    ) -> "nn.Module":
        """See Objective.with_head; the examples are shown later."""
        from scaling.objectives.modules import prototypes

        return prototypes.PrototypesHead(network, classes, self.distance)

    loss = CrossEntropy.loss  # of distances: the head makes them
