"""Catalog: every setting of a Trial by its dotted name, with type, default, bounds and meaning.

Walks the fields of the parts, unions of variants included, so that a new setting is listed without
a line here. Contents: Setting; `catalog`, `defaults`.
"""

import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from scaling.part import Part
from scaling.settings.trial import Trial, closest

BOUNDS = {"ge": "{} or more", "gt": "above {}", "le": "at most {}", "lt": "below {}"}


class Setting(NamedTuple):
    """What `--set` accepts under one name."""

    name: str  # dotted, as network.width
    type: str  # as a person writes it: a whole number, true or false, one of some words
    default: Any  # None where it is required, or where that is its default
    required: bool
    bound: str  # as `1 to 4096`; empty: none
    meaning: str
    kinds: tuple[str, ...]  # of its part, where only some have it; empty: all have


def catalog(prefix: str = "") -> list[Setting]:
    """The settings whose dotted name begins with a prefix, in the order of Trial's fields.

    Raises ValueError, with the nearest name, where there is none.
    """
    found: dict[str, Setting] = {}
    for name, field, kinds in _fields(Trial):
        made = _setting(name, field, kinds)
        found[name] = _merged(found[name], made) if name in found else made
    chosen = [each for each in found.values() if each.name.startswith(prefix)]
    if not chosen:
        groups = dict.fromkeys(name.partition(".")[0] for name in found)
        near = closest(prefix, [*groups, *found])
        meant = f"did you mean {near}?" if near else f"they begin with {', '.join(groups)}"
        raise ValueError(f"{prefix[:60]}: no such setting ({meant})")
    return chosen


@cache
def defaults() -> dict[str, Any]:
    """The default of each setting that has one, by its dotted name."""
    return {each.name: each.default for each in catalog() if not each.required}


def _fields(part: type[Part]) -> Iterator[tuple[str, FieldInfo, tuple[str, ...]]]:
    """Dotted name, field and the kinds that have it, for every leaf below a part."""
    for name, field in part.model_fields.items():
        variants = _parts(field.annotation)
        if not variants:
            yield name, field, ()
        for variant in variants:
            of = _kinds(variant) if len(variants) > 1 else ()
            for inner, leaf, kinds in _fields(variant):
                yield f"{name}.{inner}", leaf, kinds or (of if inner != "kind" else ())


def _parts(annotation: Any) -> list[type[Part]]:
    """The groups of settings that an annotation holds: one, or the variants of a union."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return [each for inner in get_args(annotation) for each in _parts(inner)]
    return []


def _kinds(variant: type[Part]) -> tuple[str, ...]:
    """The values of `kind` that stand for a variant of a union."""
    return tuple(map(str, get_args(variant.model_fields["kind"].annotation)))


def _setting(name: str, field: FieldInfo, kinds: tuple[str, ...]) -> Setting:
    required = field.is_required()
    return Setting(
        name,
        _type(field.annotation),
        None if required else field.get_default(call_default_factory=True),
        required,
        _bound(field),
        field.description or "",
        kinds,
    )


def _merged(one: Setting, other: Setting) -> Setting:
    """One setting of two variants of a union that share its name."""
    kinds = tuple(dict.fromkeys((*one.kinds, *other.kinds)))
    words = dict.fromkeys([*one.type.split(" | "), *other.type.split(" | ")])
    meanings = dict.fromkeys(filter(None, (one.meaning, other.meaning)))
    return one._replace(
        type=" | ".join(words),
        required=one.required and other.required,
        default=other.default if one.required else one.default,
        bound=one.bound if one.bound == other.bound else "",
        meaning="; ".join(meanings),
        kinds=kinds,
    )


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is tuple:
        return "words, comma-separated"
    if options := [each for each in get_args(annotation) if each is not type(None)]:
        null = ["null"] if type(None) in get_args(annotation) else []
        return " | ".join([*map(_type, options), *null])
    return {int: "int", float: "float", bool: "true | false", str: "text"}[annotation]


def _bound(field: FieldInfo) -> str:
    found = {
        name: _number(getattr(each, name))
        for each in field.metadata
        for name in BOUNDS
        if hasattr(each, name)
    }
    if found.keys() == {"ge", "le"}:
        return f"{found['ge']} to {found['le']}"
    return ", ".join(BOUNDS[name].format(value) for name, value in found.items())


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
