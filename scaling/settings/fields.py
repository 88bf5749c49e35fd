"""Fields: every setting of a Trial by its dotted name (`network.width`), and the doors through
which people's words and recorded rows come in.

A part that comes in kinds has the fields of all its kinds; a kind that lacks one of them has it
"off". Contents: Setting, `settings` and `leaves`; `changed` (dotted fields as text or values),
`flat` and `unflat` (columns), `explain` (an error as one line).
"""

import csv
import io
import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from scaling.own.names import OWN, Words, family
from scaling.own.settled import settled
from scaling.part import RECORDED, Kind, OneOf, Part, without_effect
from scaling.rejected import rejected
from scaling.settings.trial import Trial
from scaling.spelling import closest, nearest, shortened

if TYPE_CHECKING:
    import pandas as pd

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
        return _joined(self.off) if isinstance(self.off, tuple) else self.off


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


@cache
def _paths() -> tuple[tuple[str, Setting, tuple[str, ...]], ...]:
    """Every setting with its name and the parts of that."""
    return tuple((name, each, tuple(name.split("."))) for name, each in settings().items())


def flat(trial: Trial) -> dict[str, Any]:
    """Every setting by its dotted name, in the order of `settings`; tuples become joined text, and
    what the trial's kinds lack is off.
    """
    columns: dict[str, Any] = {}
    kinds: dict[str, str] = {}  # of parts that come in kinds
    foreign = trial.foreign
    for name, each, path in _paths():
        if each.kinds:
            if path[0] not in kinds:
                kinds[path[0]] = _kind(trial, name)
            if kinds[path[0]] not in each.kinds:
                columns[name] = foreign.get(name, each.column)
                continue
        value: Any = trial
        for part in path:
            value = getattr(value, part)
        columns[name] = _joined(value) if isinstance(value, tuple) else value
    return columns


def _joined(words: tuple[str, ...]) -> str:
    """The words with commas between; quoted, as in a CSV row, where they hold commas or quotes."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(words)
    return row.getvalue()


def unflat(row: "Mapping[str, Any] | pd.Series[Any]") -> Trial:
    """The Trial of a manifest's row, pandas' own rows included: the inverse of `flat`. Other
    columns are ignored, what an older manifest lacks is off, and settings that change nothing,
    which an older version took, stay as they are recorded. Raises ValueError when the row is no
    trial of this version.
    """
    stated: dict[str, Any] = {}
    foreign: dict[str, Any] = {}
    for name, each in settings().items():
        value = plain(row.get(name))
        if value is None:
            continue
        if each.kinds and family(row.get(_kind_of(name), _usual(name))) not in each.kinds:
            if value != each.column:
                foreign[name] = value
            continue
        stated[name] = _words(name, value) if each.type == tuple[str, ...] else value
    for name in {_kind_of(name) for name, each in settings().items() if each.kinds}:
        if settings()[name].off is not REQUIRED:
            stated.setdefault(name, settings()[name].off)
    trial = _checked(_nested(stated), RECORDED)
    trial.foreign.update(foreign)
    return trial


def plain(value: Any) -> Any:
    """A cell as Parquet has it: numpy's numbers are Python's, pandas' missing values None."""
    found = value.item() if hasattr(value, "item") else value
    return None if found is None or str(found) == "<NA>" or found != found else found


def changed(trial: Trial, changes: Mapping[str, Any]) -> Trial:
    """The same trial with some dotted settings set, checked again. A part of another kind keeps
    what both kinds have.

    Values may be what JSON would hold or text as a person types it (`"64"`, `"a,b"` for a list).
    Raises ValueError that names the setting, the value, and the bound or the nearest name.
    """
    known = settings()
    typed: dict[str, Any] = {}
    changes = settled(
        changes, lambda name: _now(trial, name), lambda name: get_args(known[name].type)
    )
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"{name[:60]}: no such setting{nearest(name, known)}")
        typed[name] = _typed(name, known[name].type, value)
    stated = _dotted(trial.model_dump(exclude_defaults=True))
    for name in (*stated, *typed):
        each = known[name]
        if not each.kinds:
            continue
        stated.setdefault(_kind_of(name), _now(trial, _kind_of(name)))
        kind = family(typed.get(_kind_of(name), stated[_kind_of(name)]))
        if kind in each.kinds or kind not in get_args(known[_kind_of(name)].type):
            continue
        stated.pop(name, None)
        if name in typed and not _is_off(typed[name], each.off):
            part, _, leaf = name.rpartition(".")
            owners = f"{' and '.join(each.kinds)} {'has' if len(each.kinds) == 1 else 'have'}"
            why = f"{part}.kind={kind} has no {leaf}, only {owners}"
            raise ValueError(without_effect(name, typed[name], why, each.off))
        typed.pop(name, None)
    stated |= typed
    return _checked(_nested(stated), None)


def _kind_of(name: str) -> str:
    """The setting that names the kind of a setting's part."""
    return f"{name.rpartition('.')[0]}.kind"


def _kind(trial: Trial, name: str) -> str:
    """The kind of a setting's part in a trial, as `Setting.kinds` has it."""
    part: Kind = getattr(trial, name.partition(".")[0])
    return str(family(part.kind))


def _now(trial: Trial, name: str) -> Any:
    """A setting of a trial; None where its kinds lack it."""
    value: Any = trial
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _usual(name: str) -> Any:
    return settings()[_kind_of(name)].off


def _is_off(value: Any, off: Any) -> bool:
    """Whether a value, perhaps as text, is what a setting is without."""
    if isinstance(value, str) and not isinstance(off, str):
        return value == str(off).lower() or _number(value) == off
    return bool(value == off)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


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


def _dotted(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The inverse of `_nested`."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            found |= _dotted(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _checked(nested: Mapping[str, Any], context: dict[str, bool] | None) -> Trial:
    try:
        return Trial.model_validate(nested, context=context)
    except ValidationError as error:
        raise ValueError(explain(error)) from None


# Plain decimal numbers: Python would also take 1_000, other alphabets' digits and spaces around.
_FORMS = {
    int: (re.compile(r"[+-]?[0-9]{1,19}"), "a whole number, as 1000"),
    float: (
        re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?"),
        "a number, as 0.001 or 1e-3",
    ),
    bool: (re.compile("true|false"), "true or false"),
}


def _typed(dotted: str, kind: Any, value: Any) -> Any:
    """Text as the field's type asks for: a list split at commas, as a row of CSV; `null` for an
    optional field; a number or truth only as it is usually written. All else is left to pydantic.
    """
    if not isinstance(value, str):
        return value
    if kind == tuple[str, ...]:
        return _words(dotted, value)
    options = get_args(kind)
    if type(None) in options:
        if value in ("null", "none"):
            return None
        (kind,) = (each for each in options if each is not type(None))
    form, meant = _FORMS.get(kind, (None, ""))
    if form and not form.fullmatch(value):
        raise ValueError(f"{dotted}={shortened(value)}: write {meant}")
    return value


def _words(dotted: str, text: str) -> tuple[str, ...]:
    """The words of a list: `a,b`, or `"a, or b",c`."""
    try:
        rows = list(csv.reader([text], strict=True)) if '"' in text else [text.split(",")]
    except csv.Error as error:
        raise ValueError(f"{dotted}={shortened(text)}: {error}; quote as in CSV") from None
    return tuple(word for row in rows for word in row if word)


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
        line = f"{name}: {which or f'no such setting{nearest(name, settings())}'}"
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
