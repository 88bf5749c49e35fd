"""`overhear measure`: how long a trained network takes for one clip on this machine.

Heavy imports happen inside the functions, so that --help is instant. Contents: measure.
"""

import sys
from collections.abc import Sequence
from json import dumps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.commands.options import ResultsFolder
from scaling.typed import threads as threads_from
from scaling.typed import whole

if TYPE_CHECKING:
    from analysis.listing import Listing
    from scaling.results.records import Results

TOLD = ("trial", "runtime", "precision")  # what tells the rows of a scope apart
BUSY = 0.1  # share of calls that other programs interrupt, from which the reader is told
FEWEST_REPEATS = 20  # of fewer, no 95th percentile can be told
MOST_REPEATS = 1_000_000  # hours of a network that takes milliseconds


def measure(
    results: ResultsFolder,
    trial: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Measure this trial; repeatable (default: one of each configuration, as seeds and "
            "folds share their latency).",
        ),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only the trials of this study; repeatable."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Measure every trial with weights.")] = False,
    threads: Annotated[
        int,
        typer.Option(
            parser=threads_from(1), metavar="N", help="CPU threads; overhear choose reads 1."
        ),
    ] = 1,
    repeats: Annotated[
        int,
        typer.Option(
            parser=whole(FEWEST_REPEATS, MOST_REPEATS), metavar="N", help="Timed calls per model."
        ),
    ] = 200,
    machine: Annotated[
        str,
        typer.Option(metavar="NAME", help="Name of this machine (default: its processor)."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the records as JSON lines.")] = False,
) -> None:
    """Measure the latency and memory of trained networks on this machine."""
    if trial and (study or every):
        other = "--study" if study else "--all"
        raise ValueError(f"--trial and {other} both say which trials to measure: name one of them")
    from analysis import console, pick
    from scaling.results.records import Results

    folder = Results(results)
    trials = pick.several(folder, trial or (), study or (), every)  # before torch is imported
    from scaling.shipping import latency

    names = _names(folder, trials)
    found: list[dict[str, Any]] = []
    rows = latency.measured(folder, trials, threads=threads, repeats=repeats, named=machine)
    for number, of_trial in enumerate(rows, start=1):
        found += of_trial
        print(f"{number}/{len(trials)} {names[of_trial[0]['trial']]}", file=sys.stderr)
    if json:
        for row in found:
            print(dumps(row | {"measured": row["measured"].isoformat()}))
        return
    console.show(console.listed(_listing(found, names), every=True))
    console.show(console.text(_how(found)))
    print(f"records: {folder.where}/latency")


def _names(folder: "Results", trials: Sequence[str]) -> dict[str, str]:
    """What tells the trials apart, by id."""
    from scaling.receptive_field.runs import trials as read
    from scaling.settings.label import trial_labels

    return trial_labels(read(folder, trials))


def _listing(found: list[dict[str, Any]], names: dict[str, str]) -> "Listing":
    """A row for each trial and precision: the latency, then the network alone."""
    from analysis.listing import Column, Listing

    def by_scope(scope: str) -> dict[tuple[str, ...], dict[str, Any]]:
        return {tuple(row[k] for k in TOLD): row for row in found if row["scope"] == scope}

    def column(heading: str, rows: list[dict[str, Any]], *keys: str, **more: bool) -> Column:
        cells = (" to ".join(f"{row[k]:.2f}" for k in keys) if row else "-" for row in rows)
        return Column(heading, tuple(cells), **more)

    alone = by_scope("network")
    wholes = [*by_scope("waveform").values()]
    networks = [alone.get(tuple(row[k] for k in TOLD), {}) for row in wholes]
    memory = tuple(f"{row['model_memory_bytes'] / 1e6:.1f}" for row in wholes)
    peaks = tuple(f"{row['peak_memory_bytes'] / 1e6:.0f}" for row in wholes)
    about = (
        Column("network", tuple(names[row["trial"]] for row in wholes), left=True, folds=True),
        Column("precision", tuple(row["precision"] for row in wholes), left=True),
        Column("by", tuple(row["runtime"] for row in wholes), left=True),
    )
    values = (
        column("p50 ms", wholes, "p50_ms"),
        column("p95", wholes, "p95_ms"),
        column("medians", wholes, "low_ms", "high_ms"),
        column("processor", wholes, "cpu_ms"),
        column("alone p50", networks, "p50_ms"),
        column("p95", networks, "p95_ms", optional=True),
        Column("model MB", memory),
        Column("peak MB", peaks, optional=True),
    )
    return Listing("measured", _result(wholes, names), about, values)


def _result(wholes: list[dict[str, Any]], names: dict[str, str]) -> str:
    """The fastest and the slowest in float32."""
    torch = [r for r in wholes if r["precision"] == "float32" and r["runtime"] == "torch"]
    plain = sorted(torch, key=lambda r: r["p50_ms"])
    ends = plain[:1] if len(plain) == 1 else [plain[0], plain[-1]]
    said = " to ".join(f"{row['p50_ms']:.2f} ms ({names[row['trial']]})" for row in ends)
    return f"{said} from waveform to probabilities, median in float32 on {plain[0]['machine']}"


def _how(found: list[dict[str, Any]]) -> str:
    """How it was measured, and whether other programs disturbed it."""
    repeats = sorted({row["repeats"] for row in found})
    calls = str(repeats[0]) if len(repeats) == 1 else f"{repeats[0]} to {repeats[-1]}"
    threads = found[0]["threads"]
    said = (
        f"One clip at a time, {threads} thread{'s' if threads > 1 else ''}, {calls} calls "
        "after a warm-up, each precision in a process of its own. Medians: lowest and highest of "
        "five stretches of the calls; processor: median of its time; alone: the network, from "
        "features; model MB: what it adds to the memory of the process, at its peak."
    )
    interrupted = max(row["interrupted"] for row in found)
    most = max(row["high_ms"] / row["low_ms"] for row in found)
    if interrupted > BUSY:
        said += (
            f" Other programs interrupted up to {100 * interrupted:.0f} % of the calls, which are "
            "left out unless too few remain; medians of a model still differ by up to "
            f"{most:.1f} times: measure again when this machine is quiet, which replaces these."
        )
    return said
