"""Options of commands that draw one figure of their own into a local folder.

Contents: DrawingOptions.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

import analysis.cli
from scaling.commands.options import Threads
from scaling.typed import folder


@dataclass(frozen=True)
class DrawingOptions:
    """Where a figure goes, in which format, and how many threads compute it."""

    HEADING: ClassVar[str] = "Drawing"

    out: Annotated[str, typer.Option(parser=folder, metavar="FOLDER", help="Local folder.")] = (
        "figures"
    )
    format: Annotated[analysis.cli.Format, typer.Option(help="File format of the figure.")] = (
        analysis.cli.Format.PNG
    )
    threads: Threads = 0
