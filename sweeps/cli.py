"""`overhear sweep` and `overhear studies`.

Heavy libraries are imported when a command runs, so that help is instant.
"""

import json
from typing import Annotated, Any

import typer

from scaling.cli import Device, Json, Precision, Root, Skip, pairs


def studies(as_json: Json = False) -> None:
    """What can be swept: name, question, source, number of trials."""
    from sweeps.study import plan, shipped

    for study in shipped():
        count = len(plan(study, {}))
        if as_json:
            facts = {"name": study.name, "question": study.question, "source": study.source}
            typer.echo(json.dumps({**facts, "trials": count}))
        else:
            typer.echo(f"{study.name} ({count} trials)\n  {study.question}\n  {study.source}")


def sweep(
    study: Annotated[str, typer.Argument(help="A shipped study, or a Python file of yours.")],
    data: Annotated[str | None, typer.Option(help="Another dataset than the study's.")] = None,
    root: Root = None,
    out: Annotated[str | None, typer.Option(help="Results (default: results/STUDY).")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change every trial; repeatable."),
    ] = None,
    repeats: Annotated[int | None, typer.Option(help="Seeds 0 to N-1 for every trial.")] = None,
    dry_run: Annotated[bool, typer.Option(help="List the trials; start nothing.")] = False,
    retry_failed: Annotated[bool, typer.Option(help="Run failed trials again.")] = False,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster; auto.")] = None,
    cpus_per_trial: Annotated[int, typer.Option(min=1)] = 1,
    gpus_per_trial: Annotated[float, typer.Option(min=0)] = 0.0,
    max_concurrent: Annotated[int | None, typer.Option(min=1)] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    skip_unreadable: Skip = False,
    plain: Annotated[bool, typer.Option(help="Plain lines instead of a live one.")] = False,
    as_json: Json = False,
) -> None:
    """Run what is missing of a study on Ray Tune; its records go to the results folder."""
    from scaling.plan import plan as make_plan
    from scaling.records import Results
    from scaling.sound import prepare
    from sweeps import launch
    from sweeps.study import find, plan

    found = find(study)
    changes = pairs(settings) | ({"sound.dataset": data} if data else {})
    trials = plan(found, changes, repeats)
    clips = prepare.scan(trials, root)
    tables = {name: each.table for name, each in clips.items()}
    planned = make_plan(found.name, trials, tables)
    where = out or f"results/{found.name}"
    if dry_run:
        results = Results(where)
        _show(planned, launch.outcomes(results, trials), results.where, as_json)
        return
    from sweeps.tuner import Resources

    resources = Resources(address, cpus_per_trial, gpus_per_trial, max_concurrent)
    _sweep(
        planned,
        clips,
        where,
        resources,
        (device, precision),
        (skip_unreadable, retry_failed, plain),
        root,
    )


def _sweep(
    planned: Any,
    clips: Any,
    where: str,
    resources: Any,
    machine: tuple[str, str],
    switches: tuple[bool, bool, bool],
    root: str | None,
) -> None:
    from rich.console import Console

    from scaling.plan import record
    from scaling.records import Results
    from scaling.sound import prepare
    from sweeps import launch
    from sweeps.display import Display
    from sweeps.tuner import Task, sweep

    skip_unreadable, retry_failed, plain = switches
    results = Results(where)
    results.prepare()
    stores = prepare.stores(planned.trials, clips, skip_unreadable)
    record(planned, prepare.digests(planned.trials, stores), results)
    left = launch.pending(planned, results, retry_failed)
    already = len(planned.trials) - len(left)
    if already:
        typer.echo(
            f"{already} of {len(planned.trials)} trials have ended before and are left alone"
        )
    if left:
        trials = [planned.trials[index] for index in left]
        macs = {planned.trials[i].id: planned.costs[i].macs for i in left}
        task = Task(
            {key: str(store.folder) for key, store in stores.items()},
            results.address,
            resources.cpus,
            *machine,
            root=root,
            skip_unreadable=skip_unreadable,
        )
        with Display(trials, macs, Console(stderr=True), plain) as display:
            for stage in launch.stages(trials):
                sweep(stage, task, resources, display)
                if len(launch.outcomes(results, stage)) < len(stage):
                    break  # stopped by Ctrl-C: what takes over from these has to wait, too
    _say_end(planned, results)


def _say_end(planned: Any, results: Any) -> None:
    """What the records say now; anything missing or failed is an exit code of 1."""
    from sweeps import launch

    statuses = list(launch.outcomes(results, planned.trials).values())
    failed = statuses.count("failed")
    missing = len(planned.trials) - len(statuses)
    typer.echo(
        f"{statuses.count('complete')} of {len(planned.trials)} trials complete in {results.where}"
    )
    if failed:
        typer.echo(
            f"{failed} failed: overhear status {results.where}; run again with --retry-failed",
            err=True,
        )
    if missing:
        typer.echo(f"{missing} not finished: run the same command again to go on", err=True)
    if failed or missing:
        raise typer.Exit(1)


def _show(planned: Any, ended: dict[str, str], where: str, as_json: bool) -> None:
    """The trials of a launch, without launching it."""
    from rich.console import Console
    from rich.table import Table

    from sweeps.display import differences

    labels = differences(planned.trials)
    table = Table("trial", "settings", box=None)
    for column in ("parameters", "multiply-adds", "to train"):
        table.add_column(column, justify="right")
    table.add_column("state")
    for index, (trial, cost) in enumerate(zip(planned.trials, planned.costs, strict=True)):
        state, work = ended.get(trial.id, "to run"), planned.work(index)
        if as_json:
            facts = {"trial": trial.id, "settings": labels[trial.id], "parameters": cost.parameters}
            facts |= {"kept_weights": planned.kept_weights[index], "macs": cost.macs}
            facts |= {"train_macs": work, "receptive_field": cost.receptive_field, "status": state}
            typer.echo(json.dumps(facts))
        numbers = f"{cost.parameters:,}", f"{cost.macs / 1e6:,.1f} M", f"{work / 1e12:,.2f} T"
        table.add_row(trial.id, labels[trial.id], *numbers, state)
    if as_json:
        return
    Console().print(table)
    left = [i for i, trial in enumerate(planned.trials) if trial.id not in ended]
    work = sum(planned.work(i) for i in left) / 1e12
    typer.echo(
        f"{len(left)} of {len(planned.trials)} trials to run into {where}: {work:,.1f} T "
        "multiply-adds of training"
    )
