"""What learns: the network, what is cut from it, what it takes over, and what training minimizes.

Contents: Network, Pruning, Objective, Transfer.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scaling.part import Part


class Network(Part):
    """A network as numbers; scaling.networks builds it and counts its cost."""

    kind: Literal["cp_resnet", "vib_cnn", "vgg9", "sb_cnn", "vgg5", "timbre", "vggish", "mfcc"]
    width: Annotated[
        int,
        Field(ge=1, le=4096, description="W: channels of the first stage; timbre: per class"),
    ]
    depth: Annotated[
        int, Field(ge=0, le=64, description="cp_resnet: D, 3x3 blocks of width 2W")
    ] = 0
    pointwise: Annotated[
        int, Field(ge=0, le=64, description="cp_resnet: K, 1x1 blocks of width 4W")
    ] = 0
    damping: Annotated[
        float,
        Field(ge=0, le=1, description="0: plain kernels; 1: outermost frequency taps are zero"),
    ] = 0.0
    initialization: Annotated[
        Literal["fixup", "he"], Field(description="cp_resnet's; the others have one each")
    ] = "fixup"
    dropout: Annotated[
        float,
        Field(ge=0, lt=1, description="share of channels dropped; cp_resnet: behind its blocks"),
    ] = 0.0
    flatten: Annotated[
        bool, Field(description="vib_cnn: dense layer on the whole map; off: on its mean")
    ] = False
    padding: Annotated[
        Literal["valid", "same"], Field(description="vib_cnn: same: zeros around every map")
    ] = "valid"
    input_norm: Annotated[
        Literal["channel", "time"],
        Field(description="vgg5: time: its input is normalized frame by frame"),
    ] = "channel"
    linear_embedding: Annotated[
        bool, Field(description="vggish: no ReLU behind the embedding; off: as published")
    ] = False

    def idle(self) -> Iterator[tuple[str, str]]:
        """What only one kind of network has, and what the smallest have not."""
        owner = dict.fromkeys(("depth", "pointwise", "initialization"), "cp_resnet")
        owner |= dict.fromkeys(("flatten", "padding"), "vib_cnn")
        owner |= {"input_norm": "vgg5", "linear_embedding": "vggish"}
        for name, kind in owner.items():
            if kind != self.kind:
                yield name, f"{self.kind} has no {name}, only {kind} has"
        if self.kind == "timbre":
            yield "dropout", "timbre's only maps are those of its scores"
        if self.kind == "mfcc":
            for name in ("dropout", "damping"):
                yield name, "mfcc has no layers"


class Pruning(Part):
    """Which weights are cut, and when; scaling.pruning.masks says how."""

    kind: Literal["none", "static", "magnitude"] = "none"
    target: Annotated[
        int, Field(ge=0, description="weights kept in the end; 0: those at target_width")
    ] = 0
    target_width: Annotated[
        int, Field(ge=0, le=4096, description="keep as many as this network has at this width")
    ] = 0
    initialization: Annotated[
        Literal["keep", "rescale", "uniform"],
        Field(description="static: what is left keeps its draw, is widened, or is drawn anew"),
    ] = "keep"
    schedule: Literal["geometric", "saturating", "ramp"] = "geometric"
    start: Annotated[int, Field(ge=0, description="magnitude: epochs trained before")] = 0
    length: Annotated[int, Field(ge=1, description="magnitude: epochs of pruning")] = 50
    rate: Annotated[float, Field(gt=0, le=100, description="saturating: a; larger: sooner")] = 5.0
    score: Annotated[
        Literal["weight", "kernel"],
        Field(description="magnitude of the weight, or of weight x damping"),
    ] = "weight"
    guard: Annotated[
        float, Field(gt=0, le=1, description="magnitude: sparsity that no layer exceeds; 1: none")
    ] = 0.99

    def idle(self) -> Iterator[tuple[str, str]]:
        """What belongs to the other way of pruning, or to none."""
        if self.kind == "none":
            names = [name for name in type(self).model_fields if name != "kind"]
            yield from ((name, "kind=none prunes nothing") for name in names)
        if self.kind == "static":
            for name in ("schedule", "start", "length", "rate", "score", "guard"):
                yield name, "only kind=magnitude cuts while it trains"
        if self.kind == "magnitude":
            yield "initialization", "only kind=static cuts before training"
            if self.schedule != "saturating":
                yield "rate", f"schedule={self.schedule} has none, only saturating has"

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.kind != "none" and (self.target > 0) == (self.target_width > 0):
            raise ValueError(
                f"target={self.target} and target_width={self.target_width}: exactly one of the "
                "two must be above 0"
            )
        return self


class Objective(Part):
    """What training minimizes; scaling.objectives says how."""

    kind: Literal["cross_entropy", "bottleneck", "consistency", "prototypes", "neighbours"] = (
        "cross_entropy"
    )
    beta: Annotated[
        float, Field(ge=0, le=100, description="bottleneck: weight of the divergence")
    ] = 0.0
    latent: Annotated[
        int, Field(ge=0, le=65_536, description="bottleneck: K, dimensions of its Gaussian")
    ] = 0
    offset: Annotated[
        float, Field(ge=-20, le=20, description="bottleneck: deviation = softplus(x - offset)")
    ] = 0.0
    weight: Annotated[
        float, Field(ge=0, le=1000, description="consistency: of the divergence, once ramped up")
    ] = 0.0
    ramp: Annotated[
        int, Field(ge=0, description="consistency: epochs in which the weight grows from 0")
    ] = 0
    embedding: Annotated[
        int, Field(ge=0, le=65_536, description="prototypes: dimensions of their space")
    ] = 0
    support: Annotated[
        int,
        Field(ge=1, le=10_000, description="prototypes: the most clips that each is the mean of"),
    ] = 5
    distance: Annotated[
        Literal["mean_squared", "squared", "cosine"],
        Field(description="prototypes: mean or sum over the dimensions, or 1 - cosine"),
    ] = "mean_squared"

    def idle(self) -> Iterator[tuple[str, str]]:
        """What belongs to another objective; a ramp of nothing."""
        owner = dict.fromkeys(("beta", "latent", "offset"), "bottleneck")
        owner |= dict.fromkeys(("weight", "ramp"), "consistency")
        owner |= dict.fromkeys(("embedding", "support", "distance"), "prototypes")
        for name, kind in owner.items():
            if kind != self.kind:
                yield name, f"it belongs to kind={kind}, not to {self.kind}"
        if not self.weight:
            yield "ramp", "weight=0 stays 0"

    @model_validator(mode="after")
    def _belongs(self) -> Self:
        if (self.kind == "bottleneck") != (self.latent > 0):
            raise ValueError(
                f"kind={self.kind} with latent={self.latent}: bottleneck needs 1 or more"
            )
        if (self.kind == "prototypes") != (self.embedding > 0):
            raise ValueError(
                f"kind={self.kind} with embedding={self.embedding}: prototypes need 1 or more"
            )
        return self


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
