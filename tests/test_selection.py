"""analysis.selection: what validation clips choose, and that no test score has a say."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_analysis_table import complete, results, trial

from analysis import table
from analysis.selection import select
from scaling.results.records import Results
from scaling.seeds import stream
from scaling.settings import Trial

__all__ = ["results"]  # the fixture

AMONG = ("objective.latent", "objective.beta")


def vib(latent: int = 20, beta: float = 0.005, **more: Any) -> Trial:
    """A trial with a bottleneck that has a validation fold."""
    kind = {"objective__kind": "bottleneck", "objective__latent": latent, "objective__beta": beta}
    return trial(**({"split__validation_fold": 9} | kind | more))


def scored(results: Results, values: Mapping[Trial, tuple[float, float]]) -> pd.DataFrame:
    """Scores of trials with these values on validation and on test."""
    complete(results, {t: {"validation": [v], "test": [of]} for t, (v, of) in values.items()})
    return table.scores(results)


def trials(frame: pd.DataFrame) -> set[str]:
    return set(frame["trial"])


def ids(*some: Trial) -> set[str]:
    return {one.id for one in some}


def test_the_best_on_validation_is_read_on_test(results: Results) -> None:
    scores = scored(results, {vib(20): (0.5, 0.9), vib(50): (0.6, 0.1)})
    frame = select(scores, AMONG, together=True)
    assert trials(frame) == ids(vib(50))
    pd.testing.assert_frame_equal(frame, scores[scores["trial"] == vib(50).id])
    assert set(frame["split"]) == {"validation", "test"}


def test_no_test_score_has_a_say(results: Results) -> None:
    random = stream(3, "accuracies")
    values = {
        vib(k, b, seed=s): (random.random(), random.random())
        for k in (20, 50)
        for b in (0.002, 0.05)
        for s in range(3)
    }
    scores = scored(results, values)
    hidden = scores.assign(value=scores["value"].where(scores["split"] == "validation", np.nan))
    assert trials(select(scores, AMONG, together=True)) == trials(
        select(hidden, AMONG, together=True)
    )
    means = {(k, b): np.mean([values[vib(k, b, seed=s)][0] for s in range(3)])
             for k in (20, 50) for b in (0.002, 0.05)}  # fmt: skip
    best = max(means, key=lambda pair: means[pair])
    assert trials(select(scores, AMONG, together=True)) == ids(
        *(vib(*best, seed=s) for s in range(3))
    )


def test_the_mean_over_runs_decides_not_the_luckiest_run(results: Results) -> None:
    lucky = {vib(20, seed=0): (0.9, 0), vib(20, seed=1): (0.1, 0)}
    steady = {vib(50, seed=0): (0.6, 0), vib(50, seed=1): (0.6, 0)}
    assert trials(select(scored(results, lucky | steady), AMONG, together=True)) == ids(*steady)


def test_each_model_has_its_own_choice(results: Results) -> None:
    few = {"split__fraction": 0.3}
    scores = scored(
        results,
        {
            vib(20): (0.5, 0), vib(50): (0.6, 0),
            vib(20, **few): (0.6, 0), vib(50, **few): (0.5, 0),
            vib(20, split__fold=2): (0.5, 0), vib(50, split__fold=2): (0.5, 0),
        },
    )  # fmt: skip
    expected = ids(vib(50), vib(50, split__fold=2), vib(20, **few))
    assert trials(select(scores, AMONG, together=True)) == expected


@pytest.mark.parametrize("order", [(20, 50), (50, 20)])
def test_of_several_best_the_smallest_is_select(results: Results, order: tuple[int, int]) -> None:
    # 0.1 + 0.2 is not 0.3 in binary: a tie all the same
    values = {20: (0.3, 0.0, 0.0), 50: (0.1, 0.2, 0.0)}
    runs = {vib(k, seed=s): (values[k][s], 0.0) for k in order for s in range(3)}
    assert trials(select(scored(results, runs), AMONG, together=True)) == ids(
        *(vib(20, seed=s) for s in range(3))
    )
    ties = {vib(20, b): (0.5, 0.0) for b in (0.02, 0.002)}
    assert trials(select(scored(Results(results.path("more")), ties), AMONG, together=True)) == ids(
        vib(20, 0.002)
    )


def test_who_has_no_competitor_stays_without_validation(results: Results) -> None:
    alone = {trial(): {"test": [0.5]}, trial(network__dropout=0.2): {"test": [0.5]}}
    competing = {vib(k): {"validation": [k / 100], "test": [0.5]} for k in (20, 50)}
    complete(results, alone | competing)
    assert trials(select(table.scores(results), AMONG, together=True)) == ids(*alone, vib(50))


def test_only_the_mean_over_all_clips_counts(results: Results) -> None:
    scores = scored(results, {vib(20): (0.5, 0), vib(50): (0.6, 0)})
    one_device = (scores["device"] == "a") & (scores["trial"] == vib(20).id)
    louder = scores.assign(value=scores["value"].mask(one_device, 99))
    assert trials(select(louder, AMONG, together=True)) == ids(vib(50))


def test_no_trials_choose_none(results: Results) -> None:
    scores = scored(results, {vib(20): (0.5, 0)})
    assert select(scores[:0], AMONG, together=True).empty


def test_unequal_repeats_are_told(results: Results) -> None:
    runs = {vib(20, seed=0): (0.5, 0.0), vib(20, seed=1): (0.5, 0.0), vib(50, seed=0): (0.6, 0.0)}
    scores = scored(results, runs)
    with pytest.warns(UserWarning, match=r"1 of 2 candidates lack seeds or folds"):
        assert trials(select(scores, AMONG, together=True)) == ids(vib(50, seed=0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select(scores[scores["seed"] == 0], AMONG, together=True)


def test_errors_are_one_line(results: Results) -> None:
    complete(results, {vib(20): {"test": [0.5]}, vib(50): {"validation": [0.5], "test": [0.5]}})
    scores = table.scores(results)
    with pytest.raises(ValueError, match=r"^objective.latent and objective.beta: 1 of 2 trials.*"
                                         r"not scored on the split validation"):  # fmt: skip
        select(scores, AMONG, together=True)
    for split in ("test", "seen", "unseen"):
        with pytest.raises(ValueError, match=f"^by={split}: nothing is chosen by clips held out"):
            select(scores, AMONG, by=split)
    with pytest.raises(ValueError, match=r"^objective.lattent: .*did you mean objective.latent"):
        select(scores, ["objective.lattent"])
    with pytest.raises(ValueError, match=r"^seed: repeats are averaged, never chosen"):
        select(scores, ["seed"])


def test_every_run_chooses_for_itself(results: Results) -> None:
    runs = {
        vib(20, seed=0): (0.9, 0.1),
        vib(50, seed=0): (0.8, 0.2),
        vib(20, seed=1): (0.3, 0.3),
        vib(50, seed=1): (0.5, 0.4),
    }
    scores = scored(results, runs)
    assert trials(select(scores, AMONG)) == ids(vib(20, seed=0), vib(50, seed=1))
    assert trials(select(scores, AMONG, together=True)) == ids(vib(50, seed=0), vib(50, seed=1))


def test_a_fold_chooses_by_its_own_validation_clips(results: Results) -> None:
    """Fold 2's validation clips, on which 50 is best, are not those that fold 1 may choose by."""
    first = {"split__fold": 1, "split__validation_fold": 2}
    second = {"split__fold": 2, "split__validation_fold": 3}
    runs = {
        vib(20, **first): (0.7, 0.0),
        vib(50, **first): (0.6, 0.0),
        vib(20, **second): (0.1, 0.0),
        vib(50, **second): (0.9, 0.0),
    }
    assert trials(select(scored(results, runs), AMONG)) == ids(vib(20, **first), vib(50, **second))
