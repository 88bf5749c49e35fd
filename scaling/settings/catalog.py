"""Catalog: what can be set, in words: each setting with its type, default, bounds and meaning."""

from functools import cache
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from scaling.settings.fields import REQUIRED, Setting, settings
from scaling.spelling import closest

BOUNDS = {"ge": "{} or more", "gt": "above {}", "le": "at most {}", "lt": "below {}"}


class Entry(NamedTuple):
    """What `--set` accepts under one name."""

    name: str  # dotted, as network.width
    type: str  # as a person writes it: a whole number, true or false, one of some words
    default: Any  # None where it is required, or where that is its default
    required: bool
    bound: str  # as `1 to 4096`; empty: none
    meaning: str
    kinds: tuple[str, ...]  # of its part, where only some have it; empty: all have

    @property
    def whose(self) -> str:
        """The kinds that have it, or that lack it, whichever are fewer; nothing where all have."""
        if not self.kinds:
            return ""
        every = get_args(settings()[f"{self.name.rpartition('.')[0]}.kind"].type)
        lacking = [kind for kind in every if kind not in self.kinds]
        return (
            f"of all but {', '.join(lacking)}"
            if len(lacking) < len(self.kinds)
            else (f"of {', '.join(self.kinds)}")
        )


def catalog(prefix: str = "") -> list[Entry]:
    """The settings whose dotted name begins with a prefix, in the order of Trial's fields.

    Raises ValueError, with the nearest name, where there is none.
    """
    found = [
        Entry(
            each.name,
            _type(each.type),
            None if each.off is REQUIRED else each.off,
            each.off is REQUIRED,
            _bound(each.field),
            _meaning(each),
            each.kinds,
        )
        for each in settings().values()
        if each.name.startswith(prefix)
    ]
    if not found:
        groups = dict.fromkeys(name.partition(".")[0] for name in settings())
        near = closest(prefix, [*groups, *settings()])
        meant = f"did you mean {near}?" if near else f"they begin with {', '.join(groups)}"
        raise ValueError(f"{prefix[:60]}: no such setting ({meant})")
    return found


@cache
def defaults() -> dict[str, Any]:
    """The default of each setting that has one, by its dotted name."""
    return {each.name: each.off for each in settings().values() if each.off is not REQUIRED}


def _meaning(each: Setting) -> str:
    part, _, leaf = each.name.rpartition(".")
    return each.field.description or (f"kind of {part}" if leaf == "kind" else "")


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
