"""Fields: every setting of a Trial by its dotted name, as `network.width`.

A part that comes in kinds has the fields of all its kinds; a kind that lacks one of them has it
"off". Contents: Setting, `settings` and `leaves`; `admits`; `kind_of`, the setting that names the
kind of another's part; `joined` and `words`, a list as one text.
"""

import csv
import io
from functools import cache
from typing import Any, Literal, NamedTuple, get_args

from pydantic.fields import FieldInfo

from scaling.own.names import OWN, Words, family
from scaling.part import OneOf, Part
from scaling.settings.trial import Trial
from scaling.spelling import shortened

REQUIRED: Any = object()  # what a setting is without that has no "off"


class Setting(NamedTuple):
    """One setting of a Trial."""

    name: str  # dotted
    type: Any
    off: Any  # its default; REQUIRED where each trial states it
    field: FieldInfo  # with its bounds and its description
    kinds: tuple[str, ...] = ()  # those of its part that have it; none: all have

    @property
    def column(self) -> Any:
        """Its "off" as a manifest holds it."""
        return joined(self.off) if isinstance(self.off, tuple) else self.off


@cache
def settings() -> dict[str, Setting]:
    """Every setting by its dotted name, in the order of the manifest's columns."""
    return {each.name: each for each in _settings(Trial, "")}


def _settings(part: type[Part], prefix: str) -> "list[Setting]":
    found: list[Setting] = []
    for name, field in part.model_fields.items():
        kind: Any = field.annotation
        off = REQUIRED if field.is_required() else field.default
        (one_of,) = [each for each in field.metadata if isinstance(each, OneOf)] or (None,)
        if one_of:
            found += _of_kinds(one_of, f"{prefix}{name}.", off)
        elif isinstance(kind, type) and issubclass(kind, Part):
            found += _settings(kind, f"{prefix}{name}.")
        else:
            for words in field.metadata:
                if isinstance(words, Words):
                    kind = Literal[(*words.words, OWN)]
            found.append(Setting(prefix + name, kind, off, field))
    return found


def _of_kinds(one_of: OneOf, prefix: str, off: Any) -> list[Setting]:
    """The settings of all kinds of a part, each once, with the kinds that have it."""
    merged: dict[str, Setting] = {}
    for kind, variant in one_of.kinds.items():
        for each in _settings(variant, prefix):
            first = merged.setdefault(each.name, each)
            assert first.type == each.type or each.name == f"{prefix}kind", each.name
            assert first.off == each.off or each.name == f"{prefix}kind", each.name
            merged[each.name] = first._replace(kinds=(*first.kinds, kind))
    chosen = merged[f"{prefix}kind"]
    kinds = Literal[tuple(one_of.kinds)]  # type: ignore[valid-type]
    usual = off if off is REQUIRED else off.kind
    merged[chosen.name] = chosen._replace(type=kinds, off=usual)
    every = tuple(one_of.kinds)
    for each in merged.values():
        assert each.kinds == every or each.off is not REQUIRED, f"{each.name} needs a default"
    return [each._replace(kinds=()) if each.kinds == every else each for each in merged.values()]


def leaves() -> dict[str, Any]:
    """The type of every setting by its dotted name: what `--set` accepts."""
    return {name: each.type for name, each in settings().items()}


def admits(kind: Any, value: Any) -> bool:
    """Whether a Literal has this word, or may be a part of a person's own and this names one."""
    return family(value) in get_args(kind)


def kind_of(name: str) -> str:
    """The setting that names the kind of a setting's part."""
    return f"{name.rpartition('.')[0]}.kind"


def joined(words: tuple[str, ...]) -> str:
    """The words with commas between; quoted, as in a CSV row, where they hold commas or quotes."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(words)
    return row.getvalue()


def words(dotted: str, text: str) -> tuple[str, ...]:
    """The words of a list: `a,b`, or `"a, or b",c`."""
    try:
        rows = list(csv.reader([text], strict=True)) if '"' in text else [text.split(",")]
    except csv.Error as error:
        raise ValueError(f"{dotted}={shortened(text)}: {error}; quote as in CSV") from None
    return tuple(word for row in rows for word in row if word)
