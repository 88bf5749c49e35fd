"""The training loop: its schedule, its streams, and that cutting it anywhere changes nothing."""

import io
import math

import numpy as np
import pytest
import torch
from helpers import timeless

from scaling import machine
from scaling.objectives.cross_entropy import CrossEntropy
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from scaling.training import classifier, stages
from scaling.training import session as training
from scaling.training.epoch import Diverged
from scaling.training.methods import run


def test_rates_by_step_end_exactly_at_final(trial: Trial, store: Store, here: machine.Machine):
    last = list(run(trial, store, here))[-1]
    (rate,) = [row.value for row in last.metrics if row.metric == "rate"]
    assert rate == pytest.approx(trial.training.rate * trial.training.final, rel=1e-9)


def test_equal_trials_have_equal_records(trial: Trial, store: Store, here: machine.Machine):
    assert timeless(run(trial, store, here)) == timeless(run(trial, store, here))


def test_resumed_is_undisturbed(trial: Trial, store: Store, here: machine.Machine):
    """Cut behind any epoch, saved and loaded as a checkpoint is: the rest is the same, to the
    bit.
    """
    whole = timeless(run(trial, store, here))
    for cut in (1, 2):
        epochs = run(trial, store, here)
        first = [next(epochs) for _ in range(cut)]
        saved = io.BytesIO()
        torch.save(first[-1].state, saved)
        next(epochs, None)  # the interrupted attempt goes on a little; nothing of that must matter
        state = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
        torch.manual_seed(99)
        np.random.seed(99)  # noqa: NPY002
        assert timeless(run(trial, store, here, state)) == whole[cut:]


def test_nothing_depends_on_global_generators(trial: Trial, store: Store, here: machine.Machine):
    torch.manual_seed(1)
    first = timeless(run(trial, store, here))
    torch.manual_seed(2)
    assert timeless(run(trial, store, here)) == first


def losses(trial: Trial, store: Store, here: machine.Machine) -> list[float]:
    epoch = next(run(trial, store, here))
    return [row.value for row in epoch.metrics if row.metric == "loss" and row.split == "train"]


@pytest.mark.parametrize("purpose", ["order", "roll", "mixup", "initialization"])
def test_each_purpose_has_its_own_stream(
    trial: Trial, store: Store, here: machine.Machine, purpose: str, monkeypatch: pytest.MonkeyPatch
):
    """Another stream for one purpose alone changes the training."""
    before = losses(trial, store, here)
    for module, name in (
        (training, "stream"),
        (training, "torch_stream"),
        (classifier, "torch_stream"),
        (stages, "stream"),
    ):
        real = getattr(module, name)

        def other(seed: int, *words: str | int, real=real) -> object:
            return real(seed + (words[0] == purpose), *words)

        monkeypatch.setattr(module, name, other)
    assert losses(trial, store, here) != before


def test_training_learns(trial: Trial, store: Store, here: machine.Machine):
    longer = changed(trial, {"training.epochs": 6, "network.width": 4, "augment.mixup": 0.0})
    epochs = list(run(longer, store, here))
    rows = [
        [r.value for r in e.metrics if (r.split, r.metric) == ("train", "loss")] for e in epochs
    ]
    assert rows[-1][0] < rows[0][0] < math.log(10) * 1.1


def test_every_held_out_clip_is_scored_and_predicted(
    trial: Trial, store: Store, here: machine.Machine
):
    both = changed(
        trial, {"evaluation.training_clips": True, "training.epochs": 2, "evaluation.every": 2}
    )
    first, last = run(both, store, here)
    assert {row.split for row in first.metrics} == {"train"}
    assert not first.predictions
    scored = {row.split for row in last.metrics if row.metric == "accuracy"}
    assert scored == {"train_clean", "seen", "unseen"}
    clips = store.table
    held_out = set(clips.loc[clips["fold"] == 1, "clip"])
    trained = set(clips.loc[(clips["fold"] != 1) & (clips["device"] == "a"), "clip"])
    assert {r.clip for r in last.predictions if r.split != "train_clean"} == held_out
    assert {r.clip for r in last.predictions if r.split == "train_clean"} == trained
    for split in ("seen", "unseen"):
        heard = [r for r in last.predictions if r.split == split]
        (accuracy,) = [
            r.value
            for r in last.metrics
            if (r.split, r.device, r.metric) == (split, "all", "accuracy")
        ]
        assert accuracy == pytest.approx(np.mean([r.label == r.predicted for r in heard]))


def test_statistics_come_from_training_clips_only(
    trial: Trial, store: Store, here: machine.Machine
):
    """Another held-out fold means other statistics; another held-out part of the same training
    clips does not.
    """
    means = {}
    for fold in (1, 2):
        state = next(run(changed(trial, {"split.fold": fold}), store, here)).state
        means[fold] = state["model"]["standardize.mean_F"].clone()
    assert not torch.equal(means[1], means[2])


def test_a_loss_that_is_not_finite_ends_the_trial(
    trial: Trial, store: Store, here: machine.Machine, monkeypatch: pytest.MonkeyPatch
):
    real = CrossEntropy.loss

    def loss(self, outputs, targets, epoch):
        found = real(self, outputs, targets, epoch)
        factor = math.nan if epoch == 1 else 1
        return found._replace(parts={name: value * factor for name, value in found.parts.items()})

    monkeypatch.setattr(CrossEntropy, "loss", loss)
    epochs = run(trial, store, here)
    next(epochs)
    with pytest.raises(Diverged, match=r"^the loss became nan in epoch 2 \(rate "):
        next(epochs)


def test_what_does_not_fit_is_said(trial: Trial, store: Store, here: machine.Machine):
    with pytest.raises(
        ValueError, match=r"training.batch=100000: there are only \d+ clips to train on"
    ):
        next(run(changed(trial, {"training.batch": 100_000}), store, here))
    with pytest.raises(ValueError, match=r"sound.rate=8000: this store holds 16000 Hz"):
        next(run(changed(trial, {"sound.rate": 8000}), store, here))
    with pytest.raises(ValueError, match=r"fold=9"):
        next(run(changed(trial, {"split.fold": 9}), store, here))


@pytest.mark.skipif(
    machine.here("cpu").precision != torch.bfloat16, reason="this CPU has no native bfloat16"
)
def test_bfloat16_is_deterministic_and_close(trial: Trial, store: Store):
    quick = changed(trial, {"training.epochs": 1, "training.warmup": 0})
    half = machine.here("cpu", "bfloat16", 1)
    assert timeless(run(quick, store, half)) == timeless(run(quick, store, half))
    exact = losses(quick, store, machine.here("cpu", "float32", 1))
    assert losses(quick, store, half) == pytest.approx(exact, rel=0.02)
