"""Pick: the one trial that a model in use is, named by a person or chosen by validation clips.

Conventions: a trial is named by its id or an unambiguous beginning of it. A choice is that of
`overhear choose` without limits: a configuration, of whose trials the one with the best validation
accuracy is taken, of equals the one whose id sorts first. Contents: Picked, pick,
several.
"""

import difflib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from analysis import candidates, choose
from analysis.data import Data, opened
from analysis.failures import answers
from scaling.results import weights_file
from scaling.results.records import Results

FEW = 5  # trials that an error names
VALIDATION = "validation"


class Picked(NamedTuple):
    """A trial with weights, and what its folder knows of it as a model."""

    trial: str  # id
    why: str  # one line: which trial this is, and why
    temperature: float | None  # fitted on its validation clips; None: it has none
    calibration: str  # one line: whether probabilities are calibrated, and by what


def pick(results: Results, named: str = "", data: Data | None = None) -> Picked:
    """The trial of this id, or whose id begins so; "": the only one with weights, or the choice.
    `data` is what the folder holds, where that was read before.

    Raises ValueError, in one line that says what to name instead: for a trial that is unknown,
    ambiguous or without weights, and where nothing is named and nothing can be chosen.
    """
    data = data or opened([results])
    planned, weighed = data.manifest["trial"].tolist(), weights_file.trials(results)
    if named:
        trial = _named(named, planned, results)
        why = f"trial {trial}, as named"
    else:
        trial, why = _chosen(data, sorted(weighed.intersection(planned)))
    _check_weighed(trial, weighed, results)
    return Picked(trial, why, *_calibration(data, trial))


def several(
    results: Results, named: Sequence[str], studies: Sequence[str] = (), every: bool = False
) -> list[str]:
    """The trials of these names; for none, of each configuration the first one with weights, as
    seeds and folds share what a network costs, or `every` one.

    Raises ValueError for a trial that is unknown, ambiguous or without weights, and where none has
    any.
    """
    data = opened([results], studies=studies)
    planned, weighed = data.manifest["trial"], weights_file.trials(results)
    if named:
        trials = [_named(each, planned.tolist(), results) for each in named]
        for trial in trials:
            _check_weighed(trial, weighed, results)
        return [*dict.fromkeys(trials)]
    there = planned.isin(weighed)
    if not there.any():
        raise ValueError(f"{results.where} holds no trial's weights: run its sweep")
    having = planned[there]
    numbers = candidates.configurations(data.manifest)[there]
    return having.tolist() if every else having[~numbers.duplicated()].tolist()


def _check_weighed(trial: str, weighed: Collection[str], results: Results) -> None:
    if trial not in weighed:
        raise ValueError(
            f"trial {trial} has no weights ({weights_file.path(trial, results)}): only a complete "
            "trial that trains a network has; run its sweep (again), or name another with --trial"
        )


def _named(named: str, planned: Sequence[str], results: Results) -> str:
    """The planned trial that is meant."""
    begin = [trial for trial in sorted(planned) if trial.startswith(named)]
    if named in begin:
        return named
    if len(begin) == 1:
        return begin[0]
    if begin:
        raise ValueError(
            f"--trial {named} is ambiguous: {len(begin)} trials start with it ({_some(begin)}): "
            "give more of the id"
        )
    near = difflib.get_close_matches(named[:200], planned, n=3, cutoff=0.0)
    raise ValueError(
        f"--trial {named:.60}: no trial of {results.where} starts with that; the nearest are "
        f"{' '.join(near)}"
    )


def _chosen(data: Data, weighed: Sequence[str]) -> tuple[str, str]:
    """The trial with weights that validation clips choose, and why."""
    if not weighed:
        raise ValueError(f"{data.snapshot.results.where} holds no trial's weights: run its sweep")
    if len(weighed) == 1:
        return weighed[0], f"trial {weighed[0]}, the only one with weights"
    scores = data.scores()
    validated = scores[(scores["split"] == VALIDATION) & (scores["device"] == "all")]
    if validated.empty:
        raise ValueError(
            f"none of these {len(weighed)} trials was scored on validation clips, and test clips "
            f"choose nothing: name one with --trial, as --trial {weighed[0]}"
        )
    try:
        choice = choose.choose(data, {}, {})
    except ValueError as error:
        raise ValueError(f"nothing can be chosen ({error}): name one with --trial") from None
    of_best = validated[validated["trial"].isin(choice.best["trials"].split())]
    having = of_best[of_best["trial"].isin(weighed)]
    if having.empty:
        raise ValueError(
            f"no trial of {choice.best['label']}, which overhear choose takes, has weights: run "
            "its sweep (again), or name another with --trial"
        )
    first = having.sort_values(["value", "trial"], ascending=[False, True]).iloc[0]
    among = len(choice.candidates)
    return str(first["trial"]), (
        f"trial {first['trial']}: of {choice.best['label']}, the best of {among} "
        f"configuration{'s' if among > 1 else ''} on validation clips (overhear choose), the best "
        f"of {len(having)} trials there ({100 * first['value']:.1f} %)"
    )


def _calibration(data: Data, trial: str) -> tuple[float | None, str]:
    """Its temperature, and a line on what its probabilities are."""
    splits: set[str] = set()
    for _, said in data.predictions([trial], ["split"]):
        splits = set(said["split"])
    if VALIDATION not in splits:
        why = "the trial has no validation clips"
    elif temperature := answers.tally(data, [trial]).temperatures.get(trial):
        return temperature, f"calibrated on its validation clips (temperature {temperature:.2f})"
    else:
        why = "a class is named in none of its predictions"
    return None, f"not calibrated: {why}"


def _some(trials: Sequence[str]) -> str:
    more = f" and {len(trials) - FEW} more" if len(trials) > FEW else ""
    return " ".join(trials[:FEW]) + more
