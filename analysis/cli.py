"""The commands of analysis: `overhear analyze`, `overhear status`, and the drawing half of `erf`.

Conventions: plain functions, registered by the top-level command; what a person can mend is raised
as a ValueError of one line. Facts go to standard output, warnings to standard error. Heavy imports
happen inside the commands, so that --help is instant.
Contents: analyze, report, status, draw_fields.
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

from analysis import console, files
from analysis.unit_names import UNITS
from scaling import typed
from scaling.results.outcome import Status
from scaling.text import behind, file_name

if TYPE_CHECKING:
    import pandas as pd

    from analysis.data import Data
    from analysis.figures.layout import Style
    from analysis.listing import Listing
    from analysis.status import StudyStatus
    from analysis.table import Snapshot
    from scaling.results.records import Results

WATCH_SECONDS = 2.0
RESULTS = "Results folder or URI of a sweep."
JOINED = (
    "Results folders or URIs of sweeps. Several are joined by trial id; copies of a trial must "
    "agree."
)
OUT = "Local folder for the figures. Default: RESULTS/figures. Required for several RESULTS."
# what commands that read scores have in common
Joined = Annotated[list[str], typer.Argument(parser=typed.results, metavar="RESULTS", help=JOINED)]
Studies = Annotated[
    list[str] | None,
    typer.Option(
        metavar="STUDY", help="Only the trials of this study. Repeatable. Default: all studies."
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        parser=typed.pair,
        metavar="KEY=VALUE",
        help="Only the trials with this setting, such as split.fraction=0.5. Repeatable: all "
        "settings must hold, or one of the values of a setting that is repeated.",
    ),
]
Last = Annotated[
    int | None,
    typer.Option(
        parser=typed.whole(1),
        metavar="N",
        help="Average over the last N evaluated epochs. Default: evaluation.last if all "
        "trials agree on it, else 1.",
    ),
]
Unit = Annotated[
    str,
    typer.Option(
        parser=typed.word(*UNITS),
        metavar="|".join(UNITS),
        help="Unit of the intervals. Default: the widest claim that the design allows.",
    ),
]


class Format(StrEnum):
    """File formats of figures."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


def analyze(
    results: Joined,
    figure: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Figure to draw. Repeatable. Default: all that apply."),
    ] = None,
    study: Studies = None,
    where: Where = None,
    differences: Annotated[
        bool, typer.Option("--differences", help="Add the table of paired differences.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--published", help="Add the papers' tables, beside your results.")
    ] = False,
    challenge: Annotated[
        bool,
        typer.Option("--challenge", help="Add accuracy by class and device as DCASE prints it."),
    ] = False,
    out: Annotated[
        str | None, typer.Option(parser=typed.folder, metavar="FOLDER", help=OUT)
    ] = None,
    format: Annotated[Format, typer.Option(help="File format of the figures.")] = Format.PNG,  # noqa: A002
    width: Annotated[
        float | None,
        typer.Option(
            parser=typed.size,
            metavar="SIZE",
            help="Width of the figures, such as 3.3in, 84mm or 240pt. Default: as wide as they "
            "need.",
        ),
    ] = None,
    height: Annotated[
        float | None,
        typer.Option(
            parser=typed.size,
            metavar="SIZE",
            help="Height of the figures. Default: from their width.",
        ),
    ] = None,
    dpi: Annotated[
        int,
        typer.Option(parser=typed.whole(30, 2400), metavar="N", help="Dots per inch of a PNG."),
    ] = 200,
    font_size: Annotated[
        float | None,
        typer.Option(
            parser=typed.bounded(least=2, most=72),
            metavar="POINTS",
            help="Size of labels. Default: 9.6, and 8 in a figure narrower than 5in.",
        ),
    ] = None,
    title: Annotated[
        bool, typer.Option("--title/--no-title", help="Draw each figure's title and caption.")
    ] = True,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OLD=NEW",
            help="Rename a text in the figures: OLD=NEW, as in 'base=Baseline'. Repeatable.",
        ),
    ] = None,
    last: Last = None,
    unit: Unit = "",
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Print all rows of every table, not only the first 20 of the main ones."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the points as JSON lines.")] = False,
) -> None:
    """Draw a study's figures, and print their points and write them as CSV."""
    from analysis import listing, next_size, selectors, table, units
    from analysis.data import opened
    from analysis.figures import registry
    from analysis.metrics import Unrecorded
    from scaling.results.records import Results

    registry.known(figure or [])
    style = _style(width, height, dpi, font_size, title, label or [])
    folders = [Results(each) for each in results]
    folder = files.folder(folders, out)
    wanted = selectors.parsed(where or ())
    data = opened(folders, last, units.asked(unit), study or (), where=wanted)
    planned, averaged, scores = data.snapshot, data.last, data.scores()
    tally = table.counts(table.progress(planned))
    if scores.empty:
        raise ValueError(
            f"{planned.results.where} has no complete trial to draw ({console.tally(tally)}): "
            "run its sweep (again)"
        )
    chosen = registry.applicable(figure or [], data)
    compared = _compared(scores) if differences else None
    papers = _published(data) if published else {}
    asked = _challenge(data) if challenge else {}
    for message in _hidden(planned, scores, tally, averaged, last is None):
        warnings.warn(message, stacklevel=2)
    aside = sys.stderr if json else sys.stdout  # a program that reads JSON lines reads only these
    if last is None and averaged > 1:
        said = "as evaluation.last of all trials says"
        print(f"a run is the mean of its last {averaged} evaluated epochs, {said}", file=aside)

    def report(listed: "Listing", rows: "pd.DataFrame", kind: str, name: str, saved: str) -> None:
        if json:
            print(*console.json_lines(files.without_arrays(rows), {kind: name}), sep="\n")
        elif name in registry.IN_A_SENTENCE and not (figure or every):
            console.show(console.sentence(listed))
        else:
            console.show(console.listed(listed, every, f"{name}.csv"))
        print(f"{name}: {saved}\n", file=aside)

    for name in chosen:
        try:
            points = registry.FIGURES[name].points(data)
        except Unrecorded as error:
            if figure:
                raise
            warnings.warn(f"figure {name} is left out: {error}", stacklevel=2)
            continue
        saved = _save(points, folder, name, Format(format), style)
        if name == "next_size" and (kept := next_size.keep(data)):
            saved += f"; kept as {data.snapshot.results.path(next_size.KIND, kept)}.parquet"
        report(registry.FIGURES[name].listing(name, points), points, "figure", name, saved)
    _check_labels(style)
    if compared is not None:
        saved = _write(compared, folder, "differences")
        intervals = int(compared["low"].notna().sum())
        saved += f" (of {intervals} intervals of 95 %, expect {intervals / 20:.1f} to miss)"
        report(listing.of_differences(compared), compared, "table", "differences", saved)
    for name, (rows, listed) in (papers | asked).items():
        report(listed, rows, "table", name, _write(rows, folder, name))
    print(console.tally(tally), file=aside)


def _style(
    width: float | None,
    height: float | None,
    dpi: int,
    font_size: float | None,
    title: bool,
    labels: list[str],
) -> "Style":
    """How figures are to look. Raises ValueError for a size or label that cannot be meant."""
    from analysis.figures.layout import Style

    renamed = dict(_renamed(label) for label in labels)
    return Style(width, height, dpi, font_size, title, renamed)


def _renamed(label: str) -> tuple[str, str]:
    """OLD=NEW as a pair; what stands before the last = is OLD, as in `mixup=0.3=Mixup`."""
    old, equals, new = label.rpartition("=")
    if not (old and equals and new):
        raise ValueError(f"--label {label!r}: write OLD=NEW, as in --label base=Baseline")
    return old, new


def _check_labels(style: "Style") -> None:
    """Warn of labels that no figure had."""
    for old in style.labels.keys() - style.found:
        warnings.warn(f"--label {old}: no figure drawn here has this text", stacklevel=3)


def _published(data: "Data") -> "dict[str, tuple[pd.DataFrame, Listing]]":
    """The papers' tables that these trials belong into, of which there is at least one, and the
    gains within them; each with how it is printed.
    """
    from analysis import listing
    from analysis.tables import gains, published
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
        papers[name] = beside, listing.of_published(name, beside, theirs)
        gained = gains.gains(name, scores, macro_f1)
        if len(gained):
            title = f"{name}_gains"
            papers[title] = gained, listing.of_gains(title, gained)
    return papers


def _challenge(data: "Data") -> "dict[str, tuple[pd.DataFrame, Listing]]":
    """The challenge's tables, each with how it is printed."""
    from analysis.tables import challenge

    tables = challenge.challenge(data)
    return {name: (rows, challenge.listing(name, rows)) for name, rows in tables.items()}


def report(
    results: Joined,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.html",
            help="Output file. Default: RESULTS/report.html. Required for several RESULTS.",
        ),
    ] = None,
) -> None:
    """Write a study's report, one HTML page that works without a network connection."""
    from analysis import table
    from analysis.data import opened
    from analysis.report.file import file_of, write
    from analysis.report.page import page

    file = file_of(results, out)
    data = opened(results)
    progress = table.progress(data.snapshot)
    tally = table.counts(progress)
    # what is missing, the page says itself
    ended = {state: n for state, n in tally.items() if state == Status.COMPLETE}
    notes = [*_hidden(data.snapshot, data.scores(), ended, data.last, True)]
    size = write(page(data, notes, progress), file)
    print(f"{file} ({size:,} bytes; a browser opens it)")
    print(console.tally(tally))


def status(
    results: Annotated[str, typer.Argument(parser=typed.results, metavar="RESULTS", help=RESULTS)],
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
    from analysis import table
    from analysis.data import Data
    from analysis.figures.effective_field import EffectiveField
    from analysis.figures.field_drawing import SCALES
    from analysis.figures.layout import PLAIN
    from scaling.results.records import Results

    where = Results(results)
    folder = files.folder(where, out)
    planned = table.load(where)
    chosen = planned.manifest["trial"].isin(trials)
    data = Data(planned._replace(manifest=planned.manifest[chosen]))
    figures: dict[str, EffectiveField]
    figures = {scale: EffectiveField(scale, kind, split) for scale in SCALES}
    scaled = EffectiveField("log", kind, split, scaled=True)
    if scaled.obstacle(data) is None:
        figures["scaled"] = scaled
    points = figures["log"].points(data)
    target, _, label = kind.partition(" ")
    stem = "-".join(["effective_field", target, *([file_name(label)] if label else []), split])
    with files.writing(folder):
        files.write_csv(points, folder / f"{stem}.csv")
        for scale, figure in figures.items():
            file = folder / f"{stem}-{scale}.{kind_of_file}"
            files.write_drawing(figure.draw(points), file, PLAIN.dpi)
            print(f"{scale}: {file}")
    listed = figures["log"].listing("effective receptive field", points)
    console.show(console.listed(listed, file=f"{stem}.csv"))


def _repeated(results: "Results", now: "StudyStatus") -> "Iterator[StudyStatus]":
    """The status of a study now and every WATCH_SECONDS until no trial is running or missing."""
    from analysis.status import look

    yield now
    while now.open:
        time.sleep(WATCH_SECONDS)
        now = look(results, now)
        yield now


def _compared(scores: "pd.DataFrame") -> "pd.DataFrame":
    """The paired differences, of which there is at least one."""
    from analysis.tables import differences

    found = differences.differences(scores)
    if found.empty:
        raise ValueError(f"--differences: {differences.NOTHING}")
    return found


def _save(points: "pd.DataFrame", folder: Path, name: str, kind: Format, style: "Style") -> str:
    """Write the drawing of a figure's points, and the points; their paths as text."""
    from analysis.figures import registry

    file = folder / f"{name}.{kind}"
    with files.writing(folder):
        files.write_drawing(registry.FIGURES[name].draw(points, style), file, style.dpi)
    return f"{file} (points: {_write(points, folder, name)})"


def _write(rows: "pd.DataFrame", folder: Path, name: str) -> str:
    """Write a table as CSV; its path as text."""
    file = folder / f"{name}.csv"
    with files.writing(folder):
        files.write_csv(rows, file)
    return str(file)


def _hidden(
    snapshot: "Snapshot", scores: "pd.DataFrame", tally: dict[str, int], last: int, default: bool
) -> Iterator[str]:
    """What a reader of the figures must know and would not see in them."""
    from scaling import settings

    left_out = [f"{n} {state}" for state, n in tally.items() if n and state != Status.COMPLETE]
    if left_out:
        yield f"{', '.join(left_out)} of {sum(tally.values())} trials are in no figure"
    unplanned = len(set(snapshot.outcomes["trial"]) - set(snapshot.manifest["trial"]))
    if unplanned:
        yield f"{unplanned} trials that no manifest plans are in no figure"
    short = scores.loc[scores["epochs"] < last, "trial"].nunique()
    if short:
        yield f"{short} trials have fewer than last={last} evaluated epochs: all were averaged"
    planned, known = snapshot.manifest, settings.leaves()
    for name in (n for n in map(str, planned) if "." in n and n not in known):
        if planned[name].nunique(dropna=False) > 1:
            yield (
                f"trials differ in {name}, a setting that this Overhear does not know, and count "
                "as alike in it: update Overhear"
            )
    stated = sorted(planned["evaluation.last"].unique())
    if default and len(stated) > 1:
        several = " and ".join(map(str, stated))
        yield f"trials state evaluation.last={several}: only the last epoch counts without --last"
    # behind a + stand the microphones, which a study may vary
    clips = planned["data_digest"].str.partition("+")[0]
    # a digest of an earlier form names the same clips otherwise: only like is compared
    forms = clips.str.startswith("2-")
    for form in (clips[forms], clips[~forms]):
        digests = form.groupby(planned["sound.dataset"]).nunique()
        for dataset in digests.index[digests > 1]:
            yield f"the trials saw {digests[dataset]} versions of {dataset}: data_digest differs"
