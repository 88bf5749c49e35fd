"""Part: what all groups of settings share, a frozen, checked piece of a Trial.

A setting that changes nothing beside the others is refused, for it would rename the trial. Parts
that come in kinds (networks, objectives, ways of pruning) are one class per kind, each with its own
settings only; OneOf marks the field that holds one of them. No torch. Contents: Part; Kind, OneOf
and `kinds` for parts that come in kinds; `repeated`, `written`.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple, Self, TypeVar, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from scaling.own.names import OWN, family

RECORDED = {"recorded": True}  # the context in which settings of an earlier version are read


class Part(BaseModel):
    """A frozen, checked piece of a Trial; unknown names and non-finite numbers are refused, and so
    are settings that change nothing, unless they are read from a record that has them.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    def idle(self) -> Iterator[tuple[str, str]]:
        """Fields that change nothing beside the others, and what they would need; stated or not."""
        yield from ()

    @model_validator(mode="after")
    def _all_have_an_effect(self, info: ValidationInfo) -> Self:
        if (info.context or {}).get("recorded"):
            return self
        for dotted, needed in self.idle():
            *parents, name = dotted.split(".")
            part: Part = self
            for parent in parents:
                part = getattr(part, parent)
            if name not in type(part).model_fields:
                continue
            value, off = getattr(part, name), type(part).model_fields[name].default
            if value != off:
                if isinstance(value, Kind):
                    dotted, value, off = f"{dotted}.kind", value.kind, off.kind
                raise ValueError(without_effect(dotted, value, needed, off))
        return self


class Kind(Part):
    """A part of which there are several kinds, told apart by `kind`, which is always stated."""

    kind: str

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": self.kind, **handler(self)}


K = TypeVar("K", bound=Kind)


class OneOf(NamedTuple):
    """Annotates a field that holds one of these kinds, or a person's own: `network:
    Annotated[Network, OneOf(NETWORKS, OwnNetwork)]`.
    """

    shipped: Mapping[str, type[Kind]]
    own: type[Kind] | None = None

    @property
    def kinds(self) -> dict[str, type[Kind]]:
        """All classes by their kind."""
        return {**self.shipped, **({OWN: self.own} if self.own else {})}

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        tagged = tuple(Annotated[each, Tag(kind)] for kind, each in self.kinds.items())
        union = Union[tagged]  # type: ignore[valid-type]  # noqa: UP007
        return handler.generate_schema(Annotated[union, Discriminator(_kind_of)])


def _kind_of(value: Any) -> Any:
    """The kind that a part states, as OneOf lists them."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return family(kind) if isinstance(kind, str) else None


def kinds(package: str, names: Sequence[str], base: type[K]) -> dict[str, type[K]]:
    """The classes of a package by their kind: the module of each name holds the one of that
    `kind`.
    """
    found: dict[str, type[K]] = {}
    for name in names:
        (found[name],) = (
            each
            for each in vars(import_module(f"{package}.{name}")).values()
            if isinstance(each, type)
            and issubclass(each, base)
            and each.model_fields["kind"].default == name
        )
    return found


def without_effect(dotted: str, value: Any, why: str, off: Any) -> str:
    """The line that refuses a setting which changes nothing."""
    return f"{dotted}={written(value)} changes nothing: {why}; leave it at {written(off)}"


def repeated(words: Sequence[str]) -> list[str]:
    """The words that stand there more than once, in the order of the alphabet."""
    return sorted({word for word in words if words.count(word) > 1})


def written(value: Any) -> str:
    """A value as a person would type it."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
