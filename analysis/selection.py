"""Model selection: settings chosen by validation clips, so that the test is read once, for them.

Source: the usual practice, as in Hu et al. 2021 (VIB), who choose K and beta on validation clips.
Conventions: scores are such that more is better. Every run chooses for itself unless told: where
folds rotate, clips that validate in one rotation are test clips of another, and a choice that all
runs share would have seen both.
Contents: select.
"""

import warnings
from collections.abc import Sequence

import pandas as pd

from analysis.aggregate import NOT_HELD_OUT
from analysis.conditions import REPEAT
from scaling import settings
from scaling.spelling import nearest

DIGITS = 12  # means that differ behind these differ by rounding: they are tied


def select(
    scores: pd.DataFrame,
    among: Sequence[str],
    by: str = "validation",
    together: bool = False,
) -> pd.DataFrame:
    """The rows of the trials whose settings `among` score best on the split `by`, on all splits.

    `scores` is table.scores', with all trials. Those of one seed and fold that are alike but for
    `among` compete: the values of `among` with the best score win, the smallest of several such;
    `together`, those with the best mean over seeds and folds win for all of these. Trials with no
    competitor stay, and need no score on `by`.
    Raises ValueError for a setting that is none or tells repeats apart, for a split that is held
    out, and for a competitor without a score on `by`. Warns where competitors have not all the same
    seeds and folds.
    """
    _check(among, by)
    apart = {*among, *REPEAT} if together else {*among}
    names = [name for name in settings.leaves() if name not in apart]
    validated = scores[(scores["split"] == by) & (scores["device"] == "all")]
    trials = scores.drop_duplicates("trial").set_index("trial")
    trials = trials[[*among]].assign(
        # what competes; as which competitor; on which seed and folds; how well
        alike=_numbered(trials, names),
        candidate=_numbered(trials, among),
        repeat=_numbered(trials, REPEAT),
        score=validated.set_index("trial")["value"],
    )
    contested = trials.groupby("alike")["candidate"].transform("nunique") > 1
    rivals = trials[contested]
    silent = int(rivals["score"].isna().sum())
    if silent:
        raise ValueError(
            f"{' and '.join(among)}: {silent} of {len(rivals)} trials to choose among were not "
            f"scored on the split {by}: give them one (validation: split.validation_fold)"
        )
    candidates = rivals.groupby(["alike", "candidate", *among], as_index=False).agg(
        score=("score", "mean"), runs=("repeat", "nunique")
    )
    _warn_of_gaps(candidates, rivals.groupby("alike")["repeat"].nunique())
    best = candidates.assign(score=-candidates["score"].round(DIGITS))
    best = best.sort_values(["score", *among]).drop_duplicates("alike")
    won = pd.MultiIndex.from_frame(trials[["alike", "candidate"]]).isin(
        pd.MultiIndex.from_frame(best[["alike", "candidate"]])
    )
    return scores[scores["trial"].isin(trials.index[~contested | won])]


def _check(among: Sequence[str], by: str) -> None:
    """Refuse what is no setting, a repeat, and clips that are kept for the test."""
    known = settings.leaves()
    for name in among:
        if name not in known:
            raise ValueError(f"{name}: no such setting{nearest(name, known)}")
        if name in REPEAT:
            raise ValueError(
                f"{name}: repeats are averaged, never chosen among; name settings of the model"
            )
    if by not in NOT_HELD_OUT:
        raise ValueError(
            f"by={by}: nothing is chosen by clips held out for the test; choose by=validation"
        )


def _numbered(trials: pd.DataFrame, names: Sequence[str]) -> "pd.Series[int]":
    """A number for each combination of these settings."""
    return trials.groupby([*names], dropna=False).ngroup()


def _warn_of_gaps(candidates: pd.DataFrame, repeats: "pd.Series[int]") -> None:
    """Say how many candidates were not scored on all seeds and folds that their like were."""
    gaps = int((candidates["runs"] < candidates["alike"].map(repeats)).sum())
    if gaps:
        warnings.warn(
            f"{gaps} of {len(candidates)} candidates lack seeds or folds that others of their like "
            "have: the means that they are chosen by are of different runs",
            stacklevel=3,
        )
