"""Transfer: what a network takes over from one that was trained before."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.part import Part


class Transfer(Part):
    """What a network takes over from one that was trained before; only its last layer is new,
    unless that is kept, too.

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
        Field(
            description="vggish, mn, passt: file of public weights in the folder weights of a data "
            "root"
        ),
    ] = ""
    rate: Annotated[
        float, Field(gt=0, le=1, description="of the learning rate, for what is taken over")
    ] = 1.0
    last_layer: Annotated[
        Literal["new", "kept"],
        Field(description="kept: that of `trial`, too, which then has the same classes"),
    ] = "new"
    device: Annotated[
        str,
        Field(description="the one device or microphone to train on and score as seen; empty: all"),
    ] = ""
    frozen: Annotated[
        bool, Field(description="what is taken over does not learn: only the last layer does")
    ] = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.trial and self.weights:
            raise ValueError(f"trial={self.trial} and weights={self.weights}: name one of them")
        if self.frozen and self.last_layer == "kept":
            raise ValueError("frozen=true and last_layer=kept: nothing would learn: name one")
        return self

    def idle(self) -> Iterator[tuple[str, str]]:
        """What needs something to be taken over, to learn, or a trial."""
        if not (self.trial or self.weights):
            for name in ("rate", "frozen"):
                yield name, "nothing is taken over without trial or weights"
        elif self.frozen:
            yield "rate", "frozen=true learns nothing of what is taken over"
        if not self.trial:
            for name in ("last_layer", "device"):
                yield name, "no trained classifier is taken over without trial"
