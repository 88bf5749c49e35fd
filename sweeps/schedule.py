"""Schedule: the plan of a launch, which of its trials still have to run, and in which order.

A trial that is complete is never run again, one that was cut off resumes from its checkpoint, one
that failed stays failed unless it is to be retried. Contents: `planned`, `check`, `warn_of_claims`,
`ledger`; `pending`, `left`, `groups`.
"""

import warnings
from collections.abc import Mapping, Sequence

import pandas as pd

from scaling.results import claims, leaks, teachers, transfer
from scaling.results.manifest import Plan, plan
from scaling.results.outcome import Outcome, Status
from scaling.results.records import Results
from scaling.settings import Trial
from sweeps.adaptive import early_stopping, search
from sweeps.launch import Launch, Resources


def planned(launch: Launch, tables: Mapping[str, pd.DataFrame]) -> Plan:
    """What the launch's trials cost, by their datasets' clip tables; of those whose table is there.

    Raises ValueError for what does not fit the clips.
    """
    there = [trial for trial in launch.trials if trial.sound.recordings in tables]
    names = (name for trial in there for name in trial.objective.sources)
    trained = leaks.recorded(Results(launch.results), names)
    return plan(launch.study.name, there, tables, trained)


def check(launch: Launch, plan: Plan) -> None:
    """Raises ValueError where trials cannot be stopped early or searched as the launch asks, or
    where their teachers, or what they take over, are missing or leak, before anything runs.
    """
    teachers.check(launch.trials, Results(launch.results))
    transfer.check(launch.trials, Results(launch.results))
    if launch.rule:
        early_stopping.check(launch.rule, launch.trials)
        if not launch.study.search:  # a search proposes others
            early_stopping.warn_alone(launch.rule, plan)
    if launch.study.search:
        search.check_installed(launch.study.name)


def warn_of_claims(launch: Launch) -> None:
    """Warn of claims that no trial of the launch can support or contradict."""
    if not launch.study.search:  # whose trials are not known yet
        for line in claims.unmet(launch.study.claims, launch.trials):
            warnings.warn(line, stacklevel=2)


def ledger(launch: Launch, tables: Mapping[str, pd.DataFrame]) -> search.Ledger | None:
    """What the results folder holds of the launch's search at this moment; None without one."""
    if not launch.study.search:
        return None
    (base,) = launch.trials
    searched = launch.study.search._replace(base=base)
    return search.Ledger(launch.study.name, searched, tables, Results(launch.results))


def pending(plan: Plan, results: Results, retry_failed: bool = False) -> list[int]:
    """Which of the plan's trials still have to run, the most expensive first.

    With `retry_failed` the outcomes of failed trials are removed, so that they run again.
    """
    known = results.outcomes(trial.id for trial in plan.trials)
    if retry_failed:
        for trial in [name for name, ended in known.items() if ended.status == Status.FAILED]:
            results.reopen(trial)
            del known[trial]
    return left(plan, known)


def left(plan: Plan, known: Mapping[str, Outcome], retry_failed: bool = False) -> list[int]:
    """Which of the plan's trials have not ended, by their known outcomes, the most expensive first;
    failed ones have, unless they are to be retried.
    """
    retried = {each.trial for each in known.values() if each.status == Status.FAILED}
    over = known.keys() - (retried if retry_failed else ())
    unended = [index for index, trial in enumerate(plan.trials) if trial.id not in over]
    return sorted(unended, key=plan.work, reverse=True)


def groups(plan: Plan, resources: Resources, trials: Sequence[Trial]) -> list[list[Trial]]:
    """The trials of a plan in groups that train side by side, in the order of their first ones."""
    from scaling.training import shape  # torch, which a launch without groups need not wait for

    of = {trial.id: parts["train"] for trial, parts in zip(plan.trials, plan.parts, strict=True)}
    return shape.groups(trials, resources.stack, lambda trial: shape.shape(trial, of[trial.id]))
