"""App: the command line's own Typer, which refuses empty values and shows no Python types in help.

Contents: App; OneCommand and CommandGroup, of which it is made.
"""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

BLANK = "is empty: give it a value, or leave it out"


class OneCommand(TyperCommand):
    """A command that refuses an empty value, as of `--out "$UNSET"`, before it runs."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, flags and arguments without a type."""
        return _untyped(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run it. Raises BadParameter for an option or argument that is blank."""
        params: list[Any] = [*self.params]
        for param in params:
            value, given = ctx.params.get(param.name), ctx.get_parameter_source(param.name)
            for each in value if isinstance(value, list | tuple) else [value]:
                if isinstance(each, str) and not each.strip() and given.name != "DEFAULT":
                    raise typer.BadParameter(BLANK, ctx=ctx, param=param)
        return super().invoke(ctx)


class CommandGroup(TyperGroup):
    """A command of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, flags without a type."""
        return _untyped(super().get_params(ctx))


class App(typer.Typer):
    """A Typer whose commands are OneCommands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=CommandGroup, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """As Typer's."""
        return super().command(name, cls=OneCommand, **options)


def _untyped(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
        if param.param_type_name == "argument":
            param.display_type_rich = _no_type  # its name says what it is, `<list[str]>` does not
    return params


def _no_type(ctx: Any) -> None:
    """What help shows as the type of an argument."""
