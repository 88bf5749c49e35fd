"""analysis.pick: the one trial that predict, export and the library mean."""

import numpy as np
import pytest
from test_analysis_table import complete, end, measure, plan, results, trial

from analysis.failures.answers import temperature
from analysis.pick import pick
from scaling.results.records import Results
from scaling.settings import Trial

__all__ = ["results"]  # the fixture

VALIDATED = {"split__validation_fold": 2}


def weigh(results: Results, *trials: Trial) -> None:
    """Give trials a file of weights; nothing here reads it."""
    for one in trials:
        results.put(b"weights", "weights", f"{one.id}.safetensors")


def chosen_among(results: Results, values: dict[Trial, float]) -> None:
    complete(results, {t: {"validation": [v], "test": [1 - v]} for t, v in values.items()})
    weigh(results, *values)


def test_an_id_or_its_beginning_names_a_trial(results: Results):
    trials = [trial(seed=s) for s in range(20)]
    complete(results, {t: {"test": [0.5]} for t in trials})
    weigh(results, *trials)
    one = trials[3].id
    named = [pick(results, one[:length]) for length in (6, 12)]
    assert {each.trial for each in named} == {one}
    assert named[0].why == f"trial {one}, as named"
    first = next(a for a in "0123456789abcdef" if sum(t.id[0] == a for t in trials) > 1)
    alike = sorted(t.id for t in trials if t.id[0] == first)
    with pytest.raises(ValueError, match=f"^--trial {first} is ambiguous: .* .{alike[0]} "):
        pick(results, first)
    with pytest.raises(ValueError, match=f"starts with that; the nearest are .*{one}"):
        pick(results, f"{one[:-1]}x")


def test_validation_clips_choose_a_configuration_and_one_of_its_trials(results: Results):
    """Of the better width the better seed, though a trial of the other width is better still."""
    small = [trial(network__width=4, seed=s, **VALIDATED) for s in range(3)]
    large = [trial(network__width=8, seed=s, **VALIDATED) for s in range(3)]
    scores = [0.95, 0.1, 0.1, 0.7, 0.9, 0.8]
    chosen_among(results, dict(zip([*small, *large], scores, strict=True)))
    picked = pick(results)
    assert picked.trial == large[1].id
    assert picked.why == (
        f"trial {large[1].id}: of width 8, the best of 2 configurations on validation clips "
        "(overhear choose), the best of 3 trials there (90.0 %)"
    )


def test_of_equal_trials_the_id_that_sorts_first(results: Results):
    trials = [trial(seed=s, **VALIDATED) for s in range(4)]
    chosen_among(results, dict.fromkeys(trials, 0.5))
    assert pick(results).trial == min(t.id for t in trials)


def test_the_only_trial_with_weights_needs_no_choice(results: Results):
    one, other = trial(), trial(seed=1)
    complete(results, {one: {"test": [0.5]}, other: {"test": [0.6]}})
    weigh(results, one)
    assert pick(results).why == f"trial {one.id}, the only one with weights"
    with pytest.raises(ValueError, match=f"^trial {other.id} has no weights .*only a complete"):
        pick(results, other.id)


def test_where_nothing_can_be_chosen_a_trial_is_to_be_named(results: Results):
    plan(results, "launch", [one := trial(), other := trial(seed=1)])
    with pytest.raises(ValueError, match="holds no trial's weights"):
        pick(results)
    for each in (one, other):
        measure(results, each, {"test": [0.5]})
        end(results, each)
    weigh(results, one, other)
    with pytest.raises(ValueError, match=r"validation clips, and test .*: name one with --trial"):
        pick(results)
    with pytest.raises(ValueError, match="not a results folder"):
        pick(Results(f"{results.where}/none"))


def test_the_temperature_is_fitted_on_validation_clips(results: Results):
    one = trial(**VALIDATED)
    chosen_among(results, {one: 0.5})
    assert pick(results).calibration == "not calibrated: the trial has no validation clips"
    logits_NY = np.random.default_rng(1).normal(size=(40, 3)) * 3
    target_N = np.arange(40) % 3
    rows = [
        {"trial": one.id, "epoch": 3, "split": split, "clip": f"{split}{n}", "device": ""}
        | {"label": "xyz"[target_N[n]], "predicted": "xyz"[logits_NY[n].argmax()]}
        | {"logits": logits_NY[n] if split == "validation" else logits_NY[0]}
        for split in ("validation", "test")
        for n in range(40)
    ]
    results.write("predictions", one.id, rows)
    picked = pick(results)
    assert picked.temperature == pytest.approx(temperature(logits_NY, target_N), rel=1e-3)
    assert picked.calibration.startswith("calibrated on its validation clips (temperature ")
