"""The commands of analysis: `overhear analyze`, `overhear status`, and the drawing half of `erf`.

Conventions: plain functions, registered by the top-level command; what a person can mend is raised
as a ValueError of one line. Facts go to standard output, warnings to standard error. Heavy imports
happen inside the commands, so that --help is instant.
Contents: analyze, status, draw_fields.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analysis import files, printed
from scaling.results.outcome import Status
from scaling.text import file_name

if TYPE_CHECKING:
    import pandas as pd

    from analysis.standing import Standings
    from analysis.table import Study
    from scaling.results.records import Results

WATCH_SECONDS = 2.0


class Format(StrEnum):
    """File formats of figures."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


def analyze(
    results: Annotated[str, typer.Argument(help="results folder or URI, as a sweep wrote it")],
    figure: Annotated[
        list[str] | None, typer.Option(help="figure to draw; all that apply unless given")
    ] = None,
    study: Annotated[
        list[str] | None, typer.Option(help="only the trials of this study; all unless given")
    ] = None,
    differences: Annotated[
        bool, typer.Option("--differences", help="add the table of paired differences")
    ] = False,
    published: Annotated[
        bool, typer.Option("--published", help="add the papers' tables, their numbers beside ours")
    ] = False,
    out: Annotated[
        str | None, typer.Option(help="local folder; RESULTS/figures unless given")
    ] = None,
    format: Annotated[Format, typer.Option(help="file format of the figures")] = Format.PNG,  # noqa: A002
    last: Annotated[
        int | None,
        typer.Option(
            help="average over this many last evaluated epochs; unless given, evaluation.last "
            "where all trials agree on it, else 1"
        ),
    ] = None,
    unit: Annotated[
        str,
        typer.Option(
            help="what intervals are over: folds, repeats, devices or clips; as the design allows "
            "unless given"
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="print points as JSON lines")] = False,
) -> None:
    """Draw a study's figures, with the points of each as a table and as CSV."""
    from analysis import table, units
    from analysis.figures import choice
    from scaling.results.records import Results

    choice.known(figure or [])
    where = Results(results)
    folder = files.folder(where, out)
    planned = table.load(where, study or ())
    averaged = table.stated_last(planned) if last is None else last
    scores = table.scores(planned, last=averaged, unit=units.asked(unit))
    tally = table.counts(table.progress(planned))
    if scores.empty:
        raise ValueError(
            f"{where.where} has no complete trial to draw ({printed.tally(tally)}): "
            "run its sweep (again)"
        )
    chosen = choice.chosen(figure or [], planned, scores)
    compared = _compared(scores) if differences else None
    papers = _published(planned, scores, averaged) if published else {}
    for message in _hidden(planned, scores, tally, averaged, last is None):
        warnings.warn(message, stacklevel=2)
    aside = sys.stderr if json else sys.stdout  # a program that reads JSON lines reads only these
    if last is None and averaged > 1:
        said = "as evaluation.last of all trials says"
        print(f"a run is the mean of its last {averaged} evaluated epochs, {said}", file=aside)
    for name in chosen:
        try:
            points = choice.points(name, planned, scores, averaged)
        except ValueError as error:
            if figure or choice.of_accuracy(name):
                raise
            warnings.warn(f"figure {name} is left out: {error}", stacklevel=2)
            continue
        saved = _save(points, folder, name, Format(format))
        if json:
            print(*printed.json_lines(points, {"figure": name}), sep="\n")
        else:
            printed.show(choice.printed(name, points))
        print(f"{name}: {saved}", file=aside)
    if compared is not None:
        _report(compared, folder, json)
    for name, beside in papers.items():
        file = folder / f"{name}.csv"
        with files.writing(folder):
            files.write_csv(beside, file)
        if json:
            print(*printed.json_lines(beside, {"table": name}), sep="\n")
        else:
            printed.show(printed.published_table(name, beside))
        print(f"{name}: {file}", file=aside)
    print(printed.tally(tally), file=aside)


def _published(study: "Study", scores: "pd.DataFrame", last: int) -> "dict[str, pd.DataFrame]":
    """The papers' tables that these trials belong into, of which there is at least one."""
    from analysis import table
    from analysis.tables import published

    reasons = {name: published.obstacle(name, scores) for name in published.PUBLISHED}
    if all(reasons.values()):
        raise ValueError(f"--published: {'; '.join(filter(None, reasons.values()))}")
    macro_f1 = table.scores(study, "macro_f1", last, scores["unit"].iloc[0])
    return {n: published.beside(n, scores, macro_f1) for n, reason in reasons.items() if not reason}


def _report(compared: "pd.DataFrame", folder: Path, json: bool) -> None:
    """Save the paired differences and print them, with what so many intervals are worth."""
    file = folder / "differences.csv"
    with files.writing(folder):
        files.write_csv(compared, file)
    if json:
        print(*printed.json_lines(compared, {"table": "differences"}), sep="\n")
    else:
        printed.show(printed.differences_table(compared))
    intervals = int(compared["low"].notna().sum())
    missed = f"of {intervals} intervals of 95 % expect {intervals / 20:.1f} to miss"
    print(f"differences: {file} ({missed})", file=sys.stderr if json else sys.stdout)


def status(
    results: Annotated[str, typer.Argument(help="results folder or URI, as a sweep wrote it")],
    watch: Annotated[bool, typer.Option("--watch", help="repeat until all is done")] = False,
    json: Annotated[bool, typer.Option("--json", help="the same as a JSON line")] = False,
) -> None:
    """Say what became of a study's trials, by class of error where they failed; the time left."""
    from rich.console import Console
    from rich.live import Live

    from analysis import standing
    from scaling.interruption import quietly
    from scaling.results.records import Results

    where = Results(results, lenient=True)
    now = standing.look(where)
    if not watch:
        if json:
            print(printed.status_line(where.where, now))
        else:
            printed.show(printed.status_table(where.where, now))
        return
    console = Console()
    with quietly(), suppress(KeyboardInterrupt):  # Ctrl-C is the way to leave
        if console.is_terminal and not json:
            with Live(printed.status_table(where.where, now), console=console) as live:
                for each in _repeated(where, now):
                    live.update(printed.status_table(where.where, each), refresh=True)
        else:
            said = partial(printed.status_line, where.where) if json else printed.status_words
            for each in _repeated(where, now):
                print(said(each), flush=True)


def trials_of(results: str, studies: list[str] | None, names: list[str] | None) -> list[str]:
    """These trials, else all complete ones of these studies (of all studies for none)."""
    from analysis import table
    from scaling.results.records import Results

    if names:
        return names
    where = Results(results)
    progress = table.progress(table.load(where, studies or ()))
    complete = progress.loc[progress["status"] == Status.COMPLETE, "trial"].tolist()
    if not complete:
        raise ValueError(f"{where.where} has no complete trial: run its sweep (again)")
    return complete


def figures_folder(results: str, out: str | None) -> Path:
    """Where figures of these results go. Raises ValueError where that is not on this machine."""
    from scaling.results.records import Results

    return files.folder(Results(results), out)


def draw_fields(
    results: str, trials: list[str], split: str, kind: str, out: str | None, kind_of_file: Format
) -> None:
    """Draw the ERF maps of these trials, on both scales, and print their numbers."""
    import pandas as pd

    from analysis import table
    from analysis.figures import effective_field
    from scaling.results.records import Results

    where = Results(results)
    folder = files.folder(where, out)
    maps = where.read("maps", trials).to_pandas()
    maps = maps[(maps["kind"] == kind) & (maps["split"] == split)]
    panels = effective_field.panels(maps, table.manifest(where), kind, split)
    numbers = pd.DataFrame(
        {
            "model": panel.title.partition(" (n")[0].replace("\n", ", "),
            "n": len(panel.trials),
            **panel.numbers,
        }
        for panel in panels
    )
    target, _, label = kind.partition(" ")
    stem = "-".join(["effective_field", target, *([file_name(label)] if label else []), split])
    with files.writing(folder):
        files.write_csv(numbers, folder / f"{stem}.csv")
        for scale in effective_field.SCALES:
            file = folder / f"{stem}-{scale}.{kind_of_file}"
            files.write_drawing(effective_field.draw(panels, scale), file)
            print(f"{scale}: {file}")
    printed.show(printed.numbers_table(f"effective receptive field, {kind}, {split}", numbers))


def _repeated(results: "Results", now: "Standings") -> "Iterator[Standings]":
    """Where the study stands now and every WATCH_SECONDS until no trial is running or missing."""
    from analysis import standing

    yield now
    while now.open:
        time.sleep(WATCH_SECONDS)
        now = standing.look(results, now)
        yield now


def _compared(scores: "pd.DataFrame") -> "pd.DataFrame":
    """The paired differences, of which there is at least one."""
    from analysis.tables import differences

    found = differences.differences(scores)
    if found.empty:
        raise ValueError(f"--differences: {differences.NOTHING}")
    return found


def _save(points: "pd.DataFrame", folder: Path, name: str, kind: Format) -> str:
    """Write the drawing of a figure's points, and the points; their paths as text."""
    from analysis.figures import choice

    drawing, table = folder / f"{name}.{kind}", folder / f"{name}.csv"
    with files.writing(folder):
        files.write_drawing(choice.draw(name, points), drawing)
        files.write_csv(points, table)
    return f"{drawing} (points: {table})"


def _hidden(
    study: "Study", scores: "pd.DataFrame", tally: dict[str, int], last: int, default: bool
) -> Iterator[str]:
    """What a reader of the figures must know and would not see in them."""
    left_out = [f"{n} {state}" for state, n in tally.items() if n and state != Status.COMPLETE]
    if left_out:
        yield f"{', '.join(left_out)} of {sum(tally.values())} trials are in no figure"
    unplanned = len(set(study.outcomes["trial"]) - set(study.manifest["trial"]))
    if unplanned:
        yield f"{unplanned} trials that no manifest plans are in no figure"
    short = scores.loc[scores["epochs"] < last, "trial"].nunique()
    if short:
        yield f"{short} trials have fewer than last={last} evaluated epochs: all were averaged"
    stated = sorted(study.manifest["evaluation.last"].unique())
    if default and len(stated) > 1:
        several = " and ".join(map(str, stated))
        yield f"trials state evaluation.last={several}: only the last epoch counts without --last"
    # behind a + stand the microphones, which a study may vary
    clips = study.manifest["data_digest"].str.partition("+")[0]
    # a digest of an earlier form names the same clips otherwise: only like is compared
    forms = clips.str.startswith("2-")
    for form in (clips[forms], clips[~forms]):
        digests = form.groupby(study.manifest["sound.dataset"]).nunique()
        for dataset in digests.index[digests > 1]:
            yield f"the trials saw {digests[dataset]} versions of {dataset}: data_digest differs"
