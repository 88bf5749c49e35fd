"""The commands of analysis: `overhear analyze` and `overhear status`.

Conventions: plain functions, registered by the top-level command; what a person can mend is raised
as a ValueError of one line. Facts go to standard output, warnings to standard error. Heavy imports
happen inside the commands, so that --help is instant.
Contents: analyze, status.
"""

import math
import sys
import time
import warnings
from collections.abc import Iterator
from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from analysis.figures import Drawable
    from analysis.table import Study
    from scaling.records import Results

WATCH_SECONDS = 2.0
ERROR_WORDS = 6  # failures whose errors begin with the same words are counted together
DOTS_PER_INCH = 200  # of a PNG
PIPE_COLUMNS = 160  # a table that no terminal shows is not folded to 80


class Format(StrEnum):
    """File formats of figures."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


def analyze(
    results: Annotated[str, typer.Argument(help="results folder or URI, as a sweep wrote it")],
    figure: Annotated[
        list[str] | None, typer.Option(help="figure to draw; all unless given")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="local folder; RESULTS/figures unless given")
    ] = None,
    format: Annotated[Format, typer.Option(help="file format of the figures")] = Format.PNG,  # noqa: A002
    last: Annotated[int, typer.Option(help="average over this many last evaluated epochs")] = 1,
    json: Annotated[bool, typer.Option("--json", help="print points as JSON lines")] = False,
) -> None:
    """Draw a study's figures, with the points of each as a table and as CSV."""
    from analysis import table
    from analysis.figures import FIGURES
    from scaling.records import Results

    chosen = _chosen(figure, FIGURES)
    folder = _folder(Results(results), out)
    study = table.load(Results(results))
    scores = table.scores(study, last=last)
    tally = table.counts(table.progress(study))
    if scores.empty:
        raise ValueError(
            f"{results} has no complete trial to draw ({_tally(tally)}): run its sweep (again)"
        )
    for message in _hidden(study, scores, tally, last):
        warnings.warn(message, stacklevel=2)
    aside = sys.stderr if json else sys.stdout  # a program that reads JSON lines reads only these
    for name, module in chosen.items():
        points = module.points(scores)
        files = _save(module, points, folder, name, Format(format))
        if json:
            print(*_json_lines(name, points), sep="\n")
        else:
            _print(_points_table(name, points))
        print(f"{name}: {files}", file=aside)
    print(_tally(tally), file=aside)


def status(
    results: Annotated[str, typer.Argument(help="results folder or URI, as a sweep wrote it")],
    watch: Annotated[bool, typer.Option("--watch", help="repeat until all is done")] = False,
) -> None:
    """Say what became of a study's trials: complete, stopped, failed and why, running, missing."""
    from rich.console import Console
    from rich.live import Live

    from analysis import table
    from scaling.records import Results

    where = Results(results)
    progress = table.progress(where)
    if not watch:
        _print(_status_table(results, progress))
        return
    console = Console()
    try:
        if console.is_terminal:
            with Live(_status_table(results, progress), console=console) as live:
                for now in _repeated(where, progress):
                    live.update(_status_table(results, now), refresh=True)
        else:
            for now in _repeated(where, progress):
                print(_tally(table.counts(now)), flush=True)
    except KeyboardInterrupt:
        pass  # the way to leave --watch


def _repeated(results: "Results", progress: "pd.DataFrame") -> "Iterator[pd.DataFrame]":
    """The progress now and every WATCH_SECONDS until no trial is running or missing."""
    from analysis import table

    yield progress
    while progress["status"].isin(["running", "missing"]).any():
        time.sleep(WATCH_SECONDS)
        progress = table.progress(results)
        yield progress


def _chosen(names: list[str] | None, figures: "dict[str, Drawable]") -> "dict[str, Drawable]":
    """The figures of these names, in this order; all for none."""
    from scaling import config

    for name in names or []:
        if name not in figures:
            raise ValueError(f"figure {name}: no such figure{config.nearest(name, figures)}")
    return {name: figures[name] for name in names or figures}


def _folder(results: "Results", out: str | None) -> Path:
    """Where figures go: `out`, else RESULTS/figures where that is local."""
    if out is not None and "://" not in out:
        return Path(out).expanduser()
    if out is None and results.local:
        return Path(results.path("figures"))
    raise ValueError(
        f"{out or results.where} is not on this machine: name a local folder for figures with --out"
    )


def _save(module: "Drawable", points: "pd.DataFrame", folder: Path, name: str, kind: Format) -> str:
    """Write the drawing and its points; their paths as text."""
    import matplotlib

    drawing, table = folder / f"{name}.{kind}", folder / f"{name}.csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # text stays text in SVG and PDF, to be searched and edited
        with matplotlib.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
            module.draw(points).savefig(drawing, format=kind.value, dpi=DOTS_PER_INCH)
        points.to_csv(table, index=False)
    except OSError as error:
        raise ValueError(
            f"figures folder {folder} cannot be written ({error.strerror or error}): "
            "free some space, mend its rights, or name another with --out"
        ) from None
    return f"{drawing} (points: {table})"


def _hidden(
    study: "Study", scores: "pd.DataFrame", tally: dict[str, int], last: int
) -> Iterator[str]:
    """What a reader of the figures must know and would not see in them."""
    left_out = [f"{n} {state}" for state, n in tally.items() if n and state != "complete"]
    if left_out:
        yield f"{', '.join(left_out)} of {sum(tally.values())} trials are in no figure"
    unplanned = len(set(study.outcomes["trial"]) - set(study.manifest["trial"]))
    if unplanned:
        yield f"{unplanned} trials that no manifest plans are in no figure"
    short = scores.loc[scores["epochs"] < last, "trial"].nunique()
    if short:
        yield f"{short} trials have fewer than last={last} evaluated epochs: all were averaged"
    digests = study.manifest.groupby("sound.dataset")["data_digest"].nunique()
    for dataset in digests.index[digests > 1]:
        yield f"the trials saw {digests[dataset]} versions of {dataset}: data_digest differs"


def _tally(tally: dict[str, int]) -> str:
    """`12 trials: 9 complete, 0 stopped, 2 failed, 1 running, 0 missing`."""
    parts = ", ".join(f"{n} {status}" for status, n in tally.items())
    return f"{sum(tally.values())} trials: {parts}"


def _json_lines(name: str, points: "pd.DataFrame") -> Iterator[str]:
    """One JSON object per point; an interval that does not exist is null."""
    for row in points.to_dict("records"):
        known = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        yield dumps({"figure": name, **known}, allow_nan=False)


def _points_table(name: str, points: "pd.DataFrame") -> "Table":
    """The points as people read them: percent, and the cost that the figure draws."""
    from rich.table import Table
    from rich.text import Text

    table = Table("split", "family", title=name, title_justify="left")
    for heading in ("width", "depth", "pointwise", "parameters", "accuracy %", "95 %", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in points.to_dict("records"):
        low, high = 100 * row["low"], 100 * row["high"]
        table.add_row(
            row["split"],
            Text(row["family"]),
            *(str(row[dial]) for dial in ("width", "depth", "pointwise")),
            f"{row['parameters']:,}",
            f"{100 * row['mean']:.1f}",
            "one run" if math.isnan(low) else f"{low:.1f} to {high:.1f}",
            str(row["n"]),
        )
    return table


def _status_table(results: str, progress: "pd.DataFrame") -> "Table":
    """Trials by status; failures by the first words of their error, running ones by name."""
    from rich.table import Table
    from rich.text import Text

    from analysis.table import counts

    table = Table(title=Text(results), title_justify="left")
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


def _first_words(error: Any) -> str:
    """How an error begins, so that like failures fall together."""
    words = error.split() if isinstance(error, str) else []
    beginning = " ".join(words[:ERROR_WORDS]) or "no reason recorded"
    return beginning + (" ..." if len(words) > ERROR_WORDS else "")


def _print(table: "Table") -> None:
    """Print to standard output, as wide as the terminal, or unfolded where there is none."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_COLUMNS)
    console.print(table)
