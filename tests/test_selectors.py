"""analysis.selectors: the trials that have certain settings, and what to say where none has."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from test_analysis_table import complete, plan, results, trial

from analysis import reading, table
from analysis.selectors import having, parsed
from scaling import settings
from scaling.results.records import Results
from scaling.settings import flat

__all__ = ["results"]  # the fixture

FRACTIONS = {"split__fraction": 0.3}


def test_words_become_the_values_that_a_manifest_holds() -> None:
    """Numbers, truths, words, lists and what is missing, each as its column has it."""
    words = ["split.fraction=0.3", "training.rate=1e-3", "network.width=8", "network.flatten=true"]
    words += ["pruning.kind=static", "sound.classes=b,a", "split.validation_fold=null"]
    assert parsed(words) == {
        "split.fraction": (0.3,),
        "training.rate": (0.001,),
        "network.width": (8,),
        "network.flatten": (True,),
        "pruning.kind": ("static",),
        "sound.classes": ("b,a",),
        "split.validation_fold": (None,),
    }
    assert parsed(["network.width=4", "seed=1", "network.width=8"])["network.width"] == (4, 8)


def test_what_a_trial_records_is_found_by_what_it_says() -> None:
    """Every setting of a trial, as `overhear settings` spells values: no type is left out."""
    stated = flat(trial(network__width=16, split__fraction=0.3, split__validation_fold=2))
    for name, value in stated.items():
        text = "null" if value is None else str(value).lower() if value in (True, False) else value
        assert parsed([f"{name}={text}"]) == {name: (value,)}
    assert len(stated) == len(settings.leaves())


@pytest.mark.parametrize(
    ("selector", "widths"),
    [
        ({}, [4, 8, 16, 4]),
        ({"network.width": 4}, [4, 4]),
        ({"network.width": (4, 16)}, [4, 16, 4]),
        ({"network.width": 4, "split.validation_fold": None}, [4]),
        ({"split.validation_fold": (2, None)}, [4, 8, 16, 4]),
        ({"network.width": 5}, []),
    ],
)
def test_rows_that_have_all_settings(selector: Mapping[str, Any], widths: list[int]) -> None:
    folds = pd.array([None, 2, 2, 2], dtype="Int64")
    rows = pd.DataFrame({"network.width": [4, 8, 16, 4], "split.validation_fold": folds})
    assert having(rows, selector)["network.width"].tolist() == widths


def test_a_folder_is_read_as_if_it_held_the_selected_trials_only(results: Results) -> None:
    some = [trial(seed=s, network__width=w, **FRACTIONS) for s in (0, 1) for w in (4, 8)]
    others = [trial(seed=s, network__width=w) for s in (0, 1) for w in (4, 8)]
    complete(results, {each: {"test": [0.5]} for each in (*some, *others)})
    kept = reading.load(results, where={"split.fraction": 0.3})
    ids = {each.id for each in some}
    assert {*kept.manifest["trial"]} == {*kept.outcomes["trial"]} == ids
    assert {*table.scores(kept)["trial"]} == ids
    assert {*reading.progress(kept)["trial"]} == ids
    assert not kept.launches  # what is foretold from some trials is not kept
    one = reading.load(results, where={"split.fraction": 0.3, "network.width": 8, "seed": (1, 2)})
    assert one.manifest["trial"].tolist() == [trial(seed=1, network__width=8, **FRACTIONS).id]


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("split.fracton=1", "--where split.fracton: no such setting (did you mean split.fraction"),
        ("split.fraction=a", "--where split.fraction='a': write a number, as 0.001 or 1e-3"),
        ("network.width=4.5", "--where network.width='4.5': write a whole number, as 1000"),
        ("split.fraction=0.4", "has split.fraction=0.4 (the nearest is 0.3; known: 0.3, 1.0): "),
        ("network.kind=cp_resnt", "has network.kind=cp_resnt (did you mean cp_resnet?): "),
        ("sound.classes=a", "has sound.classes=a (known: (empty)): "),
    ],
)
def test_words_that_no_trial_has(results: Results, word: str, line: str) -> None:
    plan(results, "width", [trial(), trial(**FRACTIONS)])
    with pytest.raises(ValueError, match=re.escape(line)) as refused:
        reading.load(results, where=parsed([word]))
    assert "\n" not in str(refused.value)


def test_a_refusal_says_what_else_was_asked_and_the_remedy(results: Results) -> None:
    plan(results, "width", [trial(network__width=4), trial(network__width=8, seed=1)])
    with pytest.raises(
        ValueError, match=r"^--where: no trial has seed=1 where network.width=4 "
    ) as e:
        reading.load(results, where={"network.width": 4, "seed": 1})
    assert str(e.value).endswith(f": name another value, or sweep this one into {results.where}")
    with pytest.raises(ValueError, match=r"^network.wdth: no such setting"):
        reading.load(results, where={"network.wdth": 4})
