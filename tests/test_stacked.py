"""Trials side by side: none of them can tell, to rounding, with whom it trained."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from scaling import machine
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from scaling.training import shape, stack, stacked
from scaling.training.epoch import Diverged, Epoch
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session


@pytest.fixture
def small(trial: Trial) -> Trial:
    """A trial of two epochs of a few steps, in which rounding stays rounding: Adam moves a weight
    whose gradient is nothing but rounding as far as any other (as that of a bias before a
    normalization), and in fixup's network, which begins at zero, there are many.
    """
    return changed(
        trial,
        {
            "training.epochs": 2,
            "training.batch": 32,
            "training.optimizer": "sgd",
            "training.rate": 0.05,
            "network.initialization": "he",
            "network.pointwise": 0,
        },
    )


def stated(base: Trial, **parts: Any) -> Trial:
    """The trial with these parts in the place of its own."""
    return Trial.model_validate({**base.stated(), **parts})


def side_by_side(
    trials: Sequence[Trial], store: Store, here: machine.Machine
) -> dict[str, list[Epoch]]:
    sessions = {t.id: Session(t, Listener(t, store, here), here, None, None) for t in trials}
    assert len({stacked.alike(each) for each in sessions.values()}) == 1
    found: dict[str, list[Epoch]] = {t.id: [] for t in trials}
    for left in stacked.run(sessions):
        for name, epoch in left.items():
            assert isinstance(epoch, Epoch), epoch
            found[name].append(epoch)
    return found


def values(epoch: Epoch) -> dict[tuple[str, str, str], float]:
    return {
        (row.split, row.metric, row.device): row.value
        for row in epoch.metrics
        if not row.metric.endswith("_seconds")
    }


def assert_same(ours: list[Epoch], alone: list[Epoch], within: float = 1e-3) -> None:
    """Losses by epoch to 1e-5, logits to 1e-4, and learned tensors to `within` of their norm."""
    assert [each.number for each in ours] == [each.number for each in alone]
    for one, other in zip(ours, alone, strict=True):
        assert list(values(one)) == list(values(other)), "the same rows in the same order"
        for name, value in values(one).items():
            if name[0] == "train":
                assert value == pytest.approx(values(other)[name], rel=1e-5, abs=1e-7), name
    for one, other in zip(ours[-1].predictions, alone[-1].predictions, strict=True):
        assert one[:4] == other[:4]
        assert np.allclose(one.logits, other.logits, rtol=1e-4, atol=1e-4)
    for name, value in alone[-1].state["model"].items():
        own = ours[-1].state["model"][name]
        assert own.dtype == value.dtype
        assert own.stride() == value.stride() or value.numel() == max(value.shape)
        apart = torch.linalg.vector_norm((own - value).double())
        assert apart <= within * (1 + torch.linalg.vector_norm(value.double())), name


def networks(small: Trial) -> list[Trial]:
    """Seed, fold, damping, rate, decay, clip, mixup, roll and share of wrong labels differ."""
    training = small.stated()["training"]
    other = {**training, "rate": 1e-3, "weight_decay": 0.1, "clip": 0.5, "stepping": "epoch"}
    return [
        changed(small, {"network.damping": 0.99, "seed": 1}),
        changed(small, {"seed": 2, "augment.mixup": 0.0, "split.labels": "permuted"}),
        stated(changed(small, {"split.fold": 2}), training=other, augment={}),
    ]


def bottlenecks(small: Trial) -> list[Trial]:
    """By Adam with epsilons of their own, without a normalization, from Glorot's first weights."""
    network = {"kind": "vib_cnn", "width": 2, "dropout": 0.2, "first_weights": "glorot"}
    small = changed(small, {"training.optimizer": "adam", "training.rate": 5e-3})
    return [
        stated(
            changed(small, {"training.epsilon": epsilon}),
            seed=seed,
            network=network,
            objective={"kind": "bottleneck", "beta": beta, "latent": 6},
        )
        for seed, beta, epsilon in ((1, 0.01, 1e-8), (2, 0.5, 1e-3), (3, 0.01, 1e-3))
    ]


def consistencies(small: Trial) -> list[Trial]:
    return [
        stated(
            small,
            objective={"kind": "consistency", "copies": 1, **weight},
            augment={"transform": "mask"},
            microphones=microphones,
        )
        for weight, microphones in (({"weight": 5.0, "ramp": 2}, {}), ({}, {}))
    ]


def prunings(small: Trial) -> list[Trial]:
    return [
        small,
        stated(small, pruning={"kind": "static", "target": 200}),
        stated(
            changed(small, {"network.damping": 0.5, "seed": 5}),
            pruning={"kind": "magnitude", "target": 150, "length": 1, "score": "kernel"},
        ),
        stated(small, pruning={"kind": "channels", "keep": 0.5, "start": 1}),
    ]


def chains(small: Trial) -> list[Trial]:
    """A chain, by SGD, with and without a penalty and a clipped gradient."""
    training = {**small.stated()["training"], "optimizer": "sgd", "batch": 16}
    return [
        stated(
            changed(small, {"seed": seed, "sound.features.mels": 64}),
            network={"kind": "vgg5", "width": 2, "momentum": 0.3},
            training={**training, **more},
        )
        for seed, more in ((1, {"penalty": 0.1, "clip": 1.0}), (2, {}))
    ]


def prototypes(small: Trial) -> list[Trial]:
    return [
        stated(
            changed(small, {"seed": seed, "network.dropout": 0.2}),
            objective={"kind": "prototypes", "embedding": 5},
        )
        for seed in (1, 2)
    ]


def sharpnesses(small: Trial) -> list[Trial]:
    """Minimized, each with its own rho, with dropped channels, cut weights and normalized input."""
    small = changed(small, {"network.dropout": 0.2, "network.normalization": "adaptive"})
    small = changed(small, {"training.sam": 0.1, "augment.mixup": 0.3})
    adaptive = changed(small, {"training.sam": 0.5, "training.sam_adaptive": True, "seed": 4})
    training = {**small.stated()["training"], "clip": 0.5, "penalty": 0.01}
    return [
        small,
        stated(adaptive, pruning={"kind": "static", "target": 200}),
        stated(changed(small, {"augment.freq_mixstyle": 0.5}), training=training),
    ]


@pytest.mark.parametrize(
    ("case", "within"),
    [
        (sharpnesses, 1e-3),
        (networks, 1e-3),
        (bottlenecks, 1e-5),
        (consistencies, 1e-3),
        (prunings, 1e-3),
        (chains, 1e-5),
        (prototypes, 1e-3),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_trial_cannot_tell_with_whom_it_trained(
    small: Trial, store: Store, here: machine.Machine, case: Any, within: float
):
    trials = case(small)
    together = side_by_side(trials, store, here)
    for one in trials:
        assert_same(together[one.id], [*run(one, store, here)], within)


@pytest.mark.skipif(
    machine.here("cpu").precision != torch.bfloat16, reason="this CPU has no native bfloat16"
)
def test_bfloat16_is_close(small: Trial, store: Store):
    """Normalization's statistics are float32 beside maps of bfloat16."""
    half = machine.here("cpu", "bfloat16", 1)
    trials = [changed(small, {"seed": seed}) for seed in (1, 2)]
    found = side_by_side(trials, store, half)
    for one in trials:
        alone = values(next(run(one, store, half)))["train", "loss", "all"]
        assert values(found[one.id][0])["train", "loss", "all"] == pytest.approx(alone, rel=0.02)


def test_groups_are_what_vmap_computes(
    small: Trial, store: Store, here: machine.Machine, monkeypatch: pytest.MonkeyPatch
):
    """The plain twin of scaling.training.grouped: vmap's own rules."""
    trials = [changed(small, {"seed": seed}) for seed in (1, 2)]
    fast = side_by_side(trials, store, here)
    monkeypatch.setattr(stack, "grouped", contextlib.nullcontext)
    plain = side_by_side(trials, store, here)
    for one in trials:
        assert_same(fast[one.id], plain[one.id])


def test_what_one_trial_raises_is_its_own_end(
    small: Trial, store: Store, here: machine.Machine, monkeypatch: pytest.MonkeyPatch
):
    """One diverges, one cannot read its clips in the middle of an epoch: the third never learns."""
    wild, broken, calm = (changed(small, {"seed": seed}) for seed in (7, 8, 9))
    alone = [*run(calm, store, here)]
    sessions = {
        t.id: Session(t, Listener(t, store, here), here, None, None) for t in (broken, wild, calm)
    }
    real = Session.steps

    def steps(self: Session) -> Iterator[Any]:
        for number, step in enumerate(real(self)):
            if self.trial == broken and self.done == 1 and number == 1:
                raise OSError("the disk is gone")
            if self.trial == wild and self.done == 1:
                step = step._replace(views=[view * torch.nan for view in step.views])
            yield step

    monkeypatch.setattr(Session, "steps", steps)
    found: dict[str, list[Any]] = {name: [] for name in sessions}
    for left in stacked.run(sessions):
        for name, epoch in left.items():
            found[name].append(epoch)
    assert [type(each) for each in found[broken.id]] == [Epoch, OSError]
    assert [type(each) for each in found[wild.id]] == [Epoch, Diverged]
    assert_same(found[calm.id], alone)


def test_whoever_is_taken_out_trains_no_more(small: Trial, store: Store, here: machine.Machine):
    trials = [changed(small, {"seed": seed}) for seed in (1, 2, 3)]
    alone = [*run(trials[2], store, here)]
    sessions = {t.id: Session(t, Listener(t, store, here), here, None, None) for t in trials}
    heard = []
    for left in stacked.run(sessions):
        heard.append(left)
        sessions.pop(trials[0].id, None)
    assert [len(left) for left in heard] == [3, 2]
    assert_same([left[trials[2].id] for left in heard], alone)


def test_a_draw_that_no_trial_made_is_refused(
    small: Trial, store: Store, here: machine.Machine, monkeypatch: pytest.MonkeyPatch
):
    real = torch.nn.functional.relu
    monkeypatch.setattr(torch.nn.functional, "relu", lambda x: real(x + torch.rand_like(x)))
    with pytest.raises(RuntimeError, match="randomness"):
        side_by_side([small, changed(small, {"seed": 1})], store, here)


# Shapes


def shape_of(trial: Trial) -> Any:
    return shape.shape(trial, 320)


def test_what_may_differ_and_what_must_agree(small: Trial):
    same = {
        "seed": 9,
        "split.fold": 2,
        "network.damping": 0.5,
        "training.rate": 1e-4,
        "training.weight_decay": 0.1,
        "augment.mixup": 0.0,
        "evaluation.every": 2,
    }
    for name, value in same.items():
        assert shape_of(changed(small, {name: value})) == shape_of(small), name
    pruned = stated(small, pruning={"kind": "static", "target": 100})
    assert shape_of(pruned) == shape_of(small)
    other = {
        "network.width": 3,
        "network.dropout": 0.1,
        "sound.features.mels": 16,
        "training.epochs": 3,
        "training.batch": 8,
        "training.optimizer": "adam",
    }
    for name, value in other.items():
        assert shape_of(changed(small, {name: value})) != shape_of(small), name
    weights = [
        stated(small, objective={"kind": "bottleneck", "latent": latent, "beta": beta})
        for latent, beta in ((3, 0.1), (3, 0.2), (4, 0.1))
    ]
    one, other_beta, other_latent = map(shape_of, weights)
    assert one == other_beta != other_latent
    assert shape.shape(small, 319) != shape.shape(small, 320), "other numbers of steps"
    assert shape.shape(small, 321) == shape.shape(small, 320), "what is dropped"
    assert shape_of(changed(small, {"sound.features.trainable": "mel"})) is None


def test_groups_are_of_one_shape_and_about_one_size(small: Trial):
    wide = [changed(small, {"network.width": 4, "seed": seed}) for seed in range(5)]
    narrow = [changed(small, {"seed": seed}) for seed in range(2)]
    trials = [wide[0], *narrow, *wide[1:]]
    found = shape.groups(trials, 4, shape_of)
    assert found == [wide[:2], narrow, wide[2:]]
    assert shape.groups(trials, 1, shape_of) == [
        [wide[0]],
        [narrow[0]],
        [narrow[1]],
        *([w] for w in wide[1:]),
    ]
