"""An objective of a person's own, by the name `module:Class`: a loss, or a subclass of Objective.

A loss is a function of logits and targets, both (B, Y), or a class whose objects are one; a torch
module, say. Its keywords are options. It sees one view of a clip.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from scaling.networks.cost import Layer
from scaling.networks.plan import Scheme
from scaling.objectives.objective import Objective
from scaling.own import options, parts
from scaling.own.names import OBJECTIVE, PATTERN, Options, Source, check_source

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from scaling.networks.modules.output import Output
    from scaling.objectives.modules.losses import Loss


class OwnObjective(Objective):
    """The name of a person's objective, the digest of its source and its settings."""

    kind: Annotated[str, Field(pattern=PATTERN, description="objective that training minimizes")]
    source: Source = ""
    options: Options = ()

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        check_source("kind", self.kind, self.source)
        return self

    def outputs(self, classes: int) -> int:
        """See Objective.outputs."""
        made = _made(self)
        return made.outputs(classes) if isinstance(made, Objective) else classes

    def head_layers(self, classes: int) -> list[Layer]:
        """See Objective.head_layers."""
        made = _made(self)
        return made.head_layers(classes) if isinstance(made, Objective) else []

    def with_head(
        self,
        network: "nn.Module",
        classes: int,
        generator: "torch.Generator",
        scheme: Scheme = "he",  # noqa: ARG002
    ) -> "nn.Module":
        """See Objective.with_head."""
        made = _made(self)
        if isinstance(made, Objective):
            return made.with_head(network, classes, generator)
        return network

    def loss(self, outputs: "Sequence[Output]", targets_BY: "Tensor", epoch: int) -> "Loss":
        """See Objective.loss. Raises ValueError where a person's loss is no single number."""
        from torch import Tensor

        from scaling.objectives.modules.losses import Loss

        made = _made(self)
        if isinstance(made, Objective):
            return made.loss(outputs, targets_BY, epoch)
        found = made(outputs[0].logits_BY.float(), targets_BY)
        if not isinstance(found, Tensor) or found.ndim or not found.is_floating_point():
            shape = f" {tuple(found.shape)}" if isinstance(found, Tensor) else ""
            raise ValueError(
                f"objective.kind={self.kind} makes a {type(found).__name__}{shape}: a loss is one "
                "number, the mean over clips"
            )
        name = self.kind.partition(":")[2].lower()
        return Loss({"own" if name == "loss" else name: found}, {})


@lru_cache(maxsize=100)
def _made(objective: OwnObjective) -> Any:
    """A person's own Objective with its settings, or their loss as a function of two tensors."""
    kind, prefix = objective.kind, OBJECTIVE.prefix
    thing: Callable[..., Any] = parts.loaded(kind, objective.source, OBJECTIVE)
    own = options.values(thing, objective.options, prefix)
    if not isinstance(thing, type):
        return partial(thing, **own)
    made = options.called(f"{OBJECTIVE.field}={kind}", thing, {}, own)
    if isinstance(made, Objective) and (made.views > 1 or not made.trains):
        raise ValueError(
            f"{OBJECTIVE.field}={kind}: an objective of your own has one view of each clip and "
            "trains; others are added to Overhear itself (docs/extend.md)"
        )
    return made
