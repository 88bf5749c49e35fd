"""A network of a person's own, by the name `module:Class`: what of it a trial states.

The class is any torch.nn.Module from features (B, 1, F, N) to logits (B, classes), or to logits and
the last map, or a subclass of Network. It is given by keyword whatever it takes of `classes`,
`mels`, `frames`, `width`, `damping`, `dropout` and its own options. scaling.networks.modules.own
builds and measures it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from scaling.networks.cost import Cost, Layer, Sides, count
from scaling.networks.network import Damping, Dropout, Network
from scaling.own import options, parts
from scaling.own.names import NETWORK, OFF, PATTERN, Options, Source, check_source, idle

if TYPE_CHECKING:
    import torch
    from torch import nn


class OwnNetwork(Network):
    """The name of a person's network, the digest of its source and its settings."""

    kind: Annotated[str, Field(pattern=PATTERN, description="network architecture")]
    source: Source = ""
    options: Options = ()
    damping: Damping = 0.0
    dropout: Dropout = 0.0

    @model_validator(mode="after")
    def _has_source(self) -> Self:
        check_source("kind", self.kind, self.source)
        return self

    def described(self) -> Network | None:
        """The same network as a person's own subclass of Network has it; None where theirs is a
        torch module. Raises ValueError as scaling.own.parts.loaded does.
        """
        thing = parts.loaded(self.kind, self.source, NETWORK)
        if not (isinstance(thing, type) and issubclass(thing, Network)):
            return None
        made = self.made(thing, {})
        assert isinstance(made, Network)
        return made

    def made(self, thing: Any, given: Mapping[str, Any]) -> Any:
        """What the class makes of this trial's settings. Raises ValueError in one line."""
        prefix, own = NETWORK.prefix, options.values(thing, self.options, NETWORK.prefix)
        beside = {name: getattr(self, name) for name in NETWORK.given}
        for name, value in beside.items():
            if value != OFF[name] and name not in options.takes(thing):
                raise idle(f"{prefix}{name}", value, self.kind)
        return options.called(self.kind, thing, {**given, **beside}, own)

    def layers(self, classes: int, channels: int = 1) -> list[Layer]:
        """See Network.layers; of a torch module they are not known."""
        if (described := self.described()) is None:
            raise ValueError(
                f"network.kind={self.kind} does not state its layers, which this needs: make it a "
                "subclass of Network (docs/own_parts.md)"
            )
        return described.layers(classes, channels)

    def cost(self, classes: int, size: Sides) -> Cost:
        """What it costs: counted by its layers, or by torch where it states none. Raises ValueError
        for a network that does not work on such an input.
        """
        if (described := self.described()) is not None:
            return count(described.layers(classes), size)
        return _measured(self, classes, size)

    def build(
        self,
        classes: int,
        generator: "torch.Generator",
        channels: int = 1,
        size: Sides | None = None,
    ) -> "nn.Module":
        """See Network.build."""
        if (described := self.described()) is not None:
            return described.build(classes, generator, channels, size)
        from scaling.networks.modules.own import Recipe, built

        assert size is not None, "a network of a person's own is built for one input"
        return built(Recipe(self.kind, self._made, classes, size), generator)

    def uncut(self, classes: int, size: Sides) -> str:
        """A layer with weights that masks cannot cut, as `lstm (LSTM)`; "" where there is none."""
        if self.described() is not None:
            return ""
        from scaling.networks.modules.own import Recipe, uncut

        return uncut(Recipe(self.kind, self._made, classes, size))

    def _made(self, given: Mapping[str, Any]) -> Any:
        return self.made(parts.loaded(self.kind, self.source, NETWORK), given)


@lru_cache(maxsize=1000)
def _measured(network: OwnNetwork, classes: int, size: Sides) -> Cost:
    from scaling.networks.modules.own import Recipe, measured

    return measured(Recipe(network.kind, network._made, classes, size))
