"""Checked: a Trial made of values by dotted names, or one line that says why it is none.

Contents: `checked`; `explain`, a pydantic error as one line.
"""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from scaling.rejected import rejected
from scaling.settings.fields import settings
from scaling.settings.trial import Trial
from scaling.spelling import SETTINGS, closest, nearest, shortened


def checked(stated: Mapping[str, Any], context: dict[str, bool] | None = None) -> Trial:
    """The Trial with these values by dotted names; with the context RECORDED (scaling.part), as an
    earlier version recorded them. Raises ValueError as `explain` words it.
    """
    try:
        return Trial.model_validate(_nested(stated), context=context)
    except ValidationError as error:
        raise ValueError(explain(error)) from None


def _nested(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted names as the parts that they belong to."""
    nested: dict[str, Any] = {}
    for name, value in stated.items():
        *parents, leaf = name.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = value
    return nested


def explain(error: ValidationError) -> str:
    """The first problem of a pydantic error as one line: field, value, bound; and how many more
    there are.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    name = _name(first["loc"])
    if first["type"] == "extra_forbidden":
        known = settings().get(name)
        which = f"only {', '.join(known.kinds)} has it" if known else ""
        line = f"{name}: {which or f'no such setting{nearest(name, settings(), SETTINGS)}'}"
    elif first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        choices = get_args(settings()[f"{name}.kind"].type)
        given = first["input"].get("kind") if isinstance(first["input"], dict) else None
        listed = ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
        named = f"={shortened(given)}" if isinstance(given, str) else ""
        near = closest(given, choices) if isinstance(given, str) else ""
        meant = f" (did you mean {near}?)" if near else ""
        line = f"{name}.kind{named}: must be {listed}{meant}"
    elif first["type"] == "value_error":
        said = first["msg"].removeprefix("Value error, ")
        joint = "." if " changes nothing: " in said else ": "  # which begins with the field's name
        line = f"{name}{joint if name else ''}{said}"
    elif first["type"] == "missing":
        line = f"{name}: missing"
    else:
        line = rejected(name, first)
    return line + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")


def _name(place: tuple[int | str, ...]) -> str:
    """The dotted name of a place in a trial, without the kind that pydantic puts in between."""
    words = [str(word) for word in place]
    kinds = [get_args(each.type) for name, each in settings().items() if name.endswith(".kind")]
    if len(words) > 1 and any(words[1] in known for known in kinds):
        del words[1]
    return ".".join(words)
