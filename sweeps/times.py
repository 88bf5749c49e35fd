"""Times: what --dry-run says of a launch, and how far off it was when the launch is done.

Conventions: a forecast is of the trials that are still to run, each from its first epoch on.
Contents: `dry_run` of `predict` and `show`; `predicted` and `say_error` of the launch itself.
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scaling import forecast
from scaling.forecast import Compared, Expected, Forecast
from scaling.measure import Way
from scaling.plan import Plan
from scaling.records import Results
from scaling.remaining import duration
from scaling.text import printable
from sweeps.cluster import Resources
from sweeps.display import differences
from sweeps.launch import ended, left, outcomes, stages

BUDGET = 60.0  # seconds of measuring, about
# What a launch spends on Ray (2.60, two cores, measured): its start and its end with a worker that
# imports torch, once for each stage; from a trial to the next in a worker.
BEGIN, APART = 8.0, 0.1
TO_RUN = "to run"


def dry_run(
    planned: Plan,
    results: Results,
    resources: Resources,
    machine: tuple[str, str],
    speed: float | None,
    retry_failed: bool,
    early: bool,
    as_json: bool,
) -> None:
    """Print a launch's trials and their times, and keep the forecast in the results folder.

    `machine` is device and precision; `early`: trials may be stopped early. Raises ValueError for a
    speed that is none. That the folder cannot be written is a warning.
    """
    known = outcomes(results, planned.trials)
    to_run = left(planned, known, retry_failed)
    found = predict(planned, to_run, resources, machine, speed, early) if to_run else None
    if found:
        try:
            forecast.record(found, results)
        except (OSError, ValueError) as error:
            warnings.warn(f"the forecast is not kept: {error}", stacklevel=2)
    running = {planned.trials[index].id for index in to_run}
    states = {trial: status for trial, status in known.items() if trial not in running}
    show(planned, states, found, results.where, as_json)


def predict(
    planned: Plan,
    to_run: Sequence[int],
    resources: Resources,
    machine: tuple[str, str],
    speed: float | None,
    early: bool = False,
) -> Forecast | None:
    """The forecast of these of the plan's trials, on this machine or at a given speed; None where
    not one step could be measured, which is warned of. Raises ValueError for a speed that is none.
    """
    if speed is not None and not speed > 0:
        raise ValueError(f"--speed {speed:g}: 10^9 multiply-adds a second, above 0")
    room = _room(resources)
    slots = resources.concurrent if resources.address else room
    if speed is not None:
        expected = forecast.given(planned, to_run, speed)
    else:
        at_once = min(room, len(to_run))
        way = Way(*machine, cpus=resources.cpus, gpus=resources.gpus, slots=at_once)
        try:
            expected, reasons = forecast.measured(planned, to_run, way, BUDGET)
        except ValueError as error:
            warnings.warn(str(error), stacklevel=2)
            return None
        for reason in reasons:
            warnings.warn(f"not measured, scaled from others: {reason}", stacklevel=2)
    expected = [each._replace(at_most=early or each.at_most) for each in expected]
    return Forecast(expected, slots, _wall(planned, to_run, expected, slots))


def _room(resources: Resources) -> int:
    """How many trials run at once where Ray is started on this machine."""
    taken = {"cpus": resources.cpus, "gpus": resources.gpus}
    there = {"cpus": resources.local_cpus or os.cpu_count() or 1, "gpus": torch.cuda.device_count()}
    room = min(int(there[kind] // much) for kind, much in taken.items() if much)
    return max(1, min(room, resources.concurrent or room))


def _wall(
    planned: Plan, to_run: Sequence[int], expected: Sequence[Expected], slots: int | None
) -> float | None:
    """Seconds from the launch's start to its end, in the order in which trials will start."""
    if slots is None:
        return None
    seconds = {each.trial: each.seconds for each in expected}
    staged = stages([planned.trials[index] for index in to_run])
    times = [[seconds[trial.id] for trial in stage] for stage in staged]
    return forecast.makespan(times, slots, APART, BEGIN)


def show(
    planned: Plan,
    states: Mapping[str, str],
    found: Forecast | None,
    where: str,
    as_json: bool,
) -> None:
    """Print the trials of a launch, without launching it, and how long they will take.

    `states` are those of the trials that will not run, by id.
    """
    labels = differences(planned.trials)
    times = {each.trial: each for each in found.trials} if found else {}
    if as_json:
        for index, trial in enumerate(planned.trials):
            about = {"trial": trial.id, "settings": labels[trial.id]}
            facts = _facts(planned, index) | {"status": states.get(trial.id, TO_RUN)}
            typer.echo(json.dumps(about | facts | _time_facts(times.get(trial.id), found)))
        return
    table = Table("trial", "settings", box=None)
    for column in ("parameters", "multiply-adds", "to train", "time"):
        table.add_column(column, justify="right")
    table.add_column("state")
    for index, (trial, cost) in enumerate(zip(planned.trials, planned.costs, strict=True)):
        trained = f"{planned.work(index) / 1e12:,.2f} T"
        numbers = f"{cost.parameters:,}", f"{cost.macs / 1e6:,.1f} M", trained
        time, state = _time(times.get(trial.id)), states.get(trial.id, TO_RUN)
        label = Text(printable(labels[trial.id]))  # rich would read its brackets as markup
        table.add_row(trial.id, label, *numbers, time, state)
    Console().print(table)
    unended = [i for i, trial in enumerate(planned.trials) if trial.id not in states]
    work = sum(planned.work(i) for i in unended) / 1e12
    typer.echo(
        f"{len(unended)} of {len(planned.trials)} trials to run into {where}: {work:,.1f} T "
        "multiply-adds of training"
    )
    for line in _in_all(found) if found else ():
        typer.echo(line)


def _facts(planned: Plan, index: int) -> dict[str, Any]:
    cost = planned.costs[index]
    return {
        "parameters": cost.parameters,
        "kept_weights": planned.kept_weights[index],
        "macs": cost.macs,
        "train_macs": planned.work(index),
        "receptive_field": cost.receptive_field,
    }


def _time_facts(expected: Expected | None, found: Forecast | None) -> dict[str, Any]:
    """What is predicted of a trial, then of all that are to run."""
    fields = ("seconds", "at_most", "how", "speed")
    facts = {name: getattr(expected, name) if expected else None for name in fields}
    together = (found.seconds, found.wall_s, found.slots) if found else (None, None, None)
    return facts | dict(zip(("all_seconds", "wall_s", "slots"), together, strict=True))


def _time(expected: Expected | None) -> str:
    if expected is None or expected.how == "unknown":
        return "-"
    mark = "~" if expected.how == "scaled" else ""
    return f"{'≤ ' if expected.at_most else ''}{mark}{duration(expected.seconds)}"


def _in_all(found: Forecast) -> list[str]:
    """How long all will take, and at which speed."""
    most = "at most " if found.at_most else ""
    line = f"predicted: {most}{duration(found.seconds)} of computing"
    if found.wall_s is None or found.slots is None:
        line += "; how many run at once is not known: name --max-concurrent"
    else:
        at_once = f"{found.slots} at once" if found.slots > 1 else "one after the other"
        line += f", {most}{duration(found.wall_s)} from start to end, {at_once}"
    ways = [each.how for each in found.trials]
    counts = ", ".join(f"{ways.count(how)} {how}" for how in dict.fromkeys(ways))
    speeds = sorted(each.speed for each in found.trials if each.speed)
    if not speeds:
        return [line]
    ends = dict.fromkeys(f"{speed:.3g}" for speed in (speeds[0], speeds[-1]))
    speed = f"speed: {' to '.join(ends)} x 10^9 multiply-adds a second of a trial ({counts})"
    return [line, f"{speed}; another machine's: --speed"]


def predicted(results: Results) -> dict[str, float]:
    """Seconds of each trial of the newest forecast."""
    found = forecast.latest(results)
    return {each.trial: each.seconds for each in found[1].trials} if found else {}


def say_error(results: Results, planned: Plan, ran: Sequence[int], wall_s: float) -> None:
    """Where all trials have ended and a forecast was made: record how far off it was, and say so.

    `ran` are those of the plan's trials that this launch ran, in `wall_s` seconds.
    """
    if len(ended(results, planned.trials)) < len(planned.trials):
        return
    try:
        compared = forecast.compare(results, [planned.trials[i].id for i in ran], wall_s)
    except (OSError, ValueError) as error:
        warnings.warn(f"the forecast is not compared: {error}", stacklevel=2)
        return
    if compared:
        typer.echo(error_line(compared))


def error_line(compared: Compared) -> str:
    """`predicted 12 min, took 14 min (+17 %; per trial -5 to +32 %)`."""
    what = "" if compared.wall else " of computing"
    told = f"predicted {duration(compared.predicted)}, took {duration(compared.took)}{what}"
    least, most = f"{100 * compared.least:+z.0f}", f"{100 * compared.most:+z.0f}"
    apart = f"{least} %" if least == most else f"{least} to {most} %"
    return f"{told} ({100 * compared.error:+z.0f} %; per trial {apart})"
