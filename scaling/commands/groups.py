"""Groups of options: a command takes a few dataclasses, and its command line stays flat.

Typer reads options from a function's signature, one parameter each. `grouped` shows it the fields
of a parameter's dataclass in the place of that parameter, with their annotations and defaults; help
shows them under the dataclass's HEADING, if it has one.
"""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any, get_args, get_origin

from typer.models import OptionInfo


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its dataclasses as parameters: called with those, it makes the
    dataclasses.
    """
    stated = signature(command, eval_str=True)
    parameters = stated.parameters.values()
    groups: dict[str, Any] = {
        each.name: each.annotation for each in parameters if is_dataclass(each.annotation)
    }
    shown = stated.replace(parameters=[one for each in parameters for one in _flat(each)])
    assert not groups.keys() & shown.parameters.keys(), "no two may share a name"

    @wraps(command)
    def called(*words: Any, **options: Any) -> None:
        named = shown.bind(*words, **options).arguments
        for name, group in groups.items():
            own = [field for field in signature(group).parameters if field in named]
            named[name] = group(**{each: named.pop(each) for each in own})
        command(**named)

    called.__signature__ = shown  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in shown.parameters.values()}
    return called


def _flat(parameter: Parameter) -> Iterator[Parameter]:
    """The parameter, or those of its dataclass's fields."""
    if not is_dataclass(parameter.annotation):
        yield parameter
        return
    for field in fields(parameter.annotation):
        default = Parameter.empty if field.default is MISSING else field.default
        shown = _under(getattr(parameter.annotation, "HEADING", None), field.type)
        yield parameter.replace(name=field.name, annotation=shown, default=default)


def _under(heading: str | None, annotation: Any) -> Any:
    """The annotation, its option under a heading of help unless it has one: a copy, as other
    commands may share the option.
    """
    if heading is None or get_origin(annotation) is not Annotated:
        return annotation
    kind, *about = get_args(annotation)
    for place, each in enumerate(about):
        if isinstance(each, OptionInfo) and each.rich_help_panel is None:
            about[place] = copy(each)
            about[place].rich_help_panel = heading
    return Annotated[kind, *about]
