"""`overhear report`: a study's report as one HTML page.

Heavy libraries are imported when the command runs, so that help is instant. Contents: report.
"""

from typing import Annotated

import typer

from analysis import console
from analysis.commands.options import Joined
from scaling.results.outcome import Status
from scaling.typed import ending


def report(
    results: Joined,
    out: Annotated[
        str | None,
        typer.Option(
            parser=ending(".html"),
            metavar="FILE.html",
            help="Output file. Default: RESULTS/report.html. Required for several RESULTS.",
        ),
    ] = None,
) -> None:
    """Write a study's report, one HTML page that works without a network connection."""
    from analysis import reading
    from analysis.cautions import cautions
    from analysis.data import opened
    from analysis.report.file import file_of, write
    from analysis.report.page import page

    file = file_of(results, out)
    data = opened(results)
    progress = reading.progress(data.snapshot)
    tally = reading.counts(progress)
    # what is missing, the page says itself
    ended = {state: n for state, n in tally.items() if state == Status.COMPLETE}
    notes = [*cautions(data, ended, default=True)]
    size = write(page(data, notes, progress), file)
    print(f"{file} ({size:,} bytes; a browser opens it)")
    print(console.tally(tally))
