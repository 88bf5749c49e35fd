"""The forecast of one launch: made before it, compared with the time it took when it is done.

Conventions: a forecast is of the trials that are still to run, each from its first epoch on.
Contents: `check_speed`, `predict`; `predicted`, `say_error`, `error_line`.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import typer

from scaling.results.eta import duration
from scaling.results.manifest import Plan
from scaling.results.records import Damaged, Results
from sweeps import schedule
from sweeps.engine import local, mps
from sweeps.launch import Launch, Resources
from sweeps.lineage import stages
from sweeps.timing import forecast
from sweeps.timing.benchmark import Way
from sweeps.timing.forecast import Compared, Expected, Forecast

BUDGET = 60.0  # seconds of measuring, about
# What a launch spends on Ray (2.60, two cores, measured): its start and its end, once for all
# stages; workers of each stage, which import torch, as Tune ends those of the stage before; from a
# trial to the next in a worker.
BEGIN, STAGE, APART = 2.0, 6.0, 0.1
SLOWEST, FASTEST = 1e-6, 1e9  # 10^9 multiply-adds a second: a microcontroller, all of mankind's


def check_speed(speed: float | None) -> None:
    """Raises ValueError for a speed that no machine has; None is to be measured."""
    if speed is not None and not SLOWEST <= speed <= FASTEST:
        raise ValueError(
            f"--speed {speed:g} must be from {SLOWEST:g} to {FASTEST:g} (10^9 multiply-adds a "
            "second)"
        )


def predict(
    planned: Plan, to_run: Sequence[int], launch: Launch, speed: float | None
) -> Forecast | None:
    """The forecast of these of the plan's trials, on this machine or at a given speed; None, with a
    warning, where not one step could be measured. Raises ValueError for a speed that is none.
    """
    check_speed(speed)
    resources = launch.resources
    groups = _groups(planned, to_run, launch)
    room = _room(resources)
    slots = resources.concurrent if resources.address else room
    if speed is not None:
        expected = forecast.given(planned, to_run, speed)
    else:
        at_once = min(room, len(groups))
        way = Way(
            launch.compute.device,
            launch.compute.precision,
            cpus=resources.cpus,
            gpus=resources.gpus,
            slots=at_once,
            frontend=launch.compute.frontend,
            capture=launch.compute.capture,
        )
        try:
            with _shared(resources):
                expected, reasons = forecast.measured(planned, groups, way, BUDGET)
        except ValueError as error:
            warnings.warn(str(error), stacklevel=2)
            return None
        for reason in reasons:
            warnings.warn(f"not measured, scaled from others: {reason}", stacklevel=2)
    early = launch.rule is not None
    expected = [each._replace(at_most=early or each.at_most) for each in expected]
    return Forecast(expected, slots, _wall(planned, groups, expected, slots))


def _groups(planned: Plan, to_run: Sequence[int], launch: Launch) -> list[list[int]]:
    """The trials by the groups in which they will train side by side, in their order."""
    if launch.resources.stack < 2 or launch.study.search:
        return [[index] for index in to_run]
    place = {planned.trials[index].id: index for index in to_run}
    staged = stages([planned.trials[index] for index in to_run])
    found = [each for stage in staged for each in schedule.groups(planned, launch.resources, stage)]
    return [[place[trial.id] for trial in group] for group in found]


@contextmanager
def _shared(resources: Resources) -> Iterator[None]:
    """While the block runs, processes share a GPU as trials will."""
    if not resources.mps:
        yield
        return
    with local.folder(sockets=True) as own, mps.served(own):
        yield


def _room(resources: Resources) -> int:
    """How many trials run at once where Ray is started on this machine."""
    taken = {"cpus": resources.cpus, "gpus": resources.gpus}
    there = {"cpus": resources.local_cpus or os.cpu_count() or 1, "gpus": torch.cuda.device_count()}
    room = min(int(there[kind] // much) for kind, much in taken.items() if much)
    return max(1, min(room, resources.concurrent or room))


def _wall(
    planned: Plan,
    groups: Sequence[Sequence[int]],
    expected: Sequence[Expected],
    slots: int | None,
) -> float | None:
    """Seconds from the launch's start to its end, in the order in which groups will start."""
    if slots is None:
        return None
    seconds = {each.trial: each.seconds for each in expected}
    together = {  # of a group, which is in the stage of its first one
        planned.trials[group[0]].id: sum(seconds[planned.trials[index].id] for index in group)
        for group in groups
    }
    staged = stages([planned.trials[index] for group in groups for index in group])
    times = [[together[one.id] for one in stage if one.id in together] for stage in staged]
    return BEGIN + forecast.makespan(times, slots, APART, STAGE)


def predicted(results: Results) -> dict[str, float]:
    """Seconds of each trial of the newest forecast; none, with a warning, where it is damaged."""
    try:
        found = forecast.latest(results)
    except Damaged as error:
        warnings.warn(f"the forecast is not used: {error}", stacklevel=2)
        return {}
    return {each.trial: each.seconds for each in found[1].trials} if found else {}


def say_error(results: Results, planned: Plan, ran: Sequence[int], wall_s: float) -> None:
    """Where all trials have ended and a forecast was made: record how far off it was, and say so.

    `ran` are those of the plan's trials that this launch ran, in `wall_s` seconds.
    """
    if len(results.ended(trial.id for trial in planned.trials)) < len(planned.trials):
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
