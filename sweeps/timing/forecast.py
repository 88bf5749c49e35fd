"""Forecast: how long trials will take, from measured or given speeds, and how far off that was.

A trial's time is made of its start, its training clips through the front end, its steps, its scored
clips and its records (see Amount and step_times.Speed). A trial whose own speed was not measured
gets that of the nearest in multiply-adds, scaled by them; where a speed is given, only
multiply-adds count. Of trials that train side by side each one's time is its share of the group's,
as in its outcome. Contents: Expected with `measured` and `given`, `makespan`, Forecast with
`record` and `latest`, Compared with `compare`.
"""

import datetime
import heapq
import math
import platform
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scaling.results.manifest import Plan
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.training import evaluation, once
from scaling.training.inputs import fits
from scaling.training.optimizer import steps_of
from scaling.training.stages import as_recorded
from sweeps.timing import step_times
from sweeps.timing.benchmark import Way, measure
from sweeps.timing.step_times import Probe, Speed

FORECASTS, ERRORS = "forecasts", "forecast_errors"


class Amount(NamedTuple):
    """What a whole trial consists of."""

    epochs: int
    steps: float  # in all, of whole batches
    scored: int  # clips in all
    fronted: int  # training clips that go through the front end apart from a step, in all
    encoded: int = 0  # clips that a frozen encoder answers apart from a step, in all


class Expected(NamedTuple):
    """One trial's prediction."""

    trial: str
    seconds: float
    at_most: bool  # it may end sooner
    how: str  # measured, scaled, given; unknown: no network, so no multiply-adds to go by
    speed: float  # 10^9 multiply-adds a second of the whole trial, scoring included


class Forecast(NamedTuple):
    """A launch's prediction."""

    trials: list[Expected]
    slots: int | None  # trials at once; None: not known
    wall_s: float | None  # from start to end

    @property
    def seconds(self) -> float:
        """Of computing, all trials together."""
        return sum(each.seconds for each in self.trials)

    @property
    def at_most(self) -> bool:
        """Whether some trial may end sooner."""
        return any(each.at_most for each in self.trials)


class Compared(NamedTuple):
    """A forecast beside what came of it."""

    predicted: float  # seconds: of the launch's wall clock, else of computing
    took: float
    least: float  # error of the trial that took least of what was predicted: took / predicted - 1
    most: float
    wall: bool  # whether the wall clock is compared

    @property
    def error(self) -> float:
        """Took / predicted - 1, in all."""
        return self.took / self.predicted - 1


def amount(plan: Plan, index: int) -> Amount:
    """What this trial of a plan consists of, should it train all of its epochs."""
    trial, clips, scored = plan.trials[index], plan.train_clips[index], plan.scored[index]
    training, objective = trial.training, trial.objective
    if not objective.trains:
        return Amount(1, 0, clips + scored, 0)
    order = clips * training.passes
    seen = min(steps_of(training, order) * training.batch, order)
    epochs = training.epochs
    due = sum(evaluation.due(trial.evaluation, number, epochs) for number in range(1, epochs + 1))
    judged = due * scored + (epochs * clips if training.patience else 0)
    fronted = 0 if trial.transfer.trial or trial.transfer.weights else clips  # for its statistics
    if as_recorded(trial):
        # a probe's few clips are kept; here they may be too many
        fronted += clips if fits(trial, clips) else epochs * seen
    batch = max(2, step_times.batch_of(trial, clips))
    encoded = 0
    if once.encodes(trial):  # a probe's few clips are kept, likewise
        kept = once.kept(trial, plan.classes[index], clips)[1]
        encoded = clips if kept else epochs * seen
    return Amount(epochs, epochs * seen / batch, judged, fronted, encoded)


def seconds(amount: Amount, speed: Speed) -> float:
    """How long such a trial takes at such a speed."""
    return (
        speed.start
        + amount.fronted * speed.front
        + amount.steps * speed.step
        + (amount.scored + amount.encoded) * speed.score
        + amount.epochs * speed.epoch
    )


def measured(
    plan: Plan, groups: Sequence[Sequence[int]], way: Way, budget: float
) -> tuple[list[Expected], list[str]]:
    """Predictions of trials, by the groups in which they train side by side, from steps measured
    here in about `budget` seconds, and why some were not measured. Raises ValueError where none
    could be.
    """
    probes: dict[int, Probe] = {}
    for group in groups:
        together = step_times.together([_probe(plan, index) for index in group])
        probes |= dict.fromkeys(group, together)
    found, failed = measure(Counter(probes.values()), way, budget)
    reasons = [f"{each.trial.network.kind}: {why}" for each, why in failed.items()]
    if not found:
        reason = reasons[0] if reasons else f"not one step ended within {budget:g} s"
        raise ValueError(
            f"no time is predicted ({reason}): give the speed of another machine with --speed"
        )
    expected = []
    for index, probe in probes.items():
        own = found.get(probe)
        speed = own or _scaled(probe, found)
        took = seconds(amount(plan, index), speed)
        took += plan.teaching(index) * _pace(probe, speed)
        expected.append(_expected(plan, index, took, "measured" if own else "scaled"))
    return expected, reasons


def given(plan: Plan, indices: Sequence[int], speed: float) -> list[Expected]:
    """These trials' predictions at a speed of so many 10^9 multiply-adds a second of a trial."""
    return [
        _expected(plan, index, _work(plan, index) / (1e9 * speed), "given") for index in indices
    ]


def makespan(stages: Sequence[Sequence[float]], slots: int, apart: float, begin: float) -> float:
    """Seconds from start to end: trials start in their order as slots become free, `apart` seconds
    after the one before; each stage begins, `begin` seconds later, when the one before has ended.
    """
    total = 0.0
    for stage in stages:
        free = [0.0] * slots
        for each in stage:
            heapq.heappush(free, heapq.heappop(free) + apart + each)
        total += begin + max(free)
    return total


def record(forecast: Forecast, results: Results) -> None:
    """Keep a forecast in the results folder. Raises OSError or ValueError where it cannot."""
    now = datetime.datetime.now(datetime.UTC)
    about: dict[str, Any] = {"slots": forecast.slots, "wall_s": forecast.wall_s}
    about |= {"node": platform.node(), "made": now}
    rows = [each._asdict() | about for each in forecast.trials]
    results.write(FORECASTS, f"{now:%Y%m%dT%H%M%S%fZ}-{uuid.uuid4().hex[:6]}", rows)


def latest(results: Results) -> tuple[str, Forecast] | None:
    """The newest forecast in a results folder, and its name."""
    names = results.names(FORECASTS)
    if not names:
        return None
    rows = results.read(FORECASTS, names[-1:]).to_pylist()
    trials = [Expected(*(row[name] for name in Expected._fields)) for row in rows]
    return names[-1], Forecast(trials, rows[0]["slots"], rows[0]["wall_s"])


def compare(results: Results, ran: Sequence[str], wall_s: float) -> Compared | None:
    """Record how far off the newest forecast was for its trials that are complete.

    `ran` are the trials that one launch ran, in `wall_s` seconds: where they are all that the
    forecast is of, so is the wall clock's error. None where there is nothing to compare.
    """
    found = latest(results)
    if found is None:
        return None
    name, forecast = found
    exact = {each.trial: each.seconds for each in forecast.trials if not each.at_most}
    ended = results.outcomes(exact).values()
    took = {each.trial: each.wall_s for each in ended if each.status == Status.COMPLETE}
    predicted = {trial: exact[trial] for trial in took if exact[trial] > 0}
    if not predicted:
        return None
    errors = {trial: took[trial] / predicted[trial] - 1 for trial in predicted}
    known = forecast.wall_s is not None and set(ran) == {e.trial for e in forecast.trials}
    wall = known and len(errors) == len(forecast.trials)
    times: dict[str, Any] = {}
    if wall:
        times = {"predicted_wall_s": forecast.wall_s, "wall_s": wall_s}
    rows = [
        {"trial": trial, "predicted_s": predicted[trial], "took_s": took[trial], "error": error}
        for trial, error in errors.items()
    ]
    results.write(ERRORS, name, [row | times for row in rows])
    totals = (forecast.wall_s, wall_s) if wall else (sum(predicted.values()), _sum(took, predicted))
    assert totals[0] is not None, "known only where the forecast has it"
    return Compared(totals[0], totals[1], min(errors.values()), max(errors.values()), wall)


def _sum(took: Mapping[str, float], trials: Mapping[str, float]) -> float:
    return sum(took[trial] for trial in trials)


def _probe(plan: Plan, index: int) -> Probe:
    numbers = plan.classes[index], plan.train_clips[index], plan.scored[index]
    return step_times.of_trial(plan.trials[index], plan.prices[index].cost.macs, *numbers)


def _pace(probe: Probe, speed: Speed) -> float:
    """Seconds of a multiply-add: teachers answer as fast as their student learns."""
    if probe.step_work:
        return speed.step / probe.step_work
    return speed.score / max(1, probe.macs)


def _work(plan: Plan, index: int) -> int:
    """Multiply-adds of a whole trial, scoring included."""
    macs, scored = plan.prices[index].cost.macs, amount(plan, index).scored
    if not plan.trials[index].objective.trains:
        return macs * scored
    return plan.work(index) + macs * scored


def _expected(plan: Plan, index: int, took: float, how: str) -> Expected:
    trial, work = plan.trials[index], _work(plan, index)
    if how != "measured" and not work:
        took, how = 0.0, "unknown"
    speed = work / took / 1e9 if took else 0.0
    return Expected(trial.id, took, trial.training.patience > 0, how, speed)


def _scaled(wanted: Probe, found: Mapping[Probe, Speed]) -> Speed:
    """The speed of the nearest measured probe, its steps and scores by their multiply-adds. Nearest
    is, first, what has about as many trials side by side.
    """

    def distance(other: Probe) -> tuple[bool, float, float]:
        beside = (1 + len(other.beside)) / (1 + len(wanted.beside))
        ratio = max(1, other.macs) / max(1, wanted.macs)
        return other.nearest != wanted.nearest, abs(math.log(beside)), abs(math.log(ratio))

    other = min(found, key=distance)
    speed, ratio = found[other], max(1, wanted.macs) / max(1, other.macs)
    steps = wanted.step_work / other.step_work if other.step_work else 1.0
    return speed._replace(step=speed.step * steps, score=speed.score * ratio)
