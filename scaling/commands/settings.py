"""`overhear settings` and `overhear recipes`: what a trial can be made of.

Heavy libraries are imported when a command runs, so that help is instant.
"""

import json
import textwrap
from typing import Annotated, Any

import typer

from scaling.commands.options import Json


def recipes(as_json: Json = False) -> None:
    """List the recipes that overhear train starts from."""
    from scaling.settings.recipes import ABOUT

    for name, about in ABOUT.items():
        typer.echo(json.dumps({"name": name, "about": about}) if as_json else f"{name}\n  {about}")


def settings(
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="[PREFIX]", help="List only settings that start with this, such as network."
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """List every setting of a trial with its type, default, bounds and meaning."""
    from scaling.settings.catalog import catalog

    for each in catalog(prefix):
        if as_json:
            typer.echo(json.dumps(each._asdict()))
            continue
        facts = [each.type, each.bound, "required" if each.required else ""]
        if not each.required:
            facts[-1] = f"default {_written(each.default)}"
        facts.append(each.whose)
        typer.echo(_wrapped(f"{each.name}: {'; '.join(filter(None, facts))}"))
        if each.meaning:
            typer.echo(_wrapped(f"    {each.meaning}"))


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 80, subsequent_indent="    ", break_on_hyphens=False)


def _written(value: Any) -> str:
    """A default as a person would type it."""
    if value in ((), ""):
        return "empty"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
