"""Prototypes: distances worked out plainly, examples that stay, gradients through both."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import timeless
from torch import Tensor, nn

from scaling import machine
from scaling.networks.modules.output import Output
from scaling.objectives.modules.prototypes import PrototypesHead, distances
from scaling.receptive_field import runs
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import order, shape
from scaling.training.classifier import show_examples
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session

CLASSES = ("field", "kitchen", "street")
DISTANCES = ("mean_squared", "squared", "cosine")


@pytest.fixture
def near(trial: Trial) -> Trial:
    """Three classes, four clips of each, three of which are their prototypes' examples."""
    settings = {
        "sound.classes": CLASSES,
        "split.clips_per_class": 4,
        "training.batch": 5,
        "training.partial": True,
        "network.initialization": "he",
        "augment.mixup": 0.0,
        "augment.roll": 0.0,
        "sound.features.hop": 256,
        "sound.patch": 48,
        "evaluation.patch_votes": "logarithms",
        "objective.kind": "prototypes",
        "objective.embedding": 6,
        "objective.support": 3,
    }
    return changed(trial, settings)


class Place(nn.Module):
    """A linear map of four numbers to three."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x_BCFN: Tensor) -> Output:
        return Output(self.linear(x_BCFN.flatten(1)), x_BCFN)


def toy(kind: str) -> tuple[PrototypesHead, Tensor, Tensor, Tensor]:
    """Prototypes of three classes on seven examples of four numbers; with five clips."""
    torch.manual_seed(0)
    model = PrototypesHead(Place(), 3, kind)
    examples_SCFN, clips_BCFN = torch.randn(7, 1, 2, 2), torch.randn(5, 1, 2, 2)
    classes_S = torch.tensor([2, 0, 1, 2, 2, 0, 2])
    model.show(examples_SCFN, classes_S)
    return model, examples_SCFN, classes_S, clips_BCFN


@pytest.mark.parametrize("kind", DISTANCES)
def test_logits_are_minus_the_distances(kind: str):
    """A plain twin in numpy."""
    model, examples_SCFN, classes_S, clips_BCFN = toy(kind)
    with torch.no_grad():
        places = model.base(clips_BCFN).logits_BY.numpy()
        shown = model.base(examples_SCFN).logits_BY.numpy()
        found = model(clips_BCFN)
    for clip, place in enumerate(places):
        for y in range(3):
            centre = np.mean([s for s, c in zip(shown, classes_S, strict=True) if c == y], axis=0)
            apart = {
                "mean_squared": np.mean((place - centre) ** 2),
                "squared": np.sum((place - centre) ** 2),
                "cosine": 1 - place @ centre / np.linalg.norm(place) / np.linalg.norm(centre),
            }
            assert found.logits_BY[clip, y].item() == pytest.approx(-apart[kind], rel=1e-4)
    assert torch.equal(found.features_BCFN, clips_BCFN), "the map is that of the clips"


def test_distances_by_hand():
    x_BE, prototypes_YE = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0], [4.0, 3.0]])
    assert distances(x_BE, prototypes_YE, "mean_squared").tolist() == [[12.5, 1.0]]
    assert distances(x_BE, prototypes_YE, "squared").tolist() == [[25.0, 2.0]]
    assert distances(x_BE, prototypes_YE, "cosine")[0].tolist() == pytest.approx([1, 1 - 24 / 25])


@pytest.mark.parametrize("kind", DISTANCES)
def test_clips_and_examples_both_teach(kind: str):
    """The gradient is the sum of what comes through either, and neither is nothing."""
    model, examples_SCFN, classes_S, clips_BCFN = toy(kind)
    weight = model.base.linear.weight
    targets_B = torch.tensor([0, 1, 2, 2, 0])

    def gradient(logits_BY: Tensor) -> Tensor:
        loss = nn.functional.cross_entropy(logits_BY, targets_B)
        return torch.autograd.grad(loss, weight)[0]

    def logits_of(place_BE: Tensor, shown_SE: Tensor) -> Tensor:
        centres = torch.stack([shown_SE[classes_S == y].mean(dim=0) for y in range(3)])
        return -distances(place_BE, centres, kind)

    places, shown = (model.base(x).logits_BY for x in (clips_BCFN, examples_SCFN))
    through_clips = gradient(logits_of(places, shown.detach()))
    through_examples = gradient(logits_of(places.detach(), shown))
    assert through_clips.norm() > 1e-3
    assert through_examples.norm() > 1e-3
    whole = gradient(model(clips_BCFN).logits_BY)
    assert torch.allclose(whole, through_clips + through_examples, atol=1e-6)


def test_examples_that_are_none():
    model = PrototypesHead(Place(), 3, "squared")
    with pytest.raises(AssertionError, match="show"):
        model(torch.randn(1, 1, 2, 2))
    for classes, line in (([0, 1], "without an example"), ([0, 1, 2, 3], "that there is not")):
        with pytest.raises(AssertionError, match=line):
            model.show(torch.randn(len(classes), 1, 2, 2), torch.tensor(classes))


# In a trial

Shown = list[tuple[Tensor, list[int]]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """The examples of every network that is shown some, and their classes."""
    found: Shown = []
    real = PrototypesHead.show

    def spying(self: PrototypesHead, examples_SCFN: Tensor, classes_S: Tensor) -> None:
        found.append((examples_SCFN, classes_S.tolist()))
        real(self, examples_SCFN, classes_S)

    monkeypatch.setattr(PrototypesHead, "show", spying)
    return found


def test_examples_are_patches_of_training_clips(
    near: Trial, store: Store, here: machine.Machine, shown: Shown
):
    """At most three of each class, each from a clip of its own and somewhere in it."""
    state = next(run(near, store, here)).state
    ((examples_SCFN, classes),) = shown
    assert np.bincount(classes).tolist() == [3, 3, 3]
    listener = Listener(near, store, here)
    mean, std = (state["model"][f"standardize.{name}_F"] for name in ("mean", "std"))
    features_BFN = (listener.features(listener.parts["train"]) - mean) / std
    patches = features_BFN.unfold(2, 48, 1)  # (B, F, P, 48)
    used, starts = [], set()
    for example_CFN, y in zip(examples_SCFN, classes, strict=True):
        same = (patches - example_CFN[0][None, :, None]).abs().amax(dim=(1, 3)) < 1e-6
        (clip, start), *_ = same.nonzero().tolist()
        assert listener.targets[listener.parts["train"][clip]] == y
        used.append(clip)
        starts.add(start)
    assert len(set(used)) == 9
    assert len(starts) > 1


@pytest.mark.parametrize(("support", "each"), [(1, 1), (2, 2), (5, 4)])
def test_so_many_examples_of_each_class(
    near: Trial, store: Store, here: machine.Machine, shown: Shown, support: int, each: int
):
    next(run(changed(near, {"objective.support": support}), store, here))
    assert np.bincount(shown[0][1]).tolist() == [each] * 3


def test_more_examples_than_any_class_has(near: Trial, store: Store, here: machine.Machine):
    told = r"objective.support=6: no class has more than 4 training clips: at most that, or 5, "
    with pytest.raises(ValueError, match=told):
        next(run(changed(near, {"objective.support": 6}), store, here))


def test_examples_stay(near: Trial, store: Store, here: machine.Machine, shown: Shown):
    """Over epochs, cut and resumed anywhere, whatever else is set; another seed has others."""
    whole: list[Epoch] = []
    states: list[io.BytesIO] = []
    for epoch in run(near, store, here):
        whole.append(epoch)
        states.append(io.BytesIO())
        torch.save(epoch.state, states[-1])
    assert len(shown) == 1, "once for all epochs"
    records = timeless(iter(whole))
    for cut in (1, 2):
        state = torch.load(io.BytesIO(states[cut - 1].getvalue()), weights_only=True)
        assert timeless(run(near, store, here, state)) == records[cut:]
    next(run(changed(near, {"training.rate": 1e-3, "training.batch": 4}), store, here))
    for examples_SCFN, classes in shown[1:]:
        assert torch.equal(examples_SCFN, shown[0][0])
        assert classes == shown[0][1]
    next(run(changed(near, {"seed": 4}), store, here))
    assert not torch.equal(shown[-1][0], shown[0][0])


def test_weights_and_examples_are_the_network(
    near: Trial, store: Store, here: machine.Machine, tmp_path: Path, shown: Shown
):
    """Restored from its file, which holds no example, it says what was recorded."""
    results = Results(tmp_path)
    *_, told = run_trial(near, store, here, results)
    assert told.status == "complete"
    listener = Listener(near, store, here)
    model = runs._restored(results, near, listener, here)
    assert not any("examples" in name for name in model.state_dict())
    show_examples(model, listener)
    first, second = shown
    assert torch.equal(first[0], second[0])
    rows = [row for row in results.read("predictions").to_pylist() if row["split"] == "seen"]
    patches_BPFN = listener.patches(listener.features(listener.parts["seen"]))
    assert patches_BPFN.shape[1] == 1
    with torch.inference_mode():
        logits_BY = model(patches_BPFN[:, 0]).logits_BY
    assert torch.allclose(torch.tensor([row["logits"] for row in rows]), logits_BY, atol=1e-5)


def test_prototypes_learn(near: Trial, store: Store, here: machine.Machine):
    settings = {"training.epochs": 25, "training.rate": 0.02, "evaluation.every": 100}
    longer = changed(near, {**settings, "objective.distance": "squared"})
    losses = [
        row.value
        for epoch in run(longer, store, here)
        for row in epoch.metrics
        if (row.split, row.metric) == ("train", "loss")
    ]
    assert losses[-1] < 0.7 * losses[0]


def test_queries_are_as_many_of_each_class(near: Trial, store: Store, here: machine.Machine):
    """Fewer where a class has fewer patches, none of them twice; as many steps as without."""
    five = changed(near, {"objective.queries": 5, "training.batch": 15, "training.passes": 4})
    listener = Listener(five, store, here)
    train = listener.parts["train"]
    steps = list(order.batches(five, train, listener.targets, np.random.default_rng(0)))
    assert len(steps) == 4 * len(train) // 15 + 1
    for clips in steps:
        assert np.bincount(listener.targets[clips]).tolist() == [5, 5, 5]
        assert max(np.bincount(clips)) <= 4, "as often as it has patches"
    once = changed(five, {"training.passes": 1})
    (few, *_) = order.batches(once, train, listener.targets, np.random.default_rng(0))
    assert sorted(few) == sorted(train), "four clips of each class are all there are"
    (epoch,) = (e for e in run(changed(once, {"training.epochs": 2}), store, here) if e.last)
    assert {r.value for r in epoch.metrics if r.metric == "clips"} == {12}
    assert shape.shape(once, 12) is None
    with pytest.raises(ValueError, match="queries=5 of each of 3 classes are 15 clips"):
        Session(changed(five, {"training.batch": 16}), listener, here, None, None)


def test_prototypes_cost_no_layer(near: Trial):
    """They are the network's own answers, as many as dimensions, however many classes."""
    plain = {"objective.kind": "cross_entropy", "objective.embedding": 0, "objective.support": 5}
    other = changed(near, plain)
    for classes in (3, 10):
        assert sizes.cost(near, classes) == sizes.cost(other, 6)
    with pytest.raises(ValueError, match="kind=prototypes needs embedding to be 1 or more"):
        changed(near, {"objective.embedding": 0})
    assert changed(near, {"objective.kind": "cross_entropy"}) == other
