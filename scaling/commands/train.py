"""`overhear train`: one trial on this machine, without Ray; or its cost, or its profile.

Heavy libraries are imported when the command runs, so that help is instant.
"""

import json
import shlex
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling.commands.groups import grouped
from scaling.commands.options import (
    ClipOptions,
    Json,
    Limit,
    MachineOptions,
    RecipeOptions,
    Skip,
    check_driver,
)
from scaling.typed import folder

if TYPE_CHECKING:
    from scaling.machine import Machine
    from scaling.networks.cost import Cost
    from scaling.results.manifest import Plan, Price
    from scaling.settings import Trial
    from scaling.sound.clips import Clips


@grouped
def train(
    chosen: RecipeOptions,
    *,
    where: ClipOptions,
    out: Annotated[
        str, typer.Option(parser=folder, metavar="FOLDER", help="Results folder or URI.")
    ] = "results/train",
    machine: MachineOptions,
    skip_unreadable: Skip = False,
    limit: Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the trial's size and cost; train nothing.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Profile one epoch; record nothing else."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train one trial on this machine, without Ray."""
    if profile and dry_run:
        raise ValueError("--dry-run trains nothing and --profile trains two epochs: name one")
    # what may be mistyped, before libraries that take seconds to import
    check_driver(machine.device)
    trial, root, read = chosen.trial(), where.root, where.reading
    if not dry_run:  # which does without recordings
        where.check_dataset(trial.sound.dataset)
    from scaling.results import leaks, limits
    from scaling.results.manifest import plan, price_unseen
    from scaling.results.records import Results
    from scaling.sound import frontends, prepare
    from scaling.sound.download import remedy

    most = limits.parsed(limit or ())
    here = machine.here()
    frontends.backend_for(trial.sound.features, machine.frontend_backend)
    limits.check([trial], most, root, read)
    if dry_run:
        clips, missing = prepare.at_hand([trial], root, read)
    else:
        clips, missing = prepare.scan([trial], root, read), {}
    if missing:
        _print_price(trial, price_unseen(trial), {}, as_json)
        for name, reason in missing.items():
            typer.echo(f"missing: {reason}{remedy(name)}", err=True)
        return
    taught_by = leaks.recorded(Results(out), trial.objective.sources)
    planned = plan("train", [trial], {name: each.table for name, each in clips.items()}, taught_by)
    if dry_run:
        _print_price(trial, planned.prices[0], _of_training(planned), as_json)
    elif profile:
        from scaling.commands import profile as profiling

        profiling.run(planned, clips, out, here, skip_unreadable)
    else:
        _train(planned, clips, out, here, skip_unreadable)


def _of_training(planned: "Plan") -> dict[str, int]:
    """What a plan's one trial computes, and how many clips it hears of each part."""
    facts = {"train_macs": planned.work(0)}
    facts |= {f"{name}_clips": count for name, count in planned.parts[0].items()}
    if taught := planned.teaching(0):
        facts["teachers_macs"] = taught
    return facts


def _print_price(
    trial: "Trial", price: "Price | None", of_training: Mapping[str, int], as_json: bool
) -> None:
    """What a trial and its training cost; only its name where nobody knows how many classes."""
    from scaling.settings.label import trial_labels

    facts: dict[str, Any] = {"trial": trial.id, "label": trial_labels([trial])[trial.id]}
    if price:
        facts |= price.facts() if as_json else _told(price.facts())
    facts |= of_training
    _print_facts(facts, as_json)
    if price and not as_json:
        _print_parts(price.cost)


def _told(facts: Mapping[str, Any]) -> dict[str, Any]:
    """A price for a reader: what pruning leaves only where it cuts, and the sizes in one line."""
    dense, sparse, size = (facts[f"{which}bytes"] for which in ("dense_", "sparse_", ""))
    told: dict[str, Any] = {n: v for n, v in facts.items() if not n.endswith("bytes")}
    if sparse == dense:
        told = {name: value for name, value in told.items() if not name.startswith("kept_")}
        return told | {"bytes": dense}
    return told | {"bytes": f"{dense:,} dense, {sparse:,} sparse, {size:,} compacted"}


def _train(
    planned: "Plan", clips: "dict[str, Clips]", out: str, here: "Machine", skip_unreadable: bool
) -> None:
    """Train a plan's one trial, a line for each epoch."""
    from scaling import awaited
    from scaling.results import alone
    from scaling.results.manifest import counted
    from scaling.results.records import Results
    from scaling.results.run_trial import HEADLINE, headline
    from scaling.settings.label import trial_labels

    results = Results(out)
    (trial,) = planned.trials
    running = alone.begin(planned, clips, results, here, skip_unreadable)
    called = f"{trial_labels([trial])[trial.id]} ({trial.id})"
    typer.echo(f"trial {called} on {here.name}, {here.precision_name}")
    for line in counted(planned.parts):
        typer.echo(line)
    whose = HEADLINE[headline(trial)]
    with awaited.shown(partial(typer.echo, err=True)):
        for progress in running:
            heard = ""
            if progress.accuracy is not None:
                heard = f", accuracy {progress.accuracy:.3f} on {whose}"
            state = f"epoch {progress.epoch}/{progress.epochs}{heard}, {progress.seconds:.1f} s"
            typer.echo(f"{progress.status}: {state}" if progress.status.ended else state)
            if progress.error:
                raise ValueError(f"trial {called} failed: {progress.error}")
    typer.echo(f"records in {results.where}")
    typer.echo(f"next: overhear analyze {shlex.quote(results.where)}")


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        for name, value in facts.items():
            value = "unknown" if value is None else value
            typer.echo(f"{name:16} {value:,}" if isinstance(value, int) else f"{name:16} {value}")


def _print_parts(cost: "Cost") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("layer", "map", box=None)
    for column in ("parameters", "weights", "multiply-adds"):
        table.add_column(column, justify="right")
    for part in cost.parts:
        shape = f"{part.map[0]} x {part.map[1]}"
        numbers = (f"{n:,}" for n in (part.parameters, part.weights, part.macs))
        table.add_row(part.name, shape, *numbers)
    Console().print(table)
