"""Part: what all groups of settings share, a frozen, checked piece of a Trial.

A setting that changes nothing beside the others is refused, for it would rename the trial.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

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
            value, off = getattr(part, name), type(part).model_fields[name].default
            if value != off:
                raise ValueError(
                    f"{dotted}={_written(value)} changes nothing: {needed}; leave it at "
                    f"{_written(off)}"
                )
        return self


def repeated(words: Sequence[str]) -> list[str]:
    """The words that stand there more than once, in the order of the alphabet."""
    return sorted({word for word in words if words.count(word) > 1})


def _written(value: Any) -> str:
    """A value as a person would type it."""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value)) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
