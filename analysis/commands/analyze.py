"""`overhear analyze`: a study's figures as files, their points as tables.

Heavy libraries are imported when the command runs, so that help is instant. Facts go to standard
output, warnings to standard error. Contents: analyze.
"""

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, TextIO

import typer

from analysis import console, files
from analysis.commands.options import Format, Joined, ScoreOptions, StyleOptions, TableOptions
from scaling import typed
from scaling.commands.groups import grouped

if TYPE_CHECKING:
    import pandas as pd

    from analysis.data import Data
    from analysis.figures.layout import Style
    from analysis.listing import Listing

    Listed = dict[str, tuple[pd.DataFrame, Listing]]  # tables by name, each with how it is printed

OUT = "Local folder for the figures. Default: RESULTS/figures. Required for several RESULTS."


@grouped
def analyze(
    results: Joined,
    figure: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Figure to draw. Repeatable. Default: all that apply."),
    ] = None,
    *,
    scored: ScoreOptions,
    tables: TableOptions,
    out: Annotated[
        str | None, typer.Option(parser=typed.folder, metavar="FOLDER", help=OUT)
    ] = None,
    drawn: StyleOptions,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Print all rows of every table, not only the first 20 of the main ones."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the points as JSON lines.")] = False,
) -> None:
    """Draw a study's figures, and print their points and write them as CSV."""
    from analysis import reading
    from analysis.cautions import cautions
    from analysis.figures import registry
    from scaling.results.records import Results

    asked = figure or []
    registry.known(asked)
    style = drawn.style()
    folders = [Results(each) for each in results]
    to = Outlet(files.folder(folders, out), Format(drawn.format), style, every, json)
    data = scored.opened(folders)
    tally = reading.counts(reading.progress(data.snapshot))
    if data.scores().empty:
        raise ValueError(
            f"{data.where} has no complete trial to draw ({console.tally(tally)}): "
            "run its sweep (again)"
        )
    names = registry.applicable(asked, data)
    added = _added(data, tables)  # what cannot be made is said before anything is drawn
    default = scored.last is None
    for message in cautions(data, tally, default):
        warnings.warn(message, stacklevel=2)
    if default and data.last > 1:
        averaged = f"a run is the mean of its last {data.last} evaluated epochs"
        print(f"{averaged}, as evaluation.last of all trials says", file=to.aside)
    for name in names:
        _draw(name, data, to, asked)
    _check_labels(style)
    for name, (rows, listed) in added.items():
        to.show(listed, rows, "table", name, to.write(rows, name) + _expected(name, rows))
    print(console.tally(tally), file=to.aside)


class Outlet(NamedTuple):
    """Where figures and tables go: to files of a folder, and to whoever reads the output."""

    folder: Path
    format: Format
    style: "Style"
    every: bool  # whether all rows are printed
    json: bool  # as lines of JSON, for a program that reads these only

    @property
    def aside(self) -> TextIO:
        """Where everything else is said."""
        return sys.stderr if self.json else sys.stdout

    def draw(self, points: "pd.DataFrame", name: str) -> str:
        """Write the drawing of a figure's points, and the points; their paths as text."""
        from analysis.figures import registry

        file = self.folder / f"{name}.{self.format}"
        with files.writing(self.folder):
            drawing = registry.FIGURES[name].draw(points, self.style)
            files.write_drawing(drawing, file, self.style.dpi)
        return f"{file} (points: {self.write(points, name)})"

    def write(self, rows: "pd.DataFrame", name: str) -> str:
        """Write a table as CSV; its path as text."""
        file = self.folder / f"{name}.csv"
        with files.writing(self.folder):
            files.write_csv(rows, file)
        return str(file)

    def show(
        self,
        listed: "Listing",
        rows: "pd.DataFrame",
        kind: str,
        name: str,
        saved: str,
        brief: bool = False,
    ) -> None:
        """Print a table, in a sentence where it is `brief`, and where it was saved."""
        if self.json:
            print(*console.json_lines(files.without_arrays(rows), {kind: name}), sep="\n")
        elif brief:
            console.show(console.sentence(listed))
        else:
            console.show(console.listed(listed, self.every, f"{name}.csv"))
        print(f"{name}: {saved}\n", file=self.aside)


def _draw(name: str, data: "Data", to: Outlet, asked: list[str]) -> None:
    """Draw and print a figure; one that nobody `asked` for may be left out, with a warning."""
    from analysis import next_size
    from analysis.figures import registry
    from analysis.metrics import Unrecorded

    figure = registry.FIGURES[name]
    try:
        points = figure.points(data)
    except Unrecorded as error:
        if asked:
            raise
        warnings.warn(f"figure {name} is left out: {error}", stacklevel=2)
        return
    saved = to.draw(points, name)
    if name == "next_size" and (kept := next_size.keep(data)):
        saved += f"; kept as {data.snapshot.results.path(next_size.KIND, kept)}.parquet"
    brief = name in registry.IN_A_SENTENCE and not (asked or to.every)
    to.show(figure.listing(name, points), points, "figure", name, saved, brief)


def _check_labels(style: "Style") -> None:
    """Warn of labels that no figure had."""
    for old in style.labels.keys() - style.found:
        warnings.warn(f"--label {old}: no figure drawn here has this text", stacklevel=3)


def _added(data: "Data", tables: TableOptions) -> "Listed":
    """The tables that are asked for. Raises ValueError for one that these trials do not make."""
    added: Listed = {}
    if tables.differences:
        added |= _compared(data)
    if tables.published:
        added |= _published(data)
    if tables.challenge:
        added |= _challenge(data)
    return added


def _compared(data: "Data") -> "Listed":
    """The paired differences, of which there is at least one."""
    from analysis.tables import differences, listings

    found = differences.differences(data.scores())
    if found.empty:
        raise ValueError(f"--differences: {differences.NOTHING}")
    return {"differences": (found, listings.of_differences(found))}


def _expected(name: str, rows: "pd.DataFrame") -> str:
    """Of how many intervals of differences chance alone lets how many miss."""
    if name != "differences":
        return ""
    intervals = int(rows["low"].notna().sum())
    return f" (of {intervals} intervals of 95 %, expect {intervals / 20:.1f} to miss)"


def _published(data: "Data") -> "Listed":
    """The papers' tables that these trials belong into, of which there is at least one, and the
    gains within them; each with how it is printed.
    """
    from analysis.tables import gains, listings, published
    from analysis.tables.papers import PUBLISHED, told

    scores = data.scores()
    reasons = {name: published.obstacle(name, scores) for name in PUBLISHED}
    if all(reasons.values()):
        raise ValueError(f"--published: {published.nothing_fits(scores)}")
    kinds = {*scores["network.kind"]}
    for name, reason in reasons.items():
        if reason and PUBLISHED[name].network in kinds:  # else no one expects it
            warnings.warn(f"--published: {reason}", stacklevel=2)
    macro_f1 = data.scores("macro_f1")
    papers = {}
    for name in (name for name, reason in reasons.items() if not reason):
        beside = published.beside(name, scores, macro_f1)
        theirs = told(name) if PUBLISHED[name].sizes else ""
        papers[name] = beside, listings.of_published(name, beside, theirs)
        gained = gains.gains(name, scores, macro_f1)
        if len(gained):
            title = f"{name}_gains"
            papers[title] = gained, listings.of_gains(title, gained)
    return papers


def _challenge(data: "Data") -> "Listed":
    """The challenge's tables, each with how it is printed."""
    from analysis.tables import challenge

    tables = challenge.challenge(data)
    return {name: (rows, challenge.listing(name, rows)) for name, rows in tables.items()}
