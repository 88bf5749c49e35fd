"""Run: a launch, or one after the other until claims are decided, and what to do next."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import NamedTuple

import typer
from rich.console import Console

from scaling.own import sources
from scaling.results import statements
from scaling.results.manifest import Plan, counted, record
from scaling.results.outcome import Status
from scaling.results.records import Refused, Results
from scaling.settings import Trial
from scaling.sound import prepare
from scaling.sound.clips import Clips
from scaling.sound.store import Store
from scaling.text import behind
from sweeps import lineage, schedule
from sweeps.adaptive import until_decided
from sweeps.adaptive.early_stopping import Watch
from sweeps.adaptive.search import Ledger
from sweeps.adaptive.until_decided import Until
from sweeps.engine import ray_tune
from sweeps.engine.display import Display
from sweeps.engine.lock import Lock, held
from sweeps.engine.log_to import logged
from sweeps.engine.preflight import Task
from sweeps.engine.ray_adaptive import Proposals
from sweeps.engine.ray_session import RaySession, places
from sweeps.launch import Launch
from sweeps.timing import launch_forecast


class Shared(NamedTuple):
    """What several launches into one results folder share."""

    lock: Lock
    session: RaySession


def run(launch: Launch, shared: Shared | None = None) -> bool:
    """Run the trials of a launch that have not ended; whether all of them are complete, or were
    stopped early. Who holds the results folder already hands that over, and says himself what to do
    next.

    Raises ValueError for what a person can mend. Ends the process with code 1 where the results
    folder refuses to be written.
    """
    clips = prepare.scan(launch.trials, launch.recordings.root, launch.recordings.reading)
    tables = {name: each.table for name, each in clips.items()}
    plan = schedule.planned(launch, tables)
    schedule.check(launch, plan)
    schedule.warn_of_claims(launch)
    with nullcontext(shared.lock) if shared else _alone(launch) as lock:
        session = shared.session if shared else None
        plan, total = _run(launch, plan, clips, schedule.ledger(launch, tables), lock, session)
        return _say_end(plan, launch, total, shared is None)


def run_until_decided(launch: Launch, until: Until) -> bool:
    """Run repeats of a launch until its study's claims are decided or the budget is spent; whether
    they are. Errors: those of `run` and of until_decided.follow.
    """
    prepare.scan(launch.trials, launch.recordings.root, launch.recordings.reading)
    with _alone(launch) as lock, ExitStack() as stack:
        shared = Shared(lock, RaySession(stack))

        def repeats(trials: tuple[Trial, ...]) -> bool:
            return run(replace(launch, trials=trials), shared)

        return until_decided.follow(until, repeats)


@contextmanager
def _alone(launch: Launch) -> Iterator[Lock]:
    """The results folder, for this sweep alone; what ends it early is one line and exit code 1."""
    results = Results(launch.results)
    results.prepare()
    with held(results) as lock:
        try:
            yield lock
        except Refused as error:
            typer.echo(f"overhear: {error}; then run the same command again to resume", err=True)
            raise typer.Exit(1) from None
        finally:
            if lock.taken:
                typer.echo(f"overhear: {lock.taken}", err=True)


def _run(
    launch: Launch,
    plan: Plan,
    clips: dict[str, Clips],
    ledger: Ledger | None,
    lock: Lock,
    session: RaySession | None,
) -> tuple[Plan, int]:
    """Run what has not ended; the plan as it is then, and how many trials there are to be. Ray
    starts beside the packing of clips.
    """
    results, asked = Results(launch.results), plan.trials
    plan = ledger.plan if ledger else plan
    total = max(len(plan.trials), ledger.search.samples if ledger else 0)
    with ExitStack() as alone:
        session = session or RaySession(alone)
        if len(results.ended(trial.id for trial in plan.trials)) < total:
            session.begin(launch.resources, places(results.address, launch.recordings))
        stores = prepare.stores(asked, clips, launch.recordings.skip_unreadable)
        digests = prepare.digests(plan.trials, stores)
        record(plan, digests, results, prepare.glances(plan.trials, stores))
        to_run = schedule.pending(plan, results, launch.retry_failed)
        ended = len(results.ended(trial.id for trial in plan.trials))
        statements.state(launch.study.name, launch.study.claims, ended, results)
        already = len(plan.trials) - len(to_run)
        if already:
            typer.echo(f"{already} of {total} trials ended earlier and are skipped")
        for line in counted(plan.parts):
            typer.echo(line)
        begun = monotonic()
        if already < total:
            _sweep(launch, plan, to_run, total - already, stores, ledger, lock, session)
    if already < total:
        launch_forecast.say_error(results, plan, to_run, monotonic() - begun)
    return ledger.plan if ledger else plan, total


def _sweep(
    launch: Launch,
    plan: Plan,
    to_run: list[int],
    expected: int,
    stores: dict[str, Store],
    ledger: Ledger | None,
    lock: Lock,
    session: RaySession,
) -> None:
    """Hand these of the plan's trials to Ray, and show how it goes; `expected` are to run in all,
    those that a search is yet to propose among them.
    """
    results = Results(launch.results)
    watch = Watch(launch.rule) if launch.rule else None
    if watch:
        watch.add(plan, results)
    proposals = Proposals(ledger, stores, watch) if ledger else None
    macs = {plan.trials[index].id: plan.epoch_work(index) for index in to_run}
    trials = [plan.trials[index] for index in to_run]
    side_by_side = launch.resources.stack > 1 and not proposals
    grouped = partial(schedule.groups, plan, launch.resources) if side_by_side else None
    predicted = launch_forecast.predicted(results)
    screen = Console(file=behind(sys.stderr))
    with Display(trials, macs, screen, launch.plain, predicted) as display:
        display.expected = expected
        display.loggers = logged(launch, results, display.trials)
        for stage in [trials] if proposals else lineage.stages(trials):
            task = _task(launch, stores)
            ray_tune.sweep(
                stage, task, launch.resources, display, watch, proposals, lock, grouped, session
            )
            if len(results.ended(trial.id for trial in stage)) < len(stage):
                break  # stopped by Ctrl-C: trials that take over from these have to wait


def _task(launch: Launch, stores: Mapping[str, Store]) -> Task:
    """What Ray's workers are told."""
    return Task(
        {key: str(store.folder) for key, store in stores.items()},
        Results(launch.results).address,
        launch.resources.cpus,
        launch.computing,
        launch.recordings,
        {key: store.glance for key, store in stores.items()},
        parts=sources.held(),
    )


def _say_end(plan: Plan, launch: Launch, total: int, last: bool) -> bool:
    """What the records say now, and the commands that follow, where this was the last launch;
    whether nothing is left or failed.
    """
    results = Results(launch.results)
    outcomes = results.outcomes(trial.id for trial in plan.trials)
    statuses = [outcome.status for outcome in outcomes.values()]
    complete, failed = statuses.count(Status.COMPLETE), statuses.count(Status.FAILED)
    stopped = statuses.count(Status.STOPPED)
    missing = total - len(statuses)
    early = f", {stopped} stopped early," if stopped else ""
    typer.echo(f"{complete} of {total} trials complete{early} in {results.where}")
    folder = shlex.quote(results.where)
    if complete and last:
        typer.echo(f"next: overhear analyze {folder}")
        if launch.study.claims:
            typer.echo(f"  or: overhear claims {folder}")
    if failed:
        typer.echo(
            f"{failed} failed: overhear status {folder} says why; --retry-failed runs them again",
            err=True,
        )
    if missing:
        typer.echo(f"{missing} not finished: run the same command again to resume", err=True)
    return not failed and not missing
