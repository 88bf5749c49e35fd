"""Transfer: what a network takes over from one that was trained before."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from scaling.part import Part


class Transfer(Part):
    """What a network takes over from one that was trained before; only its last layer is new.

    Its standardization is taken over too; public weights know none.
    """

    trial: Annotated[
        str,
        Field(
            pattern="^([0-9a-f]{12})?$", description="its id; its results lie in the same folder"
        ),
    ] = ""
    weights: Annotated[
        str,
        Field(description="vggish: file of public weights in the folder weights of a data root"),
    ] = ""
    rate: Annotated[
        float, Field(gt=0, le=1, description="of the learning rate, for what is taken over")
    ] = 1.0

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.trial and self.weights:
            raise ValueError(f"trial={self.trial} and weights={self.weights}: name one of them")
        return self

    def idle(self) -> Iterator[tuple[str, str]]:
        """A rate of nothing."""
        if not (self.trial or self.weights):
            yield "rate", "nothing is taken over without trial or weights"
