"""Listing: what --dry-run prints, a launch's trials with what they cost and how long they take.

Contents: `show`; `sketch`, where a dataset is missing.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scaling.networks.cost import Cost
from scaling.results.eta import duration
from scaling.results.manifest import Plan, counted, price_unseen
from scaling.results.records import Results
from scaling.settings import Trial
from scaling.text import printable
from sweeps.display import differences
from sweeps.timing.forecast import Expected, Forecast

TO_RUN = "to run"


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
        table.add_row(trial.id, _plain(labels[trial.id]), *numbers, time, state)
    Console().print(table)
    unended = [i for i, trial in enumerate(planned.trials) if trial.id not in states]
    work = sum(planned.work(i) for i in unended) / 1e12
    typer.echo(
        f"{len(unended)} of {len(planned.trials)} trials to run into {where}: {work:,.1f} T "
        "multiply-adds of training"
    )
    for line in counted(planned.parts):
        typer.echo(line)
    for line in _in_all(found) if found else ():
        typer.echo(line)


def sketch(
    trials: Sequence[Trial],
    planned: Plan,
    missing: Mapping[str, str],
    results: Results,
    as_json: bool,
) -> None:
    """Print the trials of a launch of which some datasets are missing: all that is known without.

    `planned` has those of the trials whose datasets are there; `missing` says of each other dataset
    why it is not, and how to come by it.
    """
    known, labels = results.outcomes(trial.id for trial in trials), differences(trials)
    places = {trial.id: index for index, trial in enumerate(planned.trials)}
    columns = ("parameters", "kept_weights", "macs", "receptive_field")
    table = Table("trial", "settings", box=None)
    for column in columns:
        table.add_column(column.replace("macs", "multiply-adds").replace("_", " "), justify="right")
    table.add_column("state")
    for trial in trials:
        state = known[trial.id].status if trial.id in known else TO_RUN
        if trial.id in places:
            facts = _facts(planned, places[trial.id])
        else:
            facts = _unseen_facts(price_unseen(trial))
        if as_json:
            about = {"trial": trial.id, "settings": labels[trial.id]} | facts
            absent = {"missing": missing.get(trial.sound.dataset)}
            typer.echo(json.dumps(about | {"status": state} | _time_facts(None, None) | absent))
        else:
            numbers = ("-" if facts[name] is None else f"{facts[name]:,}" for name in columns)
            table.add_row(trial.id, _plain(labels[trial.id]), *numbers, state)
    if not as_json:
        Console().print(table)
        unended = sum(trial.id not in known for trial in trials)
        typer.echo(
            f"{unended} of {len(trials)} trials to run into {results.where}; how much training "
            "that is, and how long it takes, depends on clips that are missing"
        )
    for reason in missing.values():
        typer.echo(f"missing: {reason}", err=True)


def _plain(label: str) -> Text:
    """A label as it is, whose brackets rich would read as markup."""
    return Text(printable(label))


def _unseen_facts(price: tuple[Cost, int] | None) -> dict[str, int | None]:
    cost, kept = price or (None, None)
    return {
        "parameters": cost.parameters if cost else None,
        "kept_weights": kept,
        "macs": cost.macs if cost else None,
        "train_macs": None,
        "receptive_field": cost.receptive_field if cost else None,
    }


def _facts(planned: Plan, index: int) -> dict[str, Any]:
    cost = planned.costs[index]
    return {
        "parameters": cost.parameters,
        "kept_weights": planned.kept_weights[index],
        "macs": cost.macs,
        "train_macs": planned.work(index),
        "receptive_field": cost.receptive_field,
        **{f"{name}_clips": count for name, count in planned.parts[index].items()},
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
