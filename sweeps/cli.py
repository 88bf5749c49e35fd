"""`overhear sweep` and `overhear studies`.

Heavy libraries are imported when a command runs, so that help is instant.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Annotated, Any

import typer

from scaling.cli import Column, Device, GroupFrom, Json, Precision, Root, Skip, pairs
from scaling.typed import filled, number, whole


def studies(as_json: Json = False) -> None:
    """What can be swept: name, question, source, number of trials."""
    from sweeps.study import shipped

    for study in shipped():
        if as_json:
            facts = {"name": study.name, "question": study.question, "source": study.source}
            typer.echo(json.dumps({**facts, "trials": study.size}))
        else:
            typer.echo(f"{study.name} ({study.size} trials)\n  {study.question}\n  {study.source}")


def sweep(
    study: Annotated[str, typer.Argument(help="A shipped study, or a Python file of yours.")],
    data: Annotated[str | None, typer.Option(help="Another dataset than the study's.")] = None,
    root: Root = None,
    column: Column = None,
    group_from: GroupFrom = None,
    out: Annotated[str | None, typer.Option(help="Results (default: results/STUDY).")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change every trial; repeatable."),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(parser=whole(1), metavar="N", help="Seeds 0 to N-1 for every trial."),
    ] = None,
    stop: Annotated[
        str | None, typer.Option(help="Stop trials early: asha, median; none: not even if stated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option(help="List the trials and predict their time; start nothing.")
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            parser=number,
            metavar="G",
            help="With --dry-run: 10^9 multiply-adds a second, instead of measuring.",
        ),
    ] = None,
    retry_failed: Annotated[bool, typer.Option(help="Run failed trials again.")] = False,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster; auto.")] = None,
    cpus_per_trial: Annotated[int, typer.Option(parser=whole(1), metavar="N")] = 1,
    gpus_per_trial: Annotated[float, typer.Option(parser=number, metavar="X")] = 0.0,
    memory_per_trial: Annotated[
        str | None, typer.Option(metavar="SIZE", help="As 4GiB; who holds more twice has failed.")
    ] = None,
    hours_per_trial: Annotated[
        float | None,
        typer.Option(
            parser=number, metavar="X", help="Who takes longer has failed; its checkpoint stays."
        ),
    ] = None,
    max_concurrent: Annotated[int | None, typer.Option(parser=whole(1), metavar="N")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    skip_unreadable: Skip = False,
    tensorboard: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Write metrics as TensorBoard files, too.")
    ] = None,
    plain: Annotated[bool, typer.Option(help="Plain lines instead of a live one.")] = False,
    as_json: Json = False,
) -> None:
    """Run what is missing of a study on Ray Tune; its records go to the results folder."""
    from scaling.results.manifest import plan as make_plan
    from scaling.results.records import Results
    from scaling.sound import prepare
    from scaling.sound.datasets.reading import reading
    from scaling.sound.download import remedy
    from sweeps import cluster, listing, search, stopping, times
    from sweeps.study import find, plan

    filled(data=data, root=root, out=out, address=address, tensorboard=tensorboard)
    filled(device=device, precision=precision)
    times.check_speed(speed)
    resources = cluster.asked(
        address, cpus_per_trial, gpus_per_trial, max_concurrent, memory_per_trial, hours_per_trial
    )
    cluster.check(resources, device, precision)
    found = find(study)
    changes = pairs(settings) | ({"sound.dataset": data} if data else {})
    trials = plan(found, changes, repeats)
    read = reading(column, group_from)
    where = out or f"results/{found.name}"
    clips, missing = (
        prepare.at_hand(trials, root, read) if dry_run else (prepare.scan(trials, root, read), {})
    )
    tables = {name: each.table for name, each in clips.items()}
    there = [trial for trial in trials if trial.sound.dataset in tables]
    planned = make_plan(found.name, there, tables)
    if missing:
        if found.search:
            typer.echo(search.described(found.search), err=as_json)
        missing = {name: f"{reason}{remedy(name)}" for name, reason in missing.items()}
        listing.sketch(trials, planned, missing, Results(where), as_json)
        return
    rule = stopping.named(stop, found.stopping)
    if rule:
        stopping.check(rule, trials)
        if not found.search:  # a search proposes others
            stopping.warn_alone(rule, planned)
    searched = found.search._replace(base=trials[0]) if found.search else None
    if searched:
        search.check_installed(found.name)

    def ledger() -> search.Ledger | None:
        """What the results folder has of a search at this moment."""
        return search.Ledger(found.name, searched, tables, Results(where)) if searched else None

    if dry_run:
        results, machine = Results(where), (device, precision)
        if searched and (known := ledger()):
            typer.echo(search.described(searched), err=as_json)
            planned = known.plan if known.plan.trials else planned
        if rule:
            typer.echo(stopping.described(rule, planned), err=as_json)
        switches = retry_failed, rule is not None, as_json
        times.dry_run(planned, results, resources, machine, speed, *switches)
        return
    if speed is not None:
        raise ValueError(f"--speed {speed:g}: only --dry-run predicts times, name it too")
    with _alone(where) as lock:
        _sweep(
            planned,
            clips,
            lock,
            resources,
            (device, precision),
            (skip_unreadable, retry_failed, plain),
            (root, read),
            rule,
            ledger(),
            tensorboard,
        )


@contextmanager
def _alone(where: str) -> Iterator[Any]:
    """The results folder, for this sweep alone; what ends it early is one line and exit code 1."""
    from scaling.results.records import Refused, Results
    from sweeps.lock import held

    results = Results(where)
    results.prepare()
    with held(results) as lock:
        try:
            yield lock
        except Refused as error:
            typer.echo(f"overhear: {error}; then run the same command again to go on", err=True)
            raise typer.Exit(1) from None
        finally:
            if lock.taken:
                typer.echo(f"overhear: {lock.taken}", err=True)


def _sweep(
    planned: Any,
    clips: Any,
    lock: Any,
    resources: Any,
    machine: tuple[str, str],
    switches: tuple[bool, bool, bool],
    place: tuple[str | None, Any],
    rule: Any,
    ledger: Any,
    tensorboard: str | None,
) -> None:
    from rich.console import Console

    from scaling.results.manifest import counted, record
    from scaling.results.records import Results
    from scaling.sound import prepare
    from sweeps import launch, times
    from sweeps.adaptive import Proposals
    from sweeps.board import Board
    from sweeps.display import Display
    from sweeps.stopping import Watch
    from sweeps.tuner import Task, sweep

    skip_unreadable, retry_failed, plain = switches
    results = Results(lock.results.address)
    stores = prepare.stores(planned.trials, clips, skip_unreadable)
    planned = ledger.plan if ledger else planned
    digests = prepare.digests(planned.trials, stores)
    record(planned, digests, results, prepare.glances(planned.trials, stores))
    left = launch.pending(planned, results, retry_failed)
    already = len(planned.trials) - len(left)
    total = max(len(planned.trials), ledger.search.samples if ledger else 0)
    if already:
        typer.echo(f"{already} of {total} trials have ended before and are left alone")
    for line in counted(planned.parts):
        typer.echo(line)
    watch = Watch(rule) if rule else None
    if watch:
        watch.add(planned, results)
    begun = monotonic()
    if already < total:
        trials = [planned.trials[index] for index in left]
        macs = {planned.trials[i].id: planned.epoch_work(i) for i in left}
        task = Task(
            {key: str(store.folder) for key, store in stores.items()},
            results.address,
            resources.cpus,
            *machine,
            root=place[0],
            skip_unreadable=skip_unreadable,
            reading=place[1],
            glances={key: store.glance for key, store in stores.items()},
        )
        proposals = Proposals(ledger, stores, watch) if ledger else None
        predicted = times.predicted(results)
        with Display(trials, macs, Console(stderr=True), plain, predicted) as display:
            display.expected = total - already
            display.board = Board(tensorboard, results, display.trials) if tensorboard else None
            for stage in [trials] if ledger else launch.stages(trials):
                sweep(stage, task, resources, display, watch, proposals, lock)
                if len(results.ended(trial.id for trial in stage)) < len(stage):
                    break  # stopped by Ctrl-C: what takes over from these has to wait, too
        times.say_error(results, planned, left, monotonic() - begun)
    _say_end(ledger.plan if ledger else planned, results, total)


def _say_end(planned: Any, results: Any, total: int) -> None:
    """What the records say now; anything missing or failed is an exit code of 1."""
    from scaling.results.outcome import Status

    outcomes = results.outcomes(trial.id for trial in planned.trials)
    statuses = [outcome.status for outcome in outcomes.values()]
    failed, stopped = statuses.count(Status.FAILED), statuses.count(Status.STOPPED)
    missing = total - len(statuses)
    early = f", {stopped} stopped early," if stopped else ""
    typer.echo(
        f"{statuses.count(Status.COMPLETE)} of {total} trials complete{early} in {results.where}"
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
