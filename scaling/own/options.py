"""Options: the settings of an own part, from `NAME=VALUE` to what its constructor takes.

A value is read by its parameter's annotation, bounds of pydantic's Field included; without one, as
a number, true, false, null or text. A value that is the parameter's default is not stated. The
words of an option's value may not hold commas. Contents: `takes`, `stated`, `values`, `called`.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, get_type_hints

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from scaling.rejected import rejected
from scaling.spelling import nearest, shortened

_NUMBER = re.compile(r"[+-]?(\d{1,30}|\d{0,30}\.?\d{1,30}([eE][+-]?\d{1,3})?|\d{1,30}\.)")
_CONSTANTS = {"true": True, "false": False, "null": None}
UNSTATED: Any = inspect.Parameter.empty


def takes(thing: Any) -> dict[str, inspect.Parameter]:
    """What a class or function is given by keyword."""
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return {}
    try:
        hints = get_type_hints(
            vars(thing).get("__init__", thing) if isinstance(thing, type) else thing,
            include_extras=True,
        )
    except Exception:  # noqa: BLE001 an annotation may name what is not there
        hints = {}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        name: each.replace(annotation=hints.get(name, each.annotation))
        for name, each in signature.parameters.items()
        if each.kind in named
    }


def split(words: Iterable[str]) -> dict[str, str]:
    """`NAME=VALUE` words by name. Raises ValueError for one without `=`, or a name given twice."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"options={shortened(word)}: write options as NAME=VALUE")
        if name in found:
            raise ValueError(f"options give {name} twice: give it once")
        found[name] = value
    return found


def written(value: Any) -> str:
    """A value as an option holds it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def stated(
    kind: str, prefix: str, thing: Any, words: Iterable[str], given: Iterable[str]
) -> tuple[str, ...]:
    """The words that state these options, checked and in their one form, without those that are at
    their default. Raises ValueError that names the option, and the nearest name or the bound.
    """
    known, found = takes(thing), []
    own = [name for name in known if name not in given]
    for name, text in sorted(split(words).items()):
        dotted = f"{prefix}options.{name}"
        if name in given:
            raise ValueError(
                f"{dotted}: Overhear itself passes {name} to {kind}: leave the option out"
            )
        if name not in known:
            raise ValueError(f"{dotted}: {kind} takes no {name}{nearest(name, own)}")
        value = _value(dotted, known[name], text)
        if value != known[name].default or isinstance(value, bool) != isinstance(
            known[name].default, bool
        ):
            found.append(f"{name}={written(value)}")
    needed = [name for name in own if known[name].default is UNSTATED and name not in split(words)]
    if needed:
        raise ValueError(
            f"{kind} needs {needed[0]}: state {prefix}options.{needed[0]}=VALUE, or give it a "
            "default"
        )
    return tuple(found)


def values(thing: Any, words: Iterable[str], prefix: str) -> dict[str, Any]:
    """The options as the constructor is given them. Raises as `stated`."""
    known = takes(thing)
    return {
        name: _value(f"{prefix}options.{name}", known[name], text)
        for name, text in split(words).items()
        if name in known
    }


def _value(dotted: str, parameter: inspect.Parameter, text: str) -> Any:
    if parameter.annotation is UNSTATED:
        return _guessed(text)
    try:
        return TypeAdapter(parameter.annotation).validate_python(text)
    except ValidationError as error:
        if text == "null":  # of an optional one, pydantic takes None only
            try:
                return TypeAdapter(parameter.annotation).validate_python(None)
            except ValidationError:
                pass
        problem = error.errors(include_url=False)[0] | {"input": text}
        raise ValueError(rejected(dotted, problem)) from None
    except PydanticUserError:  # a class that pydantic knows nothing of
        return _guessed(text)


def _guessed(text: str) -> Any:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _NUMBER.fullmatch(text):
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    return text


def called(kind: str, thing: Any, given: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    """What a class makes of those of `given` that it takes, and of its own options. Raises
    ValueError in one line for whatever it raises.
    """
    known = takes(thing)
    words = {name: value for name, value in given.items() if name in known} | dict(own)
    try:
        return thing(**words)
    except Exception as error:
        line = (str(error) or repr(error)).splitlines()[0]
        shown = ", ".join(f"{name}={shortened(str(value))}" for name, value in words.items())
        raise ValueError(f"{kind}({shown}) raised {type(error).__name__}: {line}") from error
