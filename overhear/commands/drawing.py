"""Options of commands that draw one figure of their own into a local folder.

Contents: DrawingOptions.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from analysis.commands.options import Format
from scaling.commands.options import Threads
from scaling.typed import folder


@dataclass(frozen=True)
class DrawingOptions:
    """Where a figure goes, in which format, and how many threads compute it."""

    HEADING: ClassVar[str] = "Drawing"

    out: Annotated[str, typer.Option(parser=folder, metavar="FOLDER", help="Local folder.")] = (
        "figures"
    )
    format: Annotated[Format, typer.Option(help="File format of the figure.")] = Format.PNG
    threads: Threads = 0
