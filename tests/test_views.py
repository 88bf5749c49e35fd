"""What the network is given in training: views of a clip, and how far its answers to them are
apart.
"""

import io
import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from scaling import machine
from scaling.seeds import stream
from scaling.settings import Augment, Microphones, Trial, changed
from scaling.sound import augment
from scaling.sound.store import Store
from scaling.sound.transforms import TRANSFORMS, pitch, reverb
from scaling.sound.transforms.reverb import Rooms
from scaling.training import classifier, stages
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.stages import Draws, Stage
from scaling.training.views import Views

CONSISTENT = {
    "objective.kind": "consistency",
    "objective.weight": 5,
    "objective.ramp": 2,
    "augment.transform": "combination",
    "evaluation.disagreement": "combination",
}


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
    monkeypatch.setattr(reverb, "rooms", lambda *_, **__: made)
    monkeypatch.setattr(pitch, "pitched", lambda *_, **__: Silent())


def seen(trial: Trial, store: Store, here: machine.Machine, share: float) -> torch.Tensor:
    """One view of 60 training clips, front end left out."""
    listener = Listener(trial, store, here)
    made = Views(listener, lambda x: x)
    listener.frontend = torch.nn.Identity()  # type: ignore[assignment]
    clips = listener.parts["train"][:60]
    return made.augmented(clips, Draws(1, 0, 0), share), listener.waves(clips)


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
    view_BFN = made.augmented(clips, Draws(1, 0, 0), 0.5)
    changed_B = (view_BFN != plain).flatten(1).any(dim=1)
    assert 15 < int(changed_B.sum()) < 45
    assert (view_BFN[view_BFN != plain] == 0).all(), "what is hidden is the training mean"


def test_views_differ_in_their_draws_only(trial: Trial, store: Store, here: machine.Machine):
    listener = Listener(changed(trial, CONSISTENT), store, here)
    made, clips = Views(listener, lambda x: x), listener.parts["train"][:30]
    first, same = (made.augmented(clips, Draws(1, 0, 1), 1.0) for _ in range(2))
    other = made.augmented(clips, Draws(1, 0, 2), 1.0)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_each_purpose_has_a_stream_of_its_own():
    """A transform's is named like it, so that what it draws depends on no other."""
    draws = Draws(3, 2, 1)
    others = {"transform", "microphone", "roll", "patch"}
    assert others.isdisjoint(TRANSFORMS), "a transform of this name would share a stream"
    firsts = {name: draws[name].random() for name in (*TRANSFORMS, *others)}
    assert firsts == {name: stream(3, name, 2, 1).random() for name in firsts}
    assert len(set(firsts.values())) == len(firsts)
    assert draws["mask"].random() != firsts["mask"], "the next batch draws on"


def test_consistency_trains_records_and_resumes(trial: Trial, store: Store, here: machine.Machine):
    consistent = changed(trial, {**CONSISTENT, "evaluation.training_clips": True})
    whole = list(run(consistent, store, here))
    for number, epoch in enumerate(whole):
        values = {r.metric: r.value for r in epoch.metrics if r.split == "train"}
        weight = 5 * min(number / 2, 1)
        assert values["weighted_disagreement"] == pytest.approx(
            weight * values["disagreement"], rel=1e-4, abs=1e-7
        )
        total = values["cross_entropy"] + values["weighted_disagreement"]
        assert values["loss"] == pytest.approx(total)
        measured = {r.split: r.value for r in epoch.metrics if r.metric == "disagreement"}
        assert {"train", "train_clean", "seen", "unseen"} == measured.keys()
        assert all(0 <= value <= math.log(3) for value in measured.values())
    steps = run(consistent, store, here)
    saved = io.BytesIO()
    torch.save(next(steps).state, saved)
    again = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
    last = list(run(consistent, store, here, again))[-1]
    for name, value in whole[-1].state["model"].items():
        assert torch.equal(value, last.state["model"][name]), name


@pytest.mark.parametrize("copies", [1, 2])
def test_all_views_are_normalized_as_one_batch(
    copies: int,
    trial: Trial,
    store: Store,
    here: machine.Machine,
    monkeypatch: pytest.MonkeyPatch,
):
    sizes = []
    real = classifier.Classifier.network_on

    def spying(self: classifier.Classifier, x_BFN: torch.Tensor) -> object:
        if self.training:
            sizes.append(len(x_BFN))
        return real(self, x_BFN)

    monkeypatch.setattr(classifier.Classifier, "network_on", spying)
    next(run(changed(trial, {**CONSISTENT, "objective.copies": copies}), store, here))
    assert set(sizes) == {(1 + copies) * trial.training.batch}


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
    splits = [{r.split for r in each.metrics if r.metric == "disagreement"} for each in found]
    assert splits == [set(), {"seen", "unseen"}]
    for name, value in found[0].state["model"].items():
        assert torch.equal(value, found[1].state["model"][name]), name


# Every field of Augment and Microphones, as something that training must hear; what else it needs
EFFECTS = {
    "augment.roll": {"augment.roll": 0.25},
    "augment.mixup": {"augment.mixup": 0.5},
    "augment.transform": {"augment.transform": "mask", "augment.transform_share": 1.0},
    "augment.transform_share": {"augment.transform": "reverb", "augment.transform_share": 0.5},
    "microphones.train": {"microphones.train": ("short",), "microphones.share": 1.0},
    "microphones.share": {"microphones.train": ("short", "long"), "microphones.share": 0.5},
    "microphones.responses": {
        "microphones.train": ("short",),
        "microphones.share": 1.0,
        "microphones.responses": "other",
    },
    "microphones.ratio": {
        "microphones.train": ("short",),
        "microphones.share": 1.0,
        "microphones.ratio": 8.0,
        "microphones.threshold_db": -20.0,
    },
    "microphones.compress_recorded": {
        "microphones.test": ("short",),
        "split.train_devices": (),
        "microphones.ratio": 8.0,
        "microphones.threshold_db": -20.0,
        "microphones.compress_recorded": True,
    },
    "augment.freq_mixstyle": {"augment.freq_mixstyle": 1.0},
    "augment.freq_mixstyle_alpha": {
        "augment.freq_mixstyle": 1.0,
        "augment.freq_mixstyle_alpha": 4.0,
    },
    "augment.freq_mixstyle_weights": {
        "augment.freq_mixstyle": 1.0,
        "augment.freq_mixstyle_weights": "batch",
    },
    "augment.band_mask": {"augment.band_mask": 9},
    "augment.low_jitter": {"augment.low_jitter": 30.0},
    "augment.high_jitter": {"augment.high_jitter": 900.0},
    "microphones.threshold_db": {
        "microphones.train": ("short",),
        "microphones.share": 1.0,
        "microphones.ratio": 8.0,
        "microphones.threshold_db": -40.0,
    },
}
UNHEARD = {
    "augment.source",
    "augment.options",
    "microphones.test",
}  # heard in tests only: training must not change


@pytest.fixture
def responses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folders of impulse responses, in which equal names differ."""
    monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path))
    for folder, level in (("MicIRP", 0.5), ("other", 0.2)):
        (tmp_path / folder).mkdir()
        for name, at in (("short", 3), ("long", 40)):
            response = np.zeros(64)
            response[[0, at]] = 1.0, level
            soundfile.write(tmp_path / folder / f"{name}.wav", response, 16_000, subtype="FLOAT")


def batch_of(trial: Trial, store: Store, here: machine.Machine, monkeypatch) -> torch.Tensor:
    """What the network is given in a trial's first step, features and what they are taught."""
    given: list[torch.Tensor] = []
    monkeypatch.setattr(classifier.Classifier, "network_on", lambda _, x: given.append(x) or 1 / 0)
    with suppress(ZeroDivisionError):
        next(run(trial, store, here))
    return given[0]


def test_training_hears_recorded_clips_compressed_where_the_test_does(
    trial: Trial, store: Store, here: machine.Machine, responses, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(augment, "draw_roll", lambda *_: torch.zeros(4, dtype=torch.int64))
    settings = {"microphones.test": ("short",), "microphones.ratio": 8.0}
    settings |= {"microphones.threshold_db": -20.0, "microphones.compress_recorded": True}
    still = {"split.train_devices": (), "augment.roll": 0.1, "evaluation.disagreement": "mask"}
    alike = changed(trial, settings | still)
    listener = Listener(alike, store, here)
    made, clips = Views(listener, lambda x: x), listener.parts["train"][:4]
    tested = listener.features(clips)
    assert torch.equal(made.augmented(clips, Draws(1, 0, 0), 0.0), tested)
    assert torch.equal(made.transformed(clips, Draws(1, 0, 0), 0.0), tested)
    assert not torch.equal(listener.frontend(listener.waves(clips)), tested)


def test_every_field_of_augment_and_microphones_changes_what_training_hears(
    trial: Trial, store: Store, here: machine.Machine, responses, monkeypatch
):
    """Beside the same trial without the field, and with nothing else that changes the wave."""
    fields = {f"augment.{name}" for name in Augment.model_fields}
    fields |= {f"microphones.{name}" for name in Microphones.model_fields}
    assert EFFECTS.keys() | UNHEARD == fields, "a new field needs a line in EFFECTS"
    still = changed(trial, {"augment.roll": 0, "augment.mixup": 0})
    plain = batch_of(still, store, here, monkeypatch)
    assert torch.equal(plain, batch_of(still, store, here, monkeypatch))
    for name, settings in EFFECTS.items():
        found = batch_of(changed(still, settings), store, here, monkeypatch)
        assert not torch.equal(found, plain), f"{name} changes nothing"
        fewer = {key: value for key, value in settings.items() if key != name}
        with suppress(ValueError):  # some cannot be left out alone
            before = changed(still, fewer)
            assert not torch.equal(found, batch_of(before, store, here, monkeypatch)), name
    unseen = changed(still, {"split.train_devices": (), "microphones.test": ("long",)})
    every = changed(still, {"split.train_devices": ()})
    batches = [batch_of(each, store, here, monkeypatch) for each in (unseen, every)]
    assert torch.equal(*batches)


def test_a_stage_of_the_wave_is_heard_though_it_is_new(
    trial: Trial, store: Store, here: machine.Machine, monkeypatch
):
    """Without a roll, features used to be kept as recorded whatever another stage did."""
    still = changed(trial, {"augment.roll": 0, "augment.mixup": 0})
    plain = batch_of(still, store, here, monkeypatch)
    louder = Stage("wave", lambda _: True, lambda _, waves_BT, __: 1.5 * waves_BT.roll(7, 1))
    monkeypatch.setattr(stages, "STAGES", (louder, *stages.STAGES))
    assert not stages.as_recorded(still)
    assert not torch.equal(batch_of(still, store, here, monkeypatch), plain)
