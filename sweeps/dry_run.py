"""Dry run: the trials of a launch with their size, cost and time, one line each, without running
any.

Contents: `dry_run`.
"""

import json
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from scaling.networks.cost import Cost
from scaling.results import claims
from scaling.results.eta import duration
from scaling.results.manifest import Plan, Price, counted, price_unseen
from scaling.results.records import Results
from scaling.settings import Trial
from scaling.settings.label import trial_labels
from scaling.sound import prepare
from scaling.sound.download import remedy
from sweeps import arms, schedule
from sweeps.adaptive import early_stopping, search, until_decided
from sweeps.adaptive.until_decided import Until
from sweeps.launch import Launch, Resources
from sweeps.timing import forecast, launch_forecast
from sweeps.timing.forecast import Expected, Forecast

TO_RUN = "to run"


def dry_run(launch: Launch, speed: float | None, as_json: bool, until: Until | None = None) -> None:
    """Print a launch's trials, and predict their time by steps measured here or at a given speed,
    in 10^9 multiply-adds a second. The forecast is kept in the results folder. Where the study runs
    `until` it is decided, the launch is that of the next look, and all looks are predicted from it.

    Where datasets are missing, what is known without them is printed, and how to get them. Raises
    ValueError for a speed that is none.
    """
    read = launch.recordings.root, launch.recordings.reading
    clips, missing = prepare.at_hand(launch.trials, *read)
    tables = {name: each.table for name, each in clips.items()}
    plan = schedule.planned(launch, tables)
    study = launch.study
    for line in (*arms.described(study.arms), *claims.described(study.claims)):
        typer.echo(line, err=as_json)
    schedule.warn_of_claims(launch)
    if missing:
        if launch.study.search:
            typer.echo(search.described(launch.study.search), err=as_json)
        reasons = {name: f"{reason}{remedy(name)}" for name, reason in missing.items()}
        _show_incomplete(launch, plan, reasons, as_json)
        _say_course(until, None, as_json)
        return
    schedule.check(launch, plan)
    if ledger := schedule.ledger(launch, tables):
        typer.echo(search.described(ledger.search), err=as_json)
        plan = ledger.plan if ledger.plan.trials else plan
    if launch.rule:
        typer.echo(early_stopping.described(launch.rule, plan), err=as_json)
    results = Results(launch.results)
    known = results.outcomes(trial.id for trial in plan.trials)
    to_run = schedule.left(plan, known, launch.retry_failed)
    found = launch_forecast.predict(plan, to_run, launch, speed) if to_run else None
    if found:
        try:
            forecast.record(found, results)
        except (OSError, ValueError) as error:
            warnings.warn(f"the forecast is not kept: {error}", stacklevel=2)
    running = {plan.trials[index].id for index in to_run}
    states = {trial: ended.status for trial, ended in known.items() if trial not in running}
    _show(plan, states, found, results.where, launch.resources, as_json)
    _say_course(until, found.seconds / len(to_run) if found else None, as_json)


def _say_course(until: Until | None, seconds: float | None, as_json: bool) -> None:
    """When a study that runs until it is decided is judged; `seconds` are those of a trial."""
    for line in until_decided.described(until, seconds) if until else ():
        typer.echo(line, err=as_json)


def _show(
    plan: Plan,
    states: Mapping[str, str],
    found: Forecast | None,
    where: str,
    resources: Resources,
    as_json: bool,
) -> None:
    """`states` are those of the trials that will not run, by id."""
    labels = trial_labels(plan.trials)
    times = {each.trial: each for each in found.trials} if found else {}
    if as_json:
        for index, trial in enumerate(plan.trials):
            about = {"trial": trial.id, "label": labels[trial.id]}
            facts = _facts(plan, index) | {"status": states.get(trial.id, TO_RUN)}
            typer.echo(json.dumps(about | facts | _time_facts(times.get(trial.id), found)))
        return
    table = _table()
    for trial, (cost, *_) in zip(plan.trials, plan.prices, strict=True):
        last = states.get(trial.id) or _time(times.get(trial.id))
        table.add_row(labels[trial.id], trial.id, *_size(cost.parameters, cost.macs), last)
    Console().print(table)
    unended = [i for i, trial in enumerate(plan.trials) if trial.id not in states]
    work = sum(plan.work(i) for i in unended)
    typer.echo(
        f"{len(unended)} of {len(plan.trials)} trials to run into {where}: {_short(work)} MACs "
        f"(multiply-adds) of training{_taught(sum(plan.teaching(i) for i in unended))}"
    )
    for line in counted(plan.parts):
        typer.echo(line)
    if resources.stack > 1:
        groups = schedule.groups(plan, resources, [plan.trials[i] for i in unended])
        typer.echo(_side_by_side(groups))
    for line in _in_all(found, resources.stack > 1) if found else ():
        typer.echo(line)


def _taught(macs: int) -> str:
    """How many of the multiply-adds of training are teachers'."""
    return f", {_short(macs)} of them teachers' answers" if macs else ""


def _side_by_side(groups: Sequence[Sequence[Trial]]) -> str:
    """How many trials train together, group by group."""
    sizes = Counter(map(len, groups))
    words = [
        f"{count} x {size}" if size > 1 else f"{count} alone"
        for size, count in sorted(sizes.items(), reverse=True)
    ]
    return f"side by side: {', '.join(words)}; a trial's time is its share of its group's"


def _show_incomplete(launch: Launch, plan: Plan, missing: Mapping[str, str], as_json: bool) -> None:
    """What is known of a launch some of whose datasets are missing.

    `plan` holds those of the trials whose datasets are there; `missing` says of each other dataset
    why it is not, and how to get it.
    """
    results = Results(launch.results)
    known = results.outcomes(trial.id for trial in launch.trials)
    labels = trial_labels(launch.trials)
    places = {trial.id: index for index, trial in enumerate(plan.trials)}
    table = _table()
    for trial in launch.trials:
        state = known[trial.id].status if trial.id in known else TO_RUN
        if trial.id in places:
            facts = _facts(plan, places[trial.id])
        else:
            facts = _unseen_facts(price_unseen(trial))
        if as_json:
            about = {"trial": trial.id, "label": labels[trial.id]} | facts
            absent = {"missing": missing.get(trial.sound.recordings)}
            typer.echo(json.dumps(about | {"status": state} | _time_facts(None, None) | absent))
        else:
            last = "-" if state == TO_RUN else state
            size = _size(facts["parameters"], facts["macs"])
            table.add_row(labels[trial.id], trial.id, *size, last)
    if not as_json:
        Console().print(table)
        unended = sum(trial.id not in known for trial in launch.trials)
        typer.echo(
            f"{unended} of {len(launch.trials)} trials to run into {results.where}; the amount of "
            "training and its time depend on clips that are missing"
        )
    for reason in missing.values():
        typer.echo(f"missing: {reason}", err=True)


def _table() -> Table:
    """The columns fit 80 characters; only the label, which the id stands beside, may be cut."""
    table = Table(box=None, pad_edge=False)
    table.add_column("label", no_wrap=True, overflow="ellipsis")
    table.add_column("trial", no_wrap=True, min_width=12)
    for column in ("parameters", "MACs", "time"):
        table.add_column(column, justify="right", no_wrap=True, overflow="fold")
    return table


def _size(parameters: int | None, macs: int | None) -> tuple[str, str]:
    if parameters is None or macs is None:
        return "-", "-"
    return f"{parameters:,}", _short(macs)


def _short(count: float) -> str:
    """Three digits and a unit, as `522 M`."""
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= 0.9995 * size:
            return f"{count / size:#.3g}".rstrip(".") + f" {unit}"
    return f"{count:,.0f}"


def _unseen_facts(price: Price | None) -> dict[str, int | None]:
    nothing = Price(Cost(0, 0, 0, 0, ()), 0, None)
    known = price.facts() if price else dict.fromkeys(nothing.facts())
    return {**known, "train_macs": None, "teachers_macs": None}


def _facts(plan: Plan, index: int) -> dict[str, Any]:
    return {
        **plan.prices[index].facts(),
        "train_macs": plan.work(index),
        "teachers_macs": plan.teaching(index),
        **{f"{name}_clips": count for name, count in plan.parts[index].items()},
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


def _in_all(found: Forecast, grouped: bool) -> list[str]:
    """How long all will take, and at which speed; `grouped`: whether some train side by side."""
    most = "at most " if found.at_most else ""
    line = f"predicted: {most}{duration(found.seconds)} of computing"
    if found.wall_s is None or found.slots is None:
        line += "; --max-concurrent N predicts the time from start to end, too"
    else:
        groups = "groups " if grouped else ""
        at_once = f"{found.slots} {groups}at once" if found.slots > 1 else "one after the other"
        line += f", {most}{duration(found.wall_s)} from start to end, {at_once}"
    ways = [each.how for each in found.trials]
    counts = ", ".join(f"{ways.count(how)} {how}" for how in dict.fromkeys(ways))
    speeds = sorted(each.speed for each in found.trials if each.speed)
    if not speeds:
        return [line]
    ends = dict.fromkeys(f"{speed:.3g}" for speed in (speeds[0], speeds[-1]))
    speed = f"speed per trial: {' to '.join(ends)} x 10^9 MACs a second ({counts})"
    return [line, speed, "for another machine: --speed G, in 10^9 MACs a second per trial"]
