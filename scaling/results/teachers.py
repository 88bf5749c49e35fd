"""Teachers: the trials that a trial is distilled from, found in its results folder and checked.

A teacher that hears otherwise cannot answer to its student's views. One of another split, or that
was trained through microphones that its student is tested on, knows what the student must not:
accuracy on unseen clips or devices would leak through it. So would what it has learnt from others.
Contents: `check`, `of`.
"""

from collections.abc import Iterable, Mapping, Sequence

from scaling.results import weights
from scaling.results.records import Results
from scaling.results.weights_file import ENDING, KIND
from scaling.settings import Trial, flat, unflat
from scaling.training.teachers import Teacher

# settings of a split that say which of its training clips are learnt, and as what
LEARNT = ("labels", "fraction", "clips_per_class", "by_chance")


def check(trials: Sequence[Trial], results: Results) -> None:
    """Raises ValueError for a teacher that is neither among these trials, which are to be run, nor
    trained in this folder, and for one that its student must not learn from.
    """
    if not any(trial.objective.sources for trial in trials):
        return
    here = {trial.id: trial for trial in trials}
    known = _recorded(results, (name for trial in trials for name in trial.sources)) | here
    for trial in trials:
        for name in trial.objective.sources:
            if name not in here and results.get(KIND, name + ENDING) is None:
                raise _missing(name, results)
            _check(trial, name, known, results)


def of(trial: Trial, results: Results) -> list[Teacher]:
    """The teachers of a trial, with what they have learnt. Raises as `check` does."""
    known = _recorded(results, trial.objective.sources)
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


def _recorded(results: Results, names: Iterable[str]) -> dict[str, Trial]:
    """The folder's trials of these ids, and those that they learnt from, by their ids."""
    wanted = [*names]
    if not wanted:
        return {}
    rows = {row["trial"]: row for row in results.read("manifest").to_pylist()}
    found: dict[str, Trial] = {}
    while wanted:
        name = wanted.pop()
        if name in rows and name not in found:
            found[name] = unflat(rows[name])
            wanted += found[name].sources
    return found


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
    if apart := _apart(teacher, trial, "sound."):
        raise ValueError(f"{stated} hears otherwise: {apart}; name teachers of the same sound")
    if apart := _apart(teacher, trial, "split."):
        raise ValueError(
            f"{stated} may have been trained on clips that this trial is tested on: {apart}; name "
            "teachers of the same split"
        )
    line, learnt = [teacher], {teacher.id}
    for each in line:  # which grows
        whose = stated if each is teacher else f"{stated}, through {each.id} that it learnt from,"
        if apart := _apart(each, trial, "split.", LEARNT):
            raise ValueError(
                f"{whose} may know clips that this trial is tested on: {apart}; name teachers of "
                "the same split"
            )
        if both := sorted({*each.microphones.train} & {*trial.microphones.test}):
            raise ValueError(
                f"{whose} was trained through {both[0]}, which this trial is tested on as unseen: "
                "name teachers trained through other microphones"
            )
        line += [known[n] for n in each.sources if n in known and n not in learnt]
        learnt.update(each.sources)


def _apart(one: Trial, other: Trial, part: str, but: Sequence[str] = ()) -> str:
    """The first setting of a part that tells the trials apart, with both values; else nothing."""
    ours, theirs = flat(one), flat(other)
    for name, value in ours.items():
        if name.startswith(part) and name.removeprefix(part) not in but and value != theirs[name]:
            return f"{name}={_said(value)} there, {_said(theirs[name])} here"
    return ""


def _said(value: object) -> str:
    return "none" if value is None or value == "" else str(value)
