"""What the commands print: listings and progress as tables for people, JSON lines for programs.

Conventions: a table is as wide as the terminal, or as COLUMNS says; columns that tell rows apart
are never cut, at worst they are folded. Heavy imports happen inside the functions, so that --help
is instant.
Contents: MOST, listed, sentence, status_table, status_line, status_words, json_lines, tally, lines,
show, text.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json import dumps
from typing import TYPE_CHECKING, Any

from scaling.results.outcome import Status
from scaling.text import one_line, printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group
    from rich.text import Text

    from analysis.listing import Column, Listing
    from analysis.status import StudyStatus

PIPE_COLUMNS = 160  # a table that no terminal shows is not folded to 80
MOST = 20  # rows of a table, unless all are asked for
GAP = 2  # between columns
SHORTEST = 12  # letters that a folded text has room for, at least


def listed(listing: "Listing", every: bool = False, file: str = "") -> "Group":
    """A listing as a table: its result, what all rows agree in, then at most MOST rows unless
    `every`; `file` is where the others, and columns that find no room, can be read.
    """
    from rich.console import Group
    from rich.table import Table

    width = _width()
    agreed = [c for c in (*listing.about, *listing.values) if c.constant and _agreeable(c, listing)]
    columns = [c for c in (*listing.about, *listing.values) if c not in agreed]
    shown = listing.rows if every else min(listing.rows, MOST)
    columns, dropped = _fitting(columns, shown, width)
    parts: list[Any] = [sentence(listing)]
    if agreed:
        parts.append(text("All rows: " + "; ".join(f"{c.heading} {c.cells[0]}" for c in agreed)))
    if columns:
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
        for column, room in zip(columns, _widths(columns, shown, width), strict=True):
            table.add_column(
                text(column.heading),
                justify="left" if column.left else "right",
                width=room,
                overflow="fold",
            )
        for row in range(shown):
            table.add_row(*(text(column.cells[row]) for column in columns))
        parts.append(table)
    at = f" or {file}" if file else ""
    if shown < listing.rows:
        parts.append(text(f"... and {listing.rows - shown} more rows: --all{at}"))
    if dropped:
        names = "; ".join(column.heading for column in dropped)
        parts.append(text(f"No room for: {names} (a wider terminal{at})"))
    return Group(*parts)


def sentence(listing: "Listing") -> "Text":
    """The result of a listing, without its rows."""
    return text(f"{listing.title}: {listing.result}.")


def _agreeable(column: "Column", listing: "Listing") -> bool:
    """Whether a constant column is better said once: the numbers of a single row stay a table."""
    return column in listing.about or (listing.rows > 1 and column.folds)


def _fitting(
    columns: "Sequence[Column]", rows: int, width: int
) -> "tuple[list[Column], list[Column]]":
    """The columns that have room, and those left out: optional ones, from the last on."""
    kept = list(columns)
    dropped: list[Column] = []
    while sum(max(_least(c, rows), _longest(c, rows)) + GAP for c in kept) - GAP > width:
        optional = [column for column in kept if column.optional]
        if not optional:
            break
        kept.remove(optional[-1])
        dropped.insert(0, optional[-1])
    return kept, dropped


def _least(column: "Column", rows: int) -> int:
    """The fewest letters that a column can be read in: its longest number, or word."""
    words = column.heading.split()
    cells = column.cells[:rows]
    if column.folds:
        words += [word for cell in cells for word in cell.split()]
        return min(max(map(len, words)), SHORTEST)
    return max(map(len, [*words, *cells]))


def _longest(column: "Column", rows: int) -> int:
    return max(map(len, column.cells[:rows]))


def _widths(columns: "Sequence[Column]", rows: int, width: int) -> list[int]:
    """How wide each column is: as its longest cell, where there is room; else texts are folded, the
    longest first.
    """
    cells = [_longest(column, rows) for column in columns]
    least = [_least(column, rows) for column in columns]
    headings = [len(column.heading) for column in columns]
    made = [max(a, b) for a, b in zip(cells, least, strict=True)]
    room = width - GAP * (len(columns) - 1)
    while sum(made) > room:
        spare = [wide - few for wide, few in zip(made, least, strict=True)]
        if max(spare) <= 0:
            break
        made[spare.index(max(spare))] -= 1
    for place, heading in enumerate(headings):  # a heading on one line, where there is room
        if made[place] < heading <= made[place] + room - sum(made):
            made[place] = heading
    return made


def _width() -> int:
    """How wide a table may be."""
    from rich.console import Console

    console = Console()
    return console.width if console.is_terminal or os.environ.get("COLUMNS") else PIPE_COLUMNS


def status_table(where: str, now: "StudyStatus", every: bool = False) -> "Group":
    """Trials by status in one line; failures by class of error with an example, running trials by
    name, at most MOST of each unless `every`.
    """
    from rich.console import Group
    from rich.table import Table

    from analysis.status import failures

    progress = now.progress
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")

    def add(name: str, details: list[str]) -> None:
        shown = details if every else details[:MOST]
        if len(shown) < len(details):
            shown = [*shown, f"... and {len(details) - len(shown)} more: --all"]
        for place, detail in enumerate(shown):
            table.add_row("" if place else f"[bold]{name}[/bold]", text(detail))

    failed = failures(progress).to_dict("records")
    classes = [one_line(f"{f['trials']} x {f['class']}, as: {f['example']}") for f in failed]
    add(Status.FAILED, classes)
    running = progress[progress["status"] == Status.RUNNING].to_dict("records")
    reached = [f"{r['trial']}: epoch {r['epochs']} of {r['training.epochs']}" for r in running]
    add(_named(Status.RUNNING, now), reached)
    if now.open:
        table.add_row("[bold]driver[/bold]", text(now.driver.words))
        table.add_row("[bold]time left[/bold]", _left(now))
    address = text(where)
    address.overflow = "fold"
    each = _counted(now)
    return Group(address, text(tally(each)), *([table] if table.row_count else []))


def status_line(where: str, now: "StudyStatus") -> str:
    """The same as one JSON object."""
    from analysis.reading import counts
    from analysis.status import failures

    progress, left = now.progress, now.left
    running = progress.loc[
        progress["status"] == Status.RUNNING, ["trial", "epochs", "training.epochs"]
    ]
    facts = {"results": where, "trials": len(progress), **counts(progress)}
    failed = failures(progress).to_dict("records")
    facts |= {"failures": failed, "running_trials": running.to_dict("records")}
    facts |= {"slots": now.slots if now.open else None}
    facts |= {"driver": now.driver.state}
    facts |= {"seconds_left": left.seconds if left else None if now.open else 0.0}
    return dumps(facts | {"at_most": left.at_most if left else None}, allow_nan=False)


def status_words(now: "StudyStatus") -> str:
    """The same in one line for people."""
    words = tally(_counted(now))
    if not now.open:
        return words
    if now.driver.state != "running":
        words += f"; driver: {now.driver.words}"
    return f"{words}; {_left(now)} left" if now.left else words


def _counted(now: "StudyStatus") -> dict[str, int]:
    """Number of planned trials of each status."""
    from analysis.reading import counts

    return {_named(state, now): number for state, number in counts(now.progress).items()}


def _named(state: str, now: "StudyStatus") -> str:
    """A status, by another name where nobody can be running what looks as if it ran."""
    gone = now.open and now.driver.gone
    return "cut off" if gone and state == Status.RUNNING else state


def _left(now: "StudyStatus") -> str:
    """`about 12 min (2 at once)`."""
    at_once = f"{now.slots} at once"
    return f"{now.left} ({at_once})" if now.left else "unknown: no epoch was timed"


def json_lines(frame: "pd.DataFrame", about: Mapping[str, str]) -> Iterator[str]:
    """One JSON object per row, beginning with `about`; a number that does not exist is null."""
    import pandas as pd

    for row in frame.to_dict("records"):
        known = {name: None if pd.isna(value) else value for name, value in row.items()}
        yield dumps({**about, **known}, allow_nan=False)


def tally(counts: Mapping[str, int]) -> str:
    """`12 trials: 9 complete, 0 stopped, 2 failed, 1 running, 0 missing`."""
    parts = ", ".join(f"{n} {status}" for status, n in counts.items())
    return f"{sum(counts.values())} trials: {parts}"


def text(cell: object) -> "Text":
    """What a user may have written, as a cell: rich would read its brackets as markup."""
    from rich.text import Text

    return Text(printable(cell))


def lines(texts: Iterable[str]) -> "Group":
    """Texts, a line or more each, folded between words."""
    from rich.console import Group

    return Group(*map(text, texts))


def show(table: "Group | Text") -> None:
    """Print to standard output, as wide as the terminal, or unfolded where there is none."""
    from rich.console import Console

    Console(width=_width()).print(table)
