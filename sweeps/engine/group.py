"""Group: one trial of Tune, with one of ours or several that train side by side. Knows no Ray.

Contents: `configured` and `planned`, its configuration; `name`; `attempt`, in its worker.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scaling.machine import LostGpu
from scaling.results import memory
from scaling.results.outcome import Status
from scaling.results.records import Refused, Results
from scaling.results.run_group import run_group
from scaling.results.run_trial import Progress, last_report, outcome_here, run_trial
from scaling.settings import Trial
from sweeps.engine import limits, preflight
from sweeps.engine.preflight import Task


def configured(trials: Sequence[Trial]) -> dict[str, Any]:
    """What Tune hands to a worker."""
    if len(trials) == 1:
        return {"trial": trials[0].stated()}
    return {"trials": [trial.stated() for trial in trials]}


def planned(config: Mapping[str, Any]) -> list[Trial]:
    """The trials of a configuration."""
    stated = [config["trial"]] if "trial" in config else config["trials"]
    return [Trial.model_validate(each) for each in stated]


def name(trials: Sequence[Trial]) -> str:
    """The first one's id, and how many follow it."""
    return trials[0].id + (f"_and_{len(trials) - 1}" if len(trials) > 1 else "")


def attempt(trials: Sequence[Trial], task: Task, limit: limits.Limit) -> Iterator[Progress]:
    """The progress of a group's trials in this worker. What is raised before they train is their
    failure, too: it would be raised by the next worker again.

    Where a worker before this one held too much memory, they run one by one.
    """
    results = Results(task.results)
    task.hold_parts()
    first, several = trials[0], len(trials) > 1
    if several and memory.read(first.id, results):
        for trial in trials:
            yield from attempt([trial], task, limit)
        return
    try:
        for each in preflight.distinct(trials):
            store = preflight.ready(each, task)
        where = preflight.machine_of(task)
        most = limit.trial and limit.trial * len(trials)
        with limits.watched(first.id, results, limit._replace(trial=most)):
            if several:
                yield from run_group(trials, store, where, results)
            else:
                yield from run_trial(first, store, where, results)
    except (preflight.Unfit, Refused, LostGpu):
        raise
    except Exception as error:  # noqa: BLE001
        # of whatever kind: it is recorded, as what the training raises is
        reason = f"{type(error).__name__}: {error}"
        for trial in trials:
            if results.outcome(trial.id) is None:
                outcome = outcome_here(trial, Status.FAILED, reason)
                results.end(outcome)
                yield last_report(trial, outcome)
