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
            pattern="^([0-9a-f]{12})?$",
            description="trial whose weights are taken over: its id, in the same results folder",
        ),
    ] = ""
    weights: Annotated[
        str,
        Field(
            description="public weights for vggish, mn or passt: file in the folder `weights` of "
            "the data folder"
        ),
    ] = ""
    rate: Annotated[
        float,
        Field(gt=0, le=1, description="factor of the learning rate for the weights taken over"),
    ] = 1.0
    last_layer: Annotated[
        Literal["new", "kept"],
        Field(
            description="new: a new last layer; kept: that of `trial`, which must have the same "
            "classes"
        ),
    ] = "new"
    device: Annotated[
        str,
        Field(description="train and score on this one device or microphone only; empty: all"),
    ] = ""
    frozen: Annotated[
        bool, Field(description="freeze the weights taken over and train only the last layer")
    ] = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.trial and self.weights:
            raise ValueError(
                f"trial={self.trial} and weights={self.weights} exclude each other: set one of them"
            )
        if self.frozen and self.last_layer == "kept":
            raise ValueError(
                "frozen=true and last_layer=kept: nothing would be trained: set one of them"
            )
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
