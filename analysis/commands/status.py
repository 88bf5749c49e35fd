"""`overhear status`: how far a study is.

Heavy libraries are imported when the command runs, so that help is instant. Contents: status.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from analysis import console
from scaling.commands.options import ResultsFolder
from scaling.text import behind

if TYPE_CHECKING:
    from analysis.status import StudyStatus
    from scaling.results.records import Results

WATCH_SECONDS = 2.0


def status(
    results: ResultsFolder,
    watch: Annotated[
        bool, typer.Option("--watch", help="Repeat every 2 seconds until all trials have ended.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="List all failures and running trials, not only 20.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON line.")] = False,
) -> None:
    """Show a study's progress, the reasons of failures, and the time left."""
    from rich.console import Console
    from rich.live import Live

    from analysis.status import look
    from scaling.interruption import quietly
    from scaling.results.records import Results

    where = Results(results, lenient=True)
    now = look(where)
    if not watch:
        if json:
            print(console.status_line(where.where, now))
        else:
            console.show(console.status_table(where.where, now, every))
        return
    screen = Console(file=behind(sys.stdout))
    with quietly(), suppress(KeyboardInterrupt):  # Ctrl-C is the way to leave
        if screen.is_terminal and not json:
            with Live(console.status_table(where.where, now, every), console=screen) as live:
                for each in _repeated(where, now):
                    live.update(console.status_table(where.where, each, every), refresh=True)
        else:
            said = partial(console.status_line, where.where) if json else console.status_words
            for each in _repeated(where, now):
                print(said(each), flush=True)


def _repeated(results: "Results", now: "StudyStatus") -> "Iterator[StudyStatus]":
    """The status of a study now and every WATCH_SECONDS until no trial is running or missing."""
    from analysis.status import look

    yield now
    while now.open:
        time.sleep(WATCH_SECONDS)
        now = look(results, now)
        yield now
