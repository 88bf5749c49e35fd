import re

from scaling.settings import Trial, changed, flat
from scaling.settings.label import labels, trial_labels
from scaling.settings.recipes import RECIPES
from sweeps.study import product


def said(*trials: Trial) -> list[str]:
    return list(trial_labels(trials).values())


def test_a_label_says_what_tells_trials_apart():
    base = RECIPES["esc10"]
    trials = list(product(base, network__damping=(0.0, 0.99), split__fold=(1, 3), seed=(0, 1)))
    assert said(*trials)[::3] == ["W32-fold1-seed0", "W32-fold3-seed1", "W32-damped-fold3-seed0"]
    halves = [changed(base, {"network.damping": d}) for d in (0.0, 0.5, 1.0)]
    assert said(*halves) == ["W32", "W32-damped0.5", "W32-damped1"]
    assert said(base) == ["cp_resnet-W32-fold1-seed0"]


def test_what_follows_from_the_rest_is_left_out():
    """Here the rate follows from the width, the batch from nothing."""
    trials = [
        changed(RECIPES["esc10"], {"network.width": w, "training.rate": r, "training.batch": b})
        for w, r, b in ((8, 1e-3, 8), (8, 1e-3, 16), (16, 2e-3, 8))
    ]
    assert said(*trials) == ["W8-batch8", "W8-batch16", "W16-batch8"]


def test_a_trial_that_takes_over_says_so_and_not_from_which():
    base = RECIPES["esc10"]
    assert said(base, changed(base, {"transfer.trial": base.id})) == ["W32", "W32-transfer"]


def test_a_manifest_row_has_the_label_of_its_trial():
    """Also where an older manifest lacks a column, or a table holds NaN for it."""
    trials = [changed(RECIPES["esc10"], {"network.width": w, "augment.mixup": 0}) for w in (4, 8)]
    rows = {trial.id: flat(trial) | {"study": "s", "macs": 1} for trial in trials}
    expected = trial_labels(trials)
    assert labels(rows) == expected
    first, second = rows.values()
    del first["augment.mixup"]
    second["augment.mixup"] = float("nan")
    assert labels(rows) == expected


def test_hostile_values_are_tamed():
    sound = {"sound.dataset": "\x1b[2J/../x:y" + "z" * 500}
    trials = [RECIPES["esc10"], changed(RECIPES["esc10"], sound)]
    assert re.fullmatch(r"[\w.+-]{1,32}", said(*trials)[1])
