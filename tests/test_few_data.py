"""Training on few clips: classes, number of clips, passes, steps, penalty, and when to stop."""

import io
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import timeless

from scaling import machine
from scaling.results.manifest import plan
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed
from scaling.sound import splits
from scaling.sound.store import Store
from scaling.training import classifier, optimizer
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.stages import Copy
from scaling.training.views import Views

CLASSES = ("field", "kitchen", "street")


@pytest.fixture
def few(trial: Trial) -> Trial:
    """Three classes, four clips of each, on device a."""
    settings = {
        "sound.classes": CLASSES,
        "split.clips_per_class": 4,
        "training.batch": 5,
        "training.partial": True,
        "network.initialization": "he",
    }
    return changed(trial, settings)


def measured(epoch: Epoch) -> dict[str, float]:
    """What an epoch of training recorded, by name."""
    return {row.metric: row.value for row in epoch.metrics if row.split == "train"}


# Classes


def test_only_these_classes_are_heard(few: Trial, store: Store, here: machine.Machine):
    listener = Listener(few, store, here)
    assert listener.labels == CLASSES
    of_these = set(store.table.loc[store.table["label"].isin(CLASSES), "clip"])
    whole = changed(few, {"split.clips_per_class": 0})
    parts = Listener(whole, store, here).parts
    assert {name: len(rows) for name, rows in parts.items()} == {
        "train": 36,
        "seen": 9,
        "unseen": 36,
    }
    for rows in listener.parts.values():
        table = listener.rows(rows, -1)
        assert set(table["clip"]) <= of_these
        targets = [listener.labels[target] for target in listener.targets[rows]]
        assert targets == table["label"].tolist()
        own = store.table["clip"].iloc[listener.at[rows]]
        assert own.tolist() == table["clip"].tolist()
        waves = store.batch(listener.at[rows], 16_000).float() / 32768
        assert torch.equal(listener.waves(rows), waves)


def test_only_these_classes_are_answered(few: Trial, store: Store, here: machine.Machine):
    """Labels, predictions and the order of logits; the order in which classes are named is none."""
    named = changed(few, {"sound.classes": "street,field,kitchen"})
    *_, last = run(named, store, here)
    label = dict(zip(store.table["clip"], store.table["label"], strict=True))
    for row in last.predictions:
        assert row.label == label[row.clip]
        assert row.predicted == CLASSES[int(row.logits.argmax())]
        assert row.logits.shape == (3,)
    assert {row.label for row in last.predictions} == set(CLASSES)
    assert last.state["model"]["network.classifier.weight"].shape[0] == 3
    *_, again = run(few, store, here)
    assert timeless(iter([last])) == timeless(iter([again]))


def test_random_labels_are_drawn_among_these_classes(
    few: Trial, store: Store, here: machine.Machine
):
    drawn = changed(few, {"split.labels": "uniform", "split.clips_per_class": 0})
    listener = Listener(drawn, store, here)
    train = listener.parts["train"]
    assert np.bincount(listener.targets[train]).min() > 0
    assert set(listener.targets[train]) == {0, 1, 2}
    true = [CLASSES.index(label) for label in listener.table["label"]]
    assert (listener.targets[train] != np.array(true)[train]).any()
    for name in ("seen", "unseen"):
        held = listener.parts[name]
        assert (listener.targets[held] == np.array(true)[held]).all()


def test_classes_that_are_not_there(few: Trial, store: Store, here: machine.Machine):
    line = r"sound\.classes=kichen: no such class \(did you mean kitchen\?\)$"
    unknown = changed(few, {"sound.classes": "field,kichen"})
    with pytest.raises(ValueError, match=line):
        next(run(unknown, store, here))
    with pytest.raises(ValueError, match=line):
        plan("s", [unknown], {"synthetic": store.table})
    with pytest.raises(ValueError, match="classes names field twice"):
        changed(few, {"sound.classes": "field,field"})
    with pytest.raises(ValueError, match="classes=field: a classifier needs at least two classes"):
        changed(few, {"sound.classes": "field"})


def test_a_plan_counts_these_classes_and_clips(few: Trial, store: Store):
    """One pass; the last layer for three classes; as many views and epochs as otherwise."""
    trials = [few, changed(few, {"training.passes": 4}), changed(few, {"sound.classes": ()})]
    planned = plan("s", trials, {"synthetic": store.table})
    assert planned.train_clips == [12, 12, 40]
    assert planned.work(0) == 3 * planned.prices[0].cost.macs * 12 * 3
    assert planned.work(1) == 4 * planned.work(0)
    last = {part.name: part.weights for part in planned.prices[0].cost.parts}["classifier"]
    every = {part.name: part.weights for part in planned.prices[2].cost.parts}["classifier"]
    assert 10 * last == 3 * every


def test_a_plan_says_where_clips_are_too_few(few: Trial, store: Store, here: machine.Machine):
    """Each class has 12 clips to train on, and here one has 11."""
    kitchen = store.table.index[
        (store.table["label"] == "kitchen")
        & (store.table["device"] == "a")
        & (store.table["fold"] == 2)
    ]
    table = store.table.drop(kitchen[:1]).reset_index(drop=True)
    line = r"split\.clips_per_class=12: class kitchen has 11 training clips, take at most as many$"
    with pytest.raises(ValueError, match=line):
        plan("s", [changed(few, {"split.clips_per_class": 12})], {"synthetic": table})
    assert plan("s", [changed(few, {"split.clips_per_class": 11})], {"synthetic": table})
    with pytest.raises(ValueError, match=r"split\.clips_per_class=13: class field has 12 "):
        next(run(changed(few, {"split.clips_per_class": 13}), store, here))


def test_few_clips_are_those_of_the_seed(few: Trial, store: Store, here: machine.Machine):
    def drawn(**settings: object) -> set[int]:
        named = {name.replace("__", "."): value for name, value in settings.items()}
        return set(Listener(changed(few, named), store, here).parts["train"].tolist())

    table = Listener(few, store, here).table
    assert table["label"].iloc[sorted(drawn())].value_counts().to_dict() == dict.fromkeys(
        CLASSES, 4
    )
    assert drawn(split__clips_per_class=2) < drawn() < drawn(split__clips_per_class=7)
    assert drawn(seed=4) != drawn()
    assert (table["fold"].iloc[sorted(drawn())] != 1).all()


# Steps and passes


@pytest.mark.parametrize(
    ("settings", "steps", "clips"),
    [
        ({}, 3, 12),  # 5, 5 and 2
        ({"training.partial": False}, 2, 10),
        ({"training.batch": 256}, 1, 12),
        ({"training.passes": 3}, 7, 35),  # the last clip alone cannot be normalized
        ({"training.passes": 3, "training.partial": False}, 7, 35),
        ({"training.batch": 12, "training.passes": 2}, 2, 24),
    ],
)
def test_steps_and_clips_are_recorded(
    few: Trial,
    store: Store,
    here: machine.Machine,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, object],
    steps: int,
    clips: int,
):
    seen: list[np.ndarray] = []
    real = Views.copy

    def spying(self: Views, batch: np.ndarray, *others: Any) -> Copy:
        seen.append(batch)
        return real(self, batch, *others)

    monkeypatch.setattr(Views, "copy", spying)
    found = measured(next(run(changed(few, settings), store, here)))
    assert (found["steps"], found["clips"]) == (steps, clips)
    assert (len(seen), sum(map(len, seen))) == (steps, clips)
    counts = np.bincount(np.concatenate(seen))
    passes = int(str(settings.get("training.passes", 1)))
    assert set(counts[counts > 0]) <= {passes, passes - 1}, "each clip once in a pass"
    if clips == 12 * passes:
        assert set(counts[counts > 0]) == {passes}
    orders = np.concatenate(seen)
    if passes > 1:
        assert orders[:12].tolist() != orders[12:24].tolist(), "each pass has its order"


def test_views_count(few: Trial, store: Store, here: machine.Machine):
    views = {"objective.kind": "consistency", "augment.transform": "mask", "augment.mixup": 0.0}
    found = measured(next(run(changed(few, views), store, here)))
    assert (found["steps"], found["clips"]) == (3, 36)


def test_a_batch_above_all_clips_needs_partial(few: Trial, store: Store, here: machine.Machine):
    large = changed(few, {"training.batch": 256, "training.partial": False})
    line = r"^training\.batch=256: there are only 12 clips to train on, .* training\.partial=true$"
    with pytest.raises(ValueError, match=line):
        next(run(large, store, here))


# The penalty


def test_the_penalty_is_minimized_and_recorded(few: Trial, store: Store, here: machine.Machine):
    """In the first step, that of the weights drawn; with a step of SGD, they shrink by it alone."""
    settings = {
        "training.batch": 256,
        "training.optimizer": "sgd",
        "training.warmup": 0,
        "training.final": 1.0,
        "training.stepping": "epoch",
        "training.epochs": 1,
        "training.rate": 0.5,
    }
    free = changed(few, settings)
    bound = changed(free, {"training.penalty": 0.25})
    one, other = next(run(free, store, here)), next(run(bound, store, here))
    assert "penalty" not in measured(one)
    network = other.state["model"]
    drawn = classifier.network(bound, 3, torch_stream(bound.seed, "initialization"))
    expected = 0.25 * optimizer.penalty(drawn).item()
    assert measured(other)["penalty"] == pytest.approx(expected, rel=1e-5)
    assert measured(other)["loss"] == pytest.approx(
        measured(other)["cross_entropy"] + expected, rel=1e-5
    )
    for name, began in drawn.named_parameters():
        difference = network[f"network.{name}"] - one.state["model"][f"network.{name}"]
        shrunk = -0.5 * 0.25 * began.detach() if began.ndim > 1 else torch.zeros_like(began)
        assert torch.allclose(difference, shrunk, atol=1e-5), name


# Patience

STOPS = {
    "training.epochs": 30,
    "training.patience": 2,
    "training.warmup": 0,
    "evaluation.every": 100,
}


def fits(epochs: list[Epoch]) -> list[float]:
    return [measured(epoch)["fit"] for epoch in epochs]


@pytest.mark.parametrize("counts", ["consecutive", "all"])
def test_a_trial_ends_once_it_fits_no_better(
    few: Trial, store: Store, here: machine.Machine, counts: str
):
    """By hand: behind the third epoch that was no better, in a row or ever. What is held out is
    scored then, and only then.
    """
    epochs = list(run(changed(few, {**STOPS, "training.patience_counts": counts}), store, here))
    best, worse, stop = -1.0, 0, 0
    for number, accuracy in enumerate(fits(epochs), start=1):
        if accuracy > best:
            best, worse = accuracy, worse if counts == "all" else 0
        else:
            worse += 1
        if worse == 3:
            stop = number
            break
    assert stop == len(epochs) < 30
    assert [epoch.last for epoch in epochs] == [False] * (stop - 1) + [True]
    assert [bool(epoch.predictions) for epoch in epochs] == [epoch.last for epoch in epochs]
    assert epochs[-1].number == stop
    assert len(epochs[-1].predictions) == 45
    for epoch in epochs:
        scored = any(row.metric == "accuracy" for row in epoch.metrics)
        assert scored == epoch.last


def test_fit_is_accuracy_on_training_clips(few: Trial, store: Store, here: machine.Machine):
    both = changed(few, {**STOPS, "evaluation.training_clips": True, "evaluation.every": 1})
    for epoch in run(both, store, here):
        (clean,) = (
            row.value
            for row in epoch.metrics
            if (row.split, row.metric, row.device) == ("train_clean", "accuracy", "all")
        )
        assert measured(epoch)["fit"] == clean


def test_patience_changes_nothing_but_the_end(few: Trial, store: Store, here: machine.Machine):
    patient = list(run(changed(few, STOPS), store, here))
    length = {"training.epochs": 30, "training.patience": 0}
    endless = run(changed(few, {**STOPS, **length}), store, here)
    for epoch in patient:
        found, expected = measured(next(endless)), measured(epoch)
        del expected["fit"]
        clocks = ("train_seconds", "evaluate_seconds")
        assert {k: v for k, v in found.items() if k not in clocks} == {
            k: v for k, v in expected.items() if k not in clocks
        }


@pytest.mark.parametrize("counts", ["consecutive", "all"])
def test_a_resumed_trial_is_as_patient(
    few: Trial, store: Store, here: machine.Machine, counts: str
):
    """Cut behind every epoch, saved and loaded as a checkpoint is: the rest is the same."""
    patient = changed(few, {**STOPS, "training.patience_counts": counts})
    states: list[io.BytesIO] = []
    whole: list[Epoch] = []
    for epoch in run(patient, store, here):
        whole.append(epoch)
        states.append(io.BytesIO())
        torch.save(epoch.state, states[-1])
    for cut, saved in enumerate(states[:-1], start=1):
        state = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
        rest = list(run(patient, store, here, state))
        assert timeless(iter(rest)) == timeless(iter(whole[cut:]))


def test_counting_all_needs_patience(few: Trial):
    with pytest.raises(ValueError, match=r"patience_counts=all .*: patience=0 never ends"):
        changed(few, {"training.patience_counts": "all"})


# Features that are kept


def test_kept_features_are_those_computed_anew(few: Trial, store: Store, here: machine.Machine):
    """To the bit, in any order, of any training clips; others and mixed ones are computed."""
    listener = Listener(changed(few, {"split.clips_per_class": 0}), store, here)
    train, held = listener.parts["train"], listener.parts["seen"]
    order = np.random.default_rng(0).permutation(train)
    batches = [train, order[:7], order[[3, 3, 0]], held, np.concatenate([held[:2], train[:2]])]
    before = [listener.features(batch) for batch in batches]
    listener.keep()
    assert listener.kept_BFN is not None
    for batch, features_BFN in zip(batches, before, strict=True):
        found = listener.features(batch)
        assert torch.equal(found, features_BFN)
        found.zero_()
    assert torch.equal(listener.features(train), before[0]), "what is given out is a copy"


@pytest.mark.parametrize("transform", ["none", "mask"])
def test_records_do_not_say_what_was_kept(
    few: Trial,
    store: Store,
    here: machine.Machine,
    monkeypatch: pytest.MonkeyPatch,
    transform: str,
):
    masked = {"augment.transform": "mask", "augment.transform_share": 0.5}
    off = {"augment.roll": 0.0, "training.patience": 5, "evaluation.training_clips": True}
    as_recorded = changed(few, {**off, **(masked if transform == "mask" else {})})
    kept = timeless(run(as_recorded, store, here))
    computed: list[int] = []
    real = Listener.waves

    def spying(self: Listener, clips: np.ndarray) -> torch.Tensor:
        computed.append(len(clips))
        return real(self, clips)

    monkeypatch.setattr(Listener, "waves", spying)
    list(run(as_recorded, store, here))
    once = sum(computed)
    monkeypatch.setattr("scaling.training.inputs.KEPT", 0)
    assert timeless(run(as_recorded, store, here)) == kept
    assert sum(computed) - once > once, "nothing was kept any more"


@pytest.mark.parametrize(("roll", "kept"), [(0.5, False), (0.0, True)])
def test_what_is_changed_as_a_wave_is_not_kept(
    few: Trial, store: Store, here: machine.Machine, roll: float, kept: bool
):
    listener = Listener(changed(few, {"augment.roll": roll}), store, here)
    Views(listener, lambda features: features)
    assert (listener.kept_BFN is not None) == kept


# Where a class has no clip at all


def test_a_table_without_a_class_to_train_on(few: Trial, store: Store):
    """Folds are looked at once the classes are chosen."""
    table: pd.DataFrame = store.table
    own = table[(table["label"] != "kitchen") | (table["fold"] == 1)].reset_index(drop=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"class kitchen has no training clip with split.fold"):
            plan("s", [few], {"synthetic": own})
        others = changed(few, {"sound.classes": "field,street"})
        assert plan("s", [others], {"synthetic": own}).train_clips == [8]
    assert len(splits.of_classes(own, ("field", "street"))) == 150
