"""Once: what teachers and frozen encoders answer to views that repeat, as computed in each step."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scaling import machine
from scaling.results.manifest import plan
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from scaling.training import capture, classifier, once
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.session import Session
from scaling.training.teachers import Teacher
from sweeps.timing import forecast, step_times

HERE = machine.here("cpu", "float32", 1, capture="off")
OTHER = "0123456789ab"
# two steps of an epoch, the second smaller than the first
SHORT = {
    "augment.roll": 0,
    "augment.mixup": 0,
    "training.epochs": 3,
    "evaluation.every": 3,
    "training.warmup": 0,
    "training.partial": True,
    "split.clips_per_class": 5,
}
FROZEN = {
    "transfer.trial": OTHER,
    "transfer.frozen": True,
    "sound.features.mels": 128,
    "network.depth": 0,
    "network.pointwise": 0,
}
CASES = {
    "teacher": {"objective.kind": "distillation", "objective.teachers": OTHER},
    "mn": {**FROZEN, "network.kind": "mn", "network.width": 1},
    "passt": {**FROZEN, "network.kind": "passt", "network.width": 64, "network.blocks": 1},
    "vggish": {**FROZEN, "network.kind": "vggish", "network.width": 1},
}


def session(trial: Trial, store: Store, here: machine.Machine = HERE, resume=None) -> Session:
    """A trial's session; its teacher, or its encoder, has random weights."""
    listener = Listener(trial, store, here)
    taught = bool(trial.objective.sources)
    other = changed(trial, {"objective.kind": "cross_entropy"}) if taught else trial
    model = classifier.untrained(other, len(listener.labels), listener.frontend, here)
    state, generator = model.state_dict(), torch_stream(1, "t")
    for each in (value for value in state.values() if value.ndim > 1):  # some begin at zero
        each += 0.1 * torch.randn(each.shape, generator=generator)
    if taught:
        return Session(trial, listener, here, resume, None, [Teacher(other, state)])
    return Session(trial, listener, here, resume, state)


def assert_same(one: Epoch, other: Epoch) -> None:
    """To the bit, but for what a clock says."""
    first, second = (
        [each for each in epoch.metrics if not each.metric.endswith("seconds")]
        for epoch in (one, other)
    )
    assert first == second
    mine, theirs = one.state["model"], other.state["model"]
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())


@pytest.mark.parametrize("kind", CASES)
def test_kept_answers_are_those_of_each_step_to_the_bit(
    trial: Trial, store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
):
    """Also where training was cut and resumed; only a smaller last batch is answered in a step."""
    each = changed(trial, SHORT | CASES[kind])
    kept = session(each, store)
    assert (kept.taught is not None) == (kind == "teacher") != (kept.encoded is not None)
    asked: list[int] = []
    one = kept.teachers.models[0] if kind == "teacher" else kept.model
    hook = one.network.register_forward_hook(lambda _, x, __: asked.append(len(x[0])))
    kept.begin()
    kept._train()
    assert asked == [len(kept.train) % each.training.batch] > [1]
    hook.remove()
    first = session(each, store).epoch()
    state = {**first.state, "model": {n: v.clone() for n, v in first.state["model"].items()}}
    second = session(each, store, resume=state).epoch()
    monkeypatch.setattr(once, "repeat", lambda _: False)
    plain = session(each, store)
    assert plain.taught is plain.encoded is None
    for expected in (first, second):
        assert_same(expected, plain.epoch())


MICROPHONES = {"split.train_devices": (), "microphones.train": "x,y", "microphones.share": 0.5}
THROUGH_ONE = {**MICROPHONES, "transfer.trial": OTHER, "transfer.device": "x"}


@pytest.mark.parametrize(
    ("changes", "repeats"),
    [
        ({}, True),
        (THROUGH_ONE, True),
        (MICROPHONES, False),
        ({"augment.roll": 0.1}, False),
        ({"augment.mixup": 0.3}, False),
        ({"augment.freq_mixstyle": 0.4}, False),
        ({"augment.band_mask": 8}, False),
        ({"augment.low_jitter": 1}, False),
        ({"augment.transform": "mask", "augment.transform_share": 0.5}, False),
        ({"sound.patch": 24, "evaluation.patch_hop": 4}, False),
        ({"objective.kind": "consistency", "augment.transform": "combination"}, False),
    ],
    ids=lambda value: str(next(iter(value), "plain")) if isinstance(value, dict) else "",
)
def test_views_repeat_where_nothing_is_drawn(
    trial: Trial, changes: dict[str, object], repeats: bool
):
    assert once.repeat(changed(trial, SHORT | changes)) == repeats


def test_what_changes_a_frozen_encoder_is_not_kept(trial: Trial):
    each = changed(trial, SHORT | CASES["mn"])
    assert once.encodes(each)
    for other in (
        {"transfer.frozen": False},
        {"objective.kind": "bottleneck", "objective.latent": 4},
        {"augment.roll": 0.1},
    ):
        assert not once.encodes(changed(each, other)), other
    assert not once.encodes(changed(trial, SHORT | {"transfer.trial": OTHER})), "fine-tuned"


def test_too_many_answers_are_one_line_and_the_same_training(
    trial: Trial, store: Store, monkeypatch: pytest.MonkeyPatch
):
    for kind, whose in (("teacher", "teachers"), ("mn", "frozen encoders")):
        each = changed(trial, SHORT | CASES[kind])
        kept = session(each, store)
        with monkeypatch.context() as patch:
            patch.setattr(once, "KEPT", 999)
            line = rf"^{whose} answer 50 clips with [\d,]+ numbers each, .* than the 999 that are"
            with pytest.warns(UserWarning, match=line) as said:
                plain = session(each, store)
        assert len(said) == 1
        assert_same(kept.epoch(), plain.epoch())


@pytest.mark.parametrize("kind", ["teacher", "mn"])
def test_kept_answers_are_captured(
    trial: Trial, store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
):
    """From where they lie on the device, as captured steps that compute them."""
    replays: list[int] = []

    def recorded(step, _):
        def call() -> None:
            replays.append(1)
            step()

        return call

    monkeypatch.setattr(capture, "WARM", 1)
    monkeypatch.setattr(capture, "recorded", recorded)
    whole = {"training.batch": 6, "training.partial": False}
    each = changed(trial, SHORT | CASES[kind] | whole)
    ours = session(each, store, replace(HERE, capture="twin"))
    monkeypatch.setattr(once, "repeat", lambda _: False)
    alone = session(each, store, replace(HERE, capture="twin"))
    for _ in range(2):
        for one in (ours, alone):
            one.begin()
        assert ours._train() == alone._train()
        ours.done = alone.done = 1
    assert len(replays) > 4


def test_plans_count_answers(trial: Trial, store: Store):
    """Of teachers among the trials or trained before, of an encoder; each once where it is kept."""
    tables = {"synthetic": store.table}
    wide = changed(trial, SHORT | {"network.width": 4})
    names = {"objective.kind": "distillation", "objective.teachers": wide.id}
    once_, drawn = (changed(trial, SHORT | names | {"augment.roll": r}) for r in (0, 0.1))
    found = plan("s", [wide, once_, drawn], tables)
    teacher, own = (found.prices[index].cost.macs for index in (0, 1))
    assert found.teaching(0) == 0
    assert found.teaching(1) == teacher * 50
    assert found.work(1) == (3 * own * 3 + teacher) * 50
    assert found.work(2) == (3 * own + teacher) * 3 * 50
    apart = plan("s", [once_], tables, {wide.id: wide})
    assert apart.work(0) == found.work(1)
    assert plan("s", [once_], tables).teaching(0) == 0, "unknown"
    kept, drawn = (changed(trial, SHORT | CASES["mn"] | {"augment.roll": r}) for r in (0, 0.1))
    found = plan("s", [kept, drawn], tables)
    cost = found.prices[0].cost
    assert found.work(0) == (cost.macs + 3 * 3 * cost.parts[-1].macs) * 50
    assert found.work(1) == 3 * cost.macs * 50
    assert forecast.amount(found, 0).encoded == 50
    assert forecast.amount(found, 1).encoded == 0


def test_a_frozen_encoder_is_measured_frozen(
    trial: Trial, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(step_times, "ENOUGH", 0.0)
    each = changed(trial, SHORT | CASES["mn"])
    probe = step_times.of_trial(each, 10**6, 2, 50, 4)
    assert probe.trial.transfer.frozen
    assert probe.step_work == 0
    found = step_times.speed(probe, HERE, tmp_path)
    assert min(found.front, found.step, found.score) > 0
