"""What the commands print: points, differences and progress as tables for people, JSON lines.

Conventions: accuracies and their spreads are percent here, differences percentage points; heavy
imports happen inside the functions, so that --help is instant.
Contents: points_table, curves_table, differences_table, published_table, numbers_table,
status_table, status_line, status_words, json_lines, tally, show, text.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from json import dumps
from typing import TYPE_CHECKING, Any

from scaling.results.outcome import Status
from scaling.text import one_line, printable

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from analysis.points import Measure
    from analysis.standing import Standings

PIPE_COLUMNS = 160  # a table that no terminal shows is not folded to 80
HEADINGS = {
    "unpruned": "family",
    "kept_parameters": "parameters",
    "kept_weights": "weights",
    "share": "of the clips",
}
SCATTER = {
    "between_runs": "between runs",
    "within_runs": "within runs",
    "pooled": "pooled (as in the papers)",
}
TEXTS = (
    "split",
    "dataset",
    "family",
    "unpruned",
    "pruning",
    "way",
    "comparison",
    "at",
    "metric",
    "model",
    "protocol",
    "chosen",
    "share",
)


def points_table(
    name: str, points: "pd.DataFrame", columns: Sequence[str], measure: "Measure"
) -> "Table":
    """A figure's points: these columns, then the mean, its interval, n and the spreads; instead of
    these the rise above the reference of its line, in points that have one.
    """
    scatter = [f"{heading}, {measure.unit}" for heading in SCATTER.values()]
    counted, last = _counted(points), scatter
    if "rise" in points:
        above = [f"above {reference}" for reference in points["rise_above"].head(1)]
        last = [*above, "95 %", counted]
    table = _table(name, columns, (measure.heading, "95 %", counted, *last))
    for row in points.to_dict("records"):
        if "rise" in points:
            rise = {name: row[f"rise_{name}"] for name in ("low", "high", "n", "unit")}
            cells = [_value(row["rise"], measure, "+"), *_interval(rise, measure, counted, "+")]
        else:
            cells = [_value(row[which], measure) for which in SCATTER]
        mean = measure.text(row["mean"])
        table.add_row(*_cells(row, columns), mean, *_interval(row, measure, counted), *cells)
    return table


def curves_table(name: str, summary: "pd.DataFrame") -> "Table":
    """The last epoch of each curve, and of validation clips the best one, with the training clips
    beside the held-out ones.

    Of columns that tell lines apart only those that vary are shown.
    """
    from analysis.points import DIALS, MEASURES

    may_vary = ("dataset", "family", "fraction", *DIALS)
    told = [c for c in may_vary if c == "family" or summary[c].nunique() > 1]
    columns = ("metric", "split", *told, "at", "epoch")
    counted = _counted(summary)
    table = _table(name, columns, ("held out", "95 %", counted, "training"))
    for row in summary.to_dict("records"):
        measure = MEASURES[row["metric"]]
        row["metric"] = measure.heading
        cells = (measure.text(row["mean"]), *_interval(row, measure, counted))
        table.add_row(*_cells(row, columns), *cells, _value(row["training"], measure))
    return table


def differences_table(differences: "pd.DataFrame") -> "Table":
    """Paired differences in percentage points, signed."""
    from analysis.points import ACCURACY

    columns = ("split", "comparison", "at")
    counted = _counted(differences)
    table = _table("differences", columns, ("points", "95 %", counted))
    for row in differences.to_dict("records"):
        mean = ACCURACY.text(row["mean"], "+")
        table.add_row(*_cells(row, columns), mean, *_interval(row, ACCURACY, counted, "+"))
    return table


def published_table(name: str, beside: "pd.DataFrame") -> "Table":
    """Published numbers and ours, in percent; the difference where both are of one dataset.

    Of columns that tell rows apart only those that vary are shown, and what was chosen.
    """
    from analysis.points import ACCURACY

    beside = beside.assign(share=[f"{100 * each:g} %" for each in beside["fraction"]])
    may_vary = ("dataset", "protocol", "width", "share", "at", "metric")
    told = [c for c in may_vary if beside[c].nunique() > 1]
    chosen = ["chosen"] if (beside["chosen"] != "").any() else []
    columns = ("model", *told, *chosen)
    whose = "published, " + " and ".join(beside["published_for"].unique())
    counted = _counted(beside)
    table = _table(name, columns, (whose, "ours", "95 %", counted, "difference", "95 %"))
    for row in beside.to_dict("records"):
        theirs = ACCURACY.text(row["published"])
        if not math.isnan(row["standard_error"]):
            theirs += f" (error {100 * row['standard_error']:.2f})"
        apart = {**row, "low": row["difference_low"], "high": row["difference_high"]}
        difference = _value(row["difference"], ACCURACY, "+")
        interval, _ = _interval(apart, ACCURACY, counted, "+") if difference != "-" else ("-", "")
        cells = (theirs, ACCURACY.text(row["mean"]), *_interval(row, ACCURACY, counted))
        table.add_row(*_cells(row, columns), *cells, difference, interval)
    return table


def numbers_table(name: str, numbers: "pd.DataFrame") -> "Table":
    """ERF numbers, in mel bands and frames, a row per model."""
    model, *columns = map(str, numbers)
    table = _table(name, (model,), columns)
    for row in numbers.to_dict("records"):
        cells = (f"{v:,.1f}" if isinstance(v, float) else v for v in row.values())
        table.add_row(*map(text, cells))
    return table


def status_table(where: str, standings: "Standings") -> "Group":
    """Trials by status; failures by class of error with an example, running ones by name; time
    left. The address stands above on a line of its own: a table's title folds at its width.
    """
    from rich.console import Group
    from rich.table import Table

    from analysis.standing import failures
    from analysis.table import counts

    progress = standings.progress
    table = Table()
    table.add_column("status", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("")
    table.add_row("planned", str(len(progress)))
    for state, number in counts(progress).items():
        table.add_row(_named(state, standings), str(number))
        if state == Status.FAILED:
            for _, row in failures(progress).iterrows():
                example = one_line(f"{row['class']}, as: {row['example']}")
                table.add_row("", str(row["trials"]), text(example))
        if state == Status.RUNNING:
            for _, row in progress[progress["status"] == state].iterrows():
                reached = f"epoch {row['epochs']} of {row['training.epochs']}"
                table.add_row("", "", text(f"{row['trial']}: {reached}"))
    if standings.open:
        table.add_row("driver", "", text(standings.driver.words))
        table.add_row("time left", "", _left(standings))
    address = text(where)
    address.overflow = "fold"
    return Group(address, table)


def status_line(where: str, standings: "Standings") -> str:
    """The same as one JSON object."""
    from analysis.standing import failures
    from analysis.table import counts

    progress, left = standings.progress, standings.left
    columns = ["trial", "epochs", "training.epochs"]
    running = progress.loc[progress["status"] == Status.RUNNING, columns]
    facts = {"results": where, "trials": len(progress), **counts(progress)}
    failed = failures(progress).to_dict("records")
    facts |= {"failures": failed, "running_trials": running.to_dict("records")}
    facts |= {"slots": standings.slots if standings.open else None}
    facts |= {"driver": standings.driver.state}
    facts |= {"seconds_left": left.seconds if left else None if standings.open else 0.0}
    return dumps(facts | {"at_most": left.at_most if left else None}, allow_nan=False)


def status_words(standings: "Standings") -> str:
    """The same in one line for people."""
    from analysis.table import counts

    each = counts(standings.progress).items()
    words = tally({_named(state, standings): number for state, number in each})
    if not standings.open:
        return words
    if standings.driver.state != "running":
        words += f"; driver: {standings.driver.words}"
    return f"{words}; {_left(standings)} left" if standings.left else words


def _named(state: str, standings: "Standings") -> str:
    """A status, by another name where nobody can be running what looks as if it ran."""
    gone = standings.open and standings.driver.gone
    return "cut off" if gone and state == Status.RUNNING else state


def _left(standings: "Standings") -> str:
    """`about 12 min (2 at once)`."""
    at_once = f"{standings.slots} at once"
    return f"{standings.left} ({at_once})" if standings.left else "unknown: no epoch was timed"


def json_lines(frame: "pd.DataFrame", about: Mapping[str, str]) -> Iterator[str]:
    """One JSON object per row, beginning with `about`; a number that does not exist is null."""
    for row in frame.to_dict("records"):
        known = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        yield dumps({**about, **known}, allow_nan=False)


def tally(counts: Mapping[str, int]) -> str:
    """`12 trials: 9 complete, 0 stopped, 2 failed, 1 running, 0 missing`."""
    parts = ", ".join(f"{n} {status}" for status, n in counts.items())
    return f"{sum(counts.values())} trials: {parts}"


def text(cell: object) -> "Text":
    """What a user may have written, as a cell: rich would read its brackets as markup."""
    from rich.text import Text

    return Text(printable(cell))


def show(table: "Table | Group") -> None:
    """Print to standard output, as wide as the terminal, or unfolded where there is none."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_COLUMNS)
    console.print(table)


def _table(title: str, columns: Sequence[str], numbers: Sequence[str]) -> "Table":
    from rich.table import Table

    table = Table(title=text(title), title_justify="left")
    for name in columns:
        words = name in TEXTS
        justify: Any = "left" if words else "right"
        table.add_column(HEADINGS.get(name, name), justify=justify, no_wrap=not words)
    for heading in numbers:
        folds = heading.startswith(
            (*SCATTER.values(), "n", "above")
        )  # long headings over short numbers
        table.add_column(heading, justify="right", no_wrap=not folds)
    return table


def _cells(row: Mapping[Any, Any], columns: Sequence[str]) -> Iterator[Any]:
    """Texts as they are, numbers with commas."""
    for name in columns:
        yield text(row[name]) if name in TEXTS else f"{row[name]:,}"


def _counted(points: "pd.DataFrame") -> str:
    """The heading of n: what it counts, where that is the same in all rows that have intervals."""
    units = points.loc[points["low"].notna(), "unit"].unique()
    return f"n, {units[0]}" if len(units) == 1 else "n"


def _interval(
    row: Mapping[Any, Any], measure: "Measure", counted: str, sign: str = ""
) -> tuple[str, str]:
    """`21.5 to 28.5`, and n with what it counts unless its heading `counted` says so."""
    low, high = (measure.text(row[edge], sign) for edge in ("low", "high"))
    n = str(row["n"]) if counted == f"n, {row['unit']}" else f"{row['n']} {row['unit']}"
    if math.isnan(row["low"]):
        return "one run" if row["n"] == 1 else "-", n
    return f"{low} to {high}", n


def _value(value: float, measure: "Measure", sign: str = "") -> str:
    """The value as the measure says it; a dash where there is none."""
    return "-" if math.isnan(value) else measure.text(value, sign)
