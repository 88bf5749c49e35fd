"""What is left to do of a plan. Knows no Ray.

What is complete in the results folder is left alone, what was cut off goes on from its checkpoint,
what failed is left failed unless it is asked for again.
"""

from collections.abc import Iterator, Mapping, Sequence

from scaling.results.manifest import Plan
from scaling.results.records import Results
from scaling.settings import Trial


def ended(results: Results, trials: Sequence[Trial]) -> set[str]:
    """The ids of those of the trials that have ended."""
    return {trial.id for trial in trials}.intersection(results.names("outcomes"))


def outcomes(results: Results, trials: Sequence[Trial]) -> dict[str, str]:
    """The status of those of the trials that have ended, by id."""
    table = results.read("outcomes", sorted(ended(results, trials)))
    return dict(zip(table["trial"].to_pylist(), table["status"].to_pylist(), strict=True))


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
    known = outcomes(results, plan.trials)
    if retry_failed:
        for trial in [name for name, status in known.items() if status == "failed"]:
            results.remove("outcomes", f"{trial}.parquet")
            del known[trial]
    return left(plan, known)


def left(plan: Plan, known: Mapping[str, str], retry_failed: bool = False) -> list[int]:
    """Which of the plan's trials have not ended, by their known outcomes, the most expensive first;
    failed ones have, unless they are to be retried.
    """
    over = {trial for trial, status in known.items() if status != "failed" or not retry_failed}
    unended = [index for index, trial in enumerate(plan.trials) if trial.id not in over]
    return sorted(unended, key=plan.work, reverse=True)
