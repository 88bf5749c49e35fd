"""Options that the commands about results share, alone and in groups of those that go together.

Heavy libraries are imported when a command runs, so that help is instant. Contents: the options;
Format; ScoreOptions, TableOptions, StyleOptions (see scaling.commands.groups).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from analysis.unit_names import UNITS
from scaling import typed

if TYPE_CHECKING:
    from analysis.data import Data
    from analysis.figures.layout import Style
    from scaling.results.records import Results

JOINED = (
    "Results folders or URIs of sweeps. Several are joined by trial id; copies of a trial must "
    "agree."
)
Joined = Annotated[list[str], typer.Argument(parser=typed.results, metavar="RESULTS", help=JOINED)]


class Format(StrEnum):
    """File formats of figures."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


@dataclass(frozen=True)
class ScoreOptions:
    """Which trials count, and how their scores are averaged."""

    HEADING: ClassVar[str] = "Trials and scores"

    study: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDY", help="Only the trials of this study. Repeatable. Default: all studies."
        ),
    ] = None
    where: Annotated[
        list[str] | None,
        typer.Option(
            parser=typed.pair,
            metavar="KEY=VALUE",
            help="Only the trials with this setting, such as split.fraction=0.5. Repeatable: all "
            "settings must hold, or one of the values of a setting that is repeated.",
        ),
    ] = None
    last: Annotated[
        int | None,
        typer.Option(
            parser=typed.whole(1),
            metavar="N",
            help="Average over the last N evaluated epochs. Default: evaluation.last if all "
            "trials agree on it, else 1.",
        ),
    ] = None
    unit: Annotated[
        str,
        typer.Option(
            parser=typed.word(*UNITS),
            metavar="|".join(UNITS),
            help="Unit of the intervals. Default: the widest claim that the design allows.",
        ),
    ] = ""

    def opened(self, folders: "Sequence[Results]", machine: str = "") -> "Data":
        """These trials of the results folders, read as one. Raises ValueError."""
        from analysis import selectors, units
        from analysis.data import opened

        where = selectors.parsed(self.where or ())
        return opened(folders, self.last, units.asked(self.unit), self.study or (), machine, where)


@dataclass(frozen=True)
class TableOptions:
    """Which tables are added to the figures."""

    HEADING: ClassVar[str] = "Tables"

    differences: Annotated[
        bool, typer.Option("--differences", help="Add the table of paired differences.")
    ] = False
    published: Annotated[
        bool, typer.Option("--published", help="Add the papers' tables, beside your results.")
    ] = False
    challenge: Annotated[
        bool,
        typer.Option("--challenge", help="Add accuracy by class and device as DCASE prints it."),
    ] = False


@dataclass(frozen=True)
class StyleOptions:
    """How figures look."""

    HEADING: ClassVar[str] = "Drawing"

    format: Annotated[Format, typer.Option(help="File format of the figures.")] = Format.PNG
    width: Annotated[
        float | None,
        typer.Option(
            parser=typed.size,
            metavar="SIZE",
            help="Width of the figures, such as 3.3in, 84mm or 240pt. Default: as wide as they "
            "need.",
        ),
    ] = None
    height: Annotated[
        float | None,
        typer.Option(
            parser=typed.size,
            metavar="SIZE",
            help="Height of the figures. Default: from their width.",
        ),
    ] = None
    dpi: Annotated[
        int,
        typer.Option(parser=typed.whole(30, 2400), metavar="N", help="Dots per inch of a PNG."),
    ] = 200
    font_size: Annotated[
        float | None,
        typer.Option(
            parser=typed.bounded(least=2, most=72),
            metavar="POINTS",
            help="Size of labels. Default: 9.6, and 8 in a figure narrower than 5in.",
        ),
    ] = None
    title: Annotated[
        bool, typer.Option("--title/--no-title", help="Draw each figure's title and caption.")
    ] = True
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW",
            help="Rename a text in the figures: OLD=NEW, as in 'base=Baseline'. Repeatable.",
        ),
    ] = None

    def style(self) -> "Style":
        """The same, as figures take it. Raises ValueError for a label that cannot be meant."""
        from analysis.figures.layout import Style

        renamed = dict(_renamed(label) for label in self.label or [])
        size = self.width, self.height
        return Style(*size, self.dpi, self.font_size, self.title, renamed)


def _renamed(label: str) -> tuple[str, str]:
    """OLD=NEW as a pair; what stands before the last = is OLD, as in `mixup=0.3=Mixup`."""
    old, equals, new = label.rpartition("=")
    if not (old and equals and new):
        raise ValueError(f"--label {label!r}: write OLD=NEW, as in --label base=Baseline")
    return old, new
