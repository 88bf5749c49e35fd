"""`overhear train --profile`: a profile told as two tables, and written as CSV files and a trace.

Contents: `run`, `told`.
"""

import csv
import io
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer

from scaling.machine import Machine
from scaling.results.manifest import Plan
from scaling.results.records import Results
from scaling.settings.label import trial_labels
from scaling.sound import prepare
from scaling.sound.clips import Clips
from scaling.training.profile import Profile, profile

FOLDER = "profiles"  # in a results folder


def run(
    planned: Plan, clips: dict[str, Clips], out: str, machine: Machine, skip_unreadable: bool
) -> None:
    """Profile a plan's one trial; raises as `profile` does, Refused where `out` cannot be
    written.
    """
    results = Results(out)
    results.prepare()
    (trial,) = planned.trials
    (store,) = prepare.stores([trial], clips, skip_unreadable).values()
    typer.echo(f"profile of {trial_labels([trial])[trial.id]} ({trial.id}), its second epoch,")
    typer.echo(f"on {machine.name}, {machine.threads} threads, {machine.precision_name}:")
    found = profile(trial, store, machine, planned.prices[0].cost.parts)
    for line in told(found):
        typer.echo(line)
    files = {
        "phases.csv": _csv(("name", "seconds", "network"), found.phases),
        "layers.csv": _csv(("name", "forward_seconds", "backward_seconds", "flops"), found.layers),
        "trace.json.gz": found.trace,
    }
    for name, content in files.items():
        results.put(content, FOLDER, f"{trial.id}.{name}")
    where = shlex.quote(f"{results.where}/{FOLDER}/{trial.id}.trace.json.gz")
    typer.echo(f"tables: {results.where}/{FOLDER}/{trial.id}.phases.csv, .layers.csv")
    typer.echo(f"timeline: open {where} at https://ui.perfetto.dev")


def told(found: Profile) -> Iterator[str]:
    """The profile for a reader, at most 80 columns wide."""
    whole = f"{found.steps} of {found.of} steps" if found.steps < found.of else f"{found.of} steps"
    yield (
        f"{whole} in {found.seconds:.2f} s, {found.clips / found.seconds:,.0f} clips/s, "
        f"{100 * found.around:.1f} % around the network"
    )
    yield from _table(
        ("phase", "ms a step", "share %"),
        (
            (
                each.name,
                f"{1e3 * each.seconds / found.steps:.2f}",
                f"{100 * each.seconds / found.seconds:.1f}",
            )
            for each in found.phases
        ),
    )
    yield ""
    least = found.flops / found.ceiling
    rate = f"{found.ceiling / 1e9:,.0f} GFLOP/s"
    yield f"A large matrix product reaches {rate} here; at that rate the layers"
    yield (
        f"would take {least:.2f} s, {100 * least / found.seconds:.0f} % of the time. "
        "Each beside that rate:"
    )
    yield from _table(
        ("layer", "forward ms", "backward ms", "MFLOP a step", "of it %"),
        (
            (
                each.name,
                f"{1e3 * each.forward_seconds / found.steps:.2f}",
                f"{1e3 * each.backward_seconds / found.steps:.2f}",
                f"{each.flops / found.steps / 1e6:,.0f}",
                _reached(each.flops, each.forward_seconds + each.backward_seconds, found.ceiling),
            )
            for each in found.layers
        ),
    )


def _reached(flops: float, seconds: float, ceiling: float) -> str:
    return f"{100 * flops / seconds / ceiling:.0f}" if seconds > 0 else "-"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, the first column on the left, the others on the right."""
    lines = [headings, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(headings))]
    for first, *others in lines:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *cells])


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()
