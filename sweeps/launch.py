"""What is left to do of a plan. Knows no Ray.

What is complete in the results folder is left alone, what was cut off goes on from its checkpoint,
what failed is left failed unless it is asked for again.
"""

from collections.abc import Iterator, Mapping, Sequence

from scaling.results.manifest import Plan
from scaling.results.outcome import Outcome, Status
from scaling.results.records import Results
from scaling.settings import Trial


def stages(trials: Sequence[Trial]) -> Iterator[list[Trial]]:
    """The trials in their order, those behind that take over from one of the others: Ray knows no
    order between trials, so that each stage is a run of its own.
    """
    left = list(trials)
    while left:
        waiting = {trial.id for trial in left}
        ready = [trial for trial in left if trial.transfer.trial not in waiting]
        assert ready, "ids are hashes of what they name: no two trials can name each other"
        yield ready
        left = [trial for trial in left if trial.transfer.trial in waiting]


def pending(plan: Plan, results: Results, retry_failed: bool = False) -> list[int]:
    """Which of the plan's trials still have to run, the most expensive first; failed ones only if
    asked for.

    Asked for failed ones, their outcomes are removed, so that they run again.
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
    over = {each.trial for each in known.values() if each.status != Status.FAILED}
    over = over if retry_failed else set(known)
    unended = [index for index, trial in enumerate(plan.trials) if trial.id not in over]
    return sorted(unended, key=plan.work, reverse=True)
