"""What the commands print: points, differences and progress as tables for people, JSON lines.

Conventions: accuracies and their spreads are percent here, differences percentage points; heavy
imports happen inside the functions, so that --help is instant.
Contents: points_table, differences_table, numbers_table, status_table, json_lines, tally, show.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from json import dumps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

ERROR_WORDS = 6  # failures whose errors begin with the same words are counted together
PIPE_COLUMNS = 160  # a table that no terminal shows is not folded to 80
HEADINGS = {"unpruned": "family", "kept_parameters": "parameters", "kept_weights": "weights"}
SCATTER = ("between runs, points", "within runs, points")
TEXTS = ("split", "family", "unpruned", "pruning", "way", "comparison", "at")


def points_table(name: str, points: "pd.DataFrame", columns: Sequence[str]) -> "Table":
    """A figure's points: these columns, then accuracy, its interval, n and the two spreads."""
    table = _table(name, columns, ("accuracy %", "95 %", "n", *SCATTER))
    for row in points.to_dict("records"):
        scatter = (_points(row[which]) for which in ("between_runs", "within_runs"))
        table.add_row(*_cells(row, columns), f"{100 * row['mean']:.1f}", *_interval(row), *scatter)
    return table


def differences_table(differences: "pd.DataFrame") -> "Table":
    """Paired differences in percentage points, signed."""
    columns = ("split", "comparison", "at")
    table = _table("differences", columns, ("points", "95 %", "n"))
    for row in differences.to_dict("records"):
        table.add_row(*_cells(row, columns), f"{100 * row['mean']:+.1f}", *_interval(row, "+"))
    return table


def numbers_table(name: str, numbers: "pd.DataFrame") -> "Table":
    """ERF numbers, in mel bands and frames, a row per model."""
    model, *columns = map(str, numbers)
    table = _table(name, (model,), columns)
    for row in numbers.to_dict("records"):
        table.add_row(*(f"{v:,.1f}" if isinstance(v, float) else str(v) for v in row.values()))
    return table


def status_table(where: str, progress: "pd.DataFrame") -> "Table":
    """Trials by status; failures by the first words of their error, running ones by name."""
    from rich.table import Table
    from rich.text import Text

    from analysis.table import counts

    table = Table(title=Text(where), title_justify="left")
    table.add_column("status", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("")
    table.add_row("planned", str(len(progress)))
    for state, number in counts(progress).items():
        table.add_row(state, str(number))
        rows = progress[progress["status"] == state]
        if state == "failed":
            for words, n in rows["error"].map(_first_words).value_counts().items():
                table.add_row("", str(n), Text(str(words)))
        if state == "running":
            for _, row in rows.iterrows():
                reached = f"epoch {row['epochs']} of {row['training.epochs']}"
                table.add_row("", "", f"{row['trial']}: {reached}")
    return table


def json_lines(frame: "pd.DataFrame", about: Mapping[str, str]) -> Iterator[str]:
    """One JSON object per row, beginning with `about`; a number that does not exist is null."""
    for row in frame.to_dict("records"):
        known = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        yield dumps({**about, **known}, allow_nan=False)


def tally(counts: Mapping[str, int]) -> str:
    """`12 trials: 9 complete, 0 stopped, 2 failed, 1 running, 0 missing`."""
    parts = ", ".join(f"{n} {status}" for status, n in counts.items())
    return f"{sum(counts.values())} trials: {parts}"


def show(table: "Table") -> None:
    """Print to standard output, as wide as the terminal, or unfolded where there is none."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_COLUMNS)
    console.print(table)


def _table(title: str, columns: Sequence[str], numbers: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in columns:
        text = name in TEXTS
        justify: Any = "left" if text else "right"
        table.add_column(HEADINGS.get(name, name), justify=justify, no_wrap=not text)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=heading not in SCATTER)
    return table


def _cells(row: Mapping[Any, Any], columns: Sequence[str]) -> Iterator[Any]:
    """Texts as they are (rich would read brackets as markup), numbers with commas."""
    from rich.text import Text

    for name in columns:
        yield Text(row[name]) if name in TEXTS else f"{row[name]:,}"


def _interval(row: Mapping[Any, Any], sign: str = "") -> tuple[str, str]:
    """`21.5 to 28.5` in percent, and n."""
    low, high = 100 * row["low"], 100 * row["high"]
    interval = "one run" if math.isnan(low) else f"{low:{sign}.1f} to {high:{sign}.1f}"
    return interval, str(row["n"])


def _points(value: float) -> str:
    """A standard deviation in percentage points; a dash where there is none."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _first_words(error: Any) -> str:
    """How an error begins, so that like failures fall together."""
    words = error.split() if isinstance(error, str) else []
    beginning = " ".join(words[:ERROR_WORDS]) or "no reason recorded"
    return beginning + (" ..." if len(words) > ERROR_WORDS else "")
