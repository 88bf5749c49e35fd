"""Teachers: the trials that a trial is distilled from, found in its results folder and checked.

A teacher that hears otherwise cannot answer to its student's views; what else it may not know,
scaling.results.leaks says.
Contents: `check`, `of`.
"""

from collections.abc import Mapping, Sequence

from scaling.results import leaks, weights
from scaling.results.records import Results
from scaling.results.weights_file import ENDING, KIND
from scaling.settings import Trial
from scaling.training.teachers import Teacher


def check(trials: Sequence[Trial], results: Results) -> None:
    """Raises ValueError for a teacher that is neither among these trials, which are to be run, nor
    trained in this folder, and for one that its student must not learn from.
    """
    if not any(trial.objective.sources for trial in trials):
        return
    here = {trial.id: trial for trial in trials}
    known = leaks.recorded(results, (name for trial in trials for name in trial.sources)) | here
    for trial in trials:
        for name in trial.objective.sources:
            if name not in here and results.get(KIND, name + ENDING) is None:
                raise _missing(name, results)
            _check(trial, name, known, results)


def of(trial: Trial, results: Results) -> list[Teacher]:
    """The teachers of a trial, with what they have learnt. Raises as `check` does."""
    known = leaks.recorded(results, trial.objective.sources)
    found = []
    for name in trial.objective.sources:
        _check(trial, name, known, results)
        state = weights.load(name, results)
        if state is None:
            raise _missing(name, results)
        found.append(Teacher(known[name], state))
    return found


def _missing(name: str, results: Results) -> ValueError:
    return ValueError(
        f"objective.teachers={name}: {results.where} has no weights of it: sweep it first, into "
        "the same --out"
    )


def _check(trial: Trial, name: str, known: Mapping[str, Trial], results: Results) -> None:
    """Raises ValueError for a teacher that this trial must not learn from."""
    if name not in known:
        raise _missing(name, results)
    teacher = known[name]
    stated = f"objective.teachers={name}"
    if teacher.objective.kind in ("prototypes", "neighbours"):
        raise ValueError(
            f"{stated} has objective.kind={teacher.objective.kind}, which answers by its examples: "
            "name teachers that tell classes themselves"
        )
    if apart := leaks.apart(teacher, trial, "sound."):
        raise ValueError(f"{stated} hears otherwise: {apart}; name teachers of the same sound")
    if apart := leaks.apart(teacher, trial, "split."):
        raise ValueError(
            f"{stated} may have been trained on clips that this trial is tested on: {apart}; name "
            "teachers of the same split"
        )
    leaks.check(trial, teacher, known, stated, "teachers")
