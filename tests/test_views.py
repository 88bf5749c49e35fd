"""What the network is given in training: views of a clip, and how far its answers to them are
apart.
"""

import io
import math

import numpy as np
import pytest
import torch

from scaling import classifier, machine, views
from scaling.config import Trial, changed
from scaling.listening import Listener
from scaling.sound.rooms import Rooms
from scaling.sound.store import Store
from scaling.trial import run
from scaling.views import Draws, Views

CONSISTENT = {
    "objective.kind": "consistency",
    "objective.weight": 5,
    "objective.ramp": 2,
    "augment.transform": "combination",
    "evaluation.disagreement": "combination",
}


@pytest.fixture
def here() -> machine.Machine:
    return machine.here("cpu", "float32", 1)


class Silent:
    """Pitch copies that can be told: silence."""

    def batch(self, indices: np.ndarray, which: np.ndarray, samples: int) -> torch.Tensor:
        assert len(indices) == len(which)
        assert ((which >= 0) & (which < 10)).all()
        return torch.zeros(len(indices), samples, dtype=torch.int16)

    def resident(self, *_: object) -> "Silent":
        return self


@pytest.fixture(autouse=True)
def few_rooms(monkeypatch: pytest.MonkeyPatch):
    """Two rooms, which delay and negate; pitch copies are silence."""
    responses_MK = torch.zeros(2, 8)
    responses_MK[:, 3] = -1.0
    made = Rooms(responses_MK, torch.tensor([0.3, 0.4]))
    monkeypatch.setattr(views, "rooms", lambda *_, **__: made)
    monkeypatch.setattr(views, "pitched", lambda *_, **__: Silent())


def seen(trial: Trial, store: Store, here: machine.Machine, share: float) -> torch.Tensor:
    """One view of 60 training clips, front end left out."""
    listener = Listener(trial, store, here)
    made = Views(listener, lambda x: x)
    listener.frontend = torch.nn.Identity()  # type: ignore[assignment]
    clips = listener.parts["train"][:60]
    return made.augmented(clips, Draws.of(1, 0, 0), share), listener.waves(clips)


def test_without_share_a_view_is_the_clip(trial: Trial, store: Store, here: machine.Machine):
    still = changed(trial, {"augment.roll": 0, **CONSISTENT})
    view_BT, waves_BT = seen(still, store, here, 0.0)
    assert torch.equal(view_BT, waves_BT)


def test_a_combination_is_either_shifted_or_in_a_room(
    trial: Trial, store: Store, here: machine.Machine
):
    view_BT, waves_BT = seen(changed(trial, {"augment.roll": 0, **CONSISTENT}), store, here, 1.0)
    silent = view_BT.abs().amax(dim=1) == 0
    assert 15 < int(silent.sum()) < 45, "about half are (fake) pitch copies"
    later = -waves_BT[:, :-3]
    assert torch.allclose(view_BT[~silent][:, 3:], later[~silent], atol=1e-5)


def test_masks_hide_standardized_features(trial: Trial, store: Store, here: machine.Machine):
    masked = changed(
        trial, {"augment.transform": "mask", "augment.transform_share": 0.5, "augment.roll": 0}
    )
    listener = Listener(masked, store, here)
    clips = listener.parts["train"][:60]
    made = Views(listener, lambda x: x + 1000.0)
    plain = listener.features(clips) + 1000.0
    view_BFN = made.augmented(clips, Draws.of(1, 0, 0), 0.5)
    changed_B = (view_BFN != plain).flatten(1).any(dim=1)
    assert 15 < int(changed_B.sum()) < 45
    assert (view_BFN[view_BFN != plain] == 0).all(), "what is hidden is the training mean"


def test_views_differ_in_their_draws_only(trial: Trial, store: Store, here: machine.Machine):
    listener = Listener(changed(trial, CONSISTENT), store, here)
    made, clips = Views(listener, lambda x: x), listener.parts["train"][:30]
    first, same = (made.augmented(clips, Draws.of(1, 0, 1), 1.0) for _ in range(2))
    other = made.augmented(clips, Draws.of(1, 0, 2), 1.0)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_consistency_trains_records_and_resumes(trial: Trial, store: Store, here: machine.Machine):
    consistent = changed(trial, {**CONSISTENT, "evaluation.training_clips": True})
    whole = list(run(consistent, store, here))
    for number, epoch in enumerate(whole):
        values = {r["metric"]: r["value"] for r in epoch.metrics if r["split"] == "train"}
        weight = 5 * min(number / 2, 1)
        assert values["weighted_disagreement"] == pytest.approx(
            weight * values["disagreement"], rel=1e-4, abs=1e-7
        )
        total = values["cross_entropy"] + values["weighted_disagreement"]
        assert values["loss"] == pytest.approx(total)
        measured = {r["split"]: r["value"] for r in epoch.metrics if r["metric"] == "disagreement"}
        assert {"train", "train_clean", "seen", "unseen"} == measured.keys()
        assert all(0 <= value <= math.log(3) for value in measured.values())
    steps = run(consistent, store, here)
    saved = io.BytesIO()
    torch.save(next(steps).state, saved)
    again = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
    last = list(run(consistent, store, here, again))[-1]
    for name, value in whole[-1].state["model"].items():
        assert torch.equal(value, last.state["model"][name]), name


def test_three_views_are_normalized_as_one_batch(
    trial: Trial, store: Store, here: machine.Machine, monkeypatch: pytest.MonkeyPatch
):
    sizes = []
    real = classifier.Classifier.network_on

    def spying(self: classifier.Classifier, x_BFN: torch.Tensor) -> object:
        if self.training:
            sizes.append(len(x_BFN))
        return real(self, x_BFN)

    monkeypatch.setattr(classifier.Classifier, "network_on", spying)
    next(run(changed(trial, CONSISTENT), store, here))
    assert set(sizes) == {3 * trial.training.batch}


@pytest.mark.parametrize("kind", ["cross_entropy", "bottleneck"])
def test_disagreement_is_measured_whatever_is_minimized(
    trial: Trial, store: Store, here: machine.Machine, kind: str
):
    """And measuring it changes nothing else."""
    settings = {"objective.kind": kind} | (
        {"objective.latent": 4, "objective.beta": 0.01} if kind == "bottleneck" else {}
    )
    plain = changed(trial, settings)
    measuring = changed(plain, {"evaluation.disagreement": "mask"})
    found = [list(run(t, store, here))[-1] for t in (plain, measuring)]
    splits = [{r["split"] for r in each.metrics if r["metric"] == "disagreement"} for each in found]
    assert splits == [set(), {"seen", "unseen"}]
    for name, value in found[0].state["model"].items():
        assert torch.equal(value, found[1].state["model"][name]), name
