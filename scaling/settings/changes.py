"""Changes: a Trial with some settings set, as a person types them or as JSON would hold them.

Contents: `changed`; `as_recorded`, one setting that a person types, as a manifest holds it.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter

from scaling.own.names import family
from scaling.own.settled import settled
from scaling.part import without_effect
from scaling.settings.checked import checked
from scaling.settings.fields import joined, kind_of, settings, words
from scaling.settings.trial import Trial
from scaling.spelling import SETTINGS, nearest, shortened


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
            raise ValueError(f"{name[:60]}: no such setting{nearest(name, known, SETTINGS)}")
        typed[name] = _typed(name, known[name].type, value)
    stated = _dotted(trial.model_dump(exclude_defaults=True))
    for name in (*stated, *typed):
        each = known[name]
        if not each.kinds:
            continue
        stated.setdefault(kind_of(name), _now(trial, kind_of(name)))
        kind = family(typed.get(kind_of(name), stated[kind_of(name)]))
        if kind in each.kinds or kind not in get_args(known[kind_of(name)].type):
            continue
        stated.pop(name, None)
        if name in typed and not _is_off(typed[name], each.off):
            part, _, leaf = name.rpartition(".")
            owners = f"{' and '.join(each.kinds)} {'has' if len(each.kinds) == 1 else 'have'}"
            why = f"{part}.kind={kind} has no {leaf}, only {owners}"
            raise ValueError(without_effect(name, typed[name], why, each.off))
        typed.pop(name, None)
    stated |= typed
    return checked(stated)


def as_recorded(name: str, text: str) -> Any:
    """A setting's value as a person types it (`"0.3"`, `"a,b"`, `"null"`), as a manifest holds it.

    Raises ValueError for what is no setting, and for text that is no value of its type.
    """
    known = settings()
    if name not in known:
        raise ValueError(f"{name[:60]}: no such setting{nearest(name, known, SETTINGS)}")
    kind = known[name].type
    value = _typed(name, kind, text)
    if isinstance(value, tuple):
        return joined(value)
    return value if get_origin(kind) is Literal else TypeAdapter(kind).validate_python(value)


def _now(trial: Trial, name: str) -> Any:
    """A setting of a trial; None where its kinds lack it."""
    value: Any = trial
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


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


def _dotted(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of parts within parts, by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            found |= _dotted(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


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
        return words(dotted, value)
    options = get_args(kind)
    if type(None) in options:
        if value in ("null", "none"):
            return None
        (kind,) = (each for each in options if each is not type(None))
    form, meant = _FORMS.get(kind, (None, ""))
    if form and not form.fullmatch(value):
        raise ValueError(f"{dotted}={shortened(value)}: write {meant}")
    return value
