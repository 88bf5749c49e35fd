"""Captured steps: what a GPU would replay, run on a CPU: repeatable, and as uncaptured ones."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from test_stacked import (
    assert_same,
    bottlenecks,
    sharpnesses,
    side_by_side,
    stated,
)
from torch.utils._python_dispatch import TorchDispatchMode

from scaling.machine import Machine
from scaling.objectives.consistency import Consistency
from scaling.settings import Trial, changed
from scaling.sound import frontends
from scaling.sound.store import Store
from scaling.training import capture, drawn_rows
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session
from scaling.training.stack import Stack
from scaling.training.teachers import Teacher

OFF = Machine(torch.device("cpu"), torch.float32, 1)
TWIN = replace(OFF, capture="twin")
# what asks a GPU for a number, or a host for some: a graph has neither in it
FORBIDDEN = {"_local_scalar_dense", "nonzero", "lift_fresh", "item", "unique2", "masked_select"}


class Watched(TorchDispatchMode):
    """The operations of a step, and what they are given but for the numbers in it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::")
        assert name not in FORBIDDEN, f"{name} in a captured step"
        shapes = [_said(each) for each in args]
        if not name.startswith("profiler::"):
            self.seen.append(f"{name} {shapes}")
        return func(*args, **(kwargs or {}))


def _said(each: Any) -> Any:
    if isinstance(each, torch.Tensor):
        return tuple(each.shape), each.stride()
    return [*map(_said, each)] if isinstance(each, list | tuple) else each


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each capture replayed, all of the same operations; clips are uploaded, and
    the front end is a GPU's.
    """
    counts: list[int] = []

    def recorded(step: Callable[[], None], machine: Machine) -> Callable[[], None]:
        counts.append(0)
        number, first = len(counts) - 1, list[str]()

        def replayed() -> None:
            counts[number] += 1
            if counts[number] in (1, 3):  # the others are as those, and take less time
                with Watched() as watched:
                    step()
                first[:] = first or watched.seen
                assert watched.seen == first, "another step than the one that was captured"
            else:
                step()

        return replayed

    monkeypatch.setattr(capture, "WARM", 1)
    monkeypatch.setattr(capture, "recorded", recorded)
    monkeypatch.setattr(frontends.Overhear, "compute", frontends.Plain.compute)
    monkeypatch.setattr(
        Store,
        "resident",
        lambda self, device, samples: replace(self, read=self._upload(device, samples)),
    )
    return counts


@pytest.fixture
def small(trial: Trial) -> Trial:
    return changed(
        trial,
        {
            "training.epochs": 2,
            "training.batch": 14,
            "training.optimizer": "sgd",
            "training.rate": 0.05,
            "network.initialization": "he",
            "network.pointwise": 0,
        },
    )


@pytest.fixture(autouse=True)
def loud() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def responses(tmp_path: Path) -> str:
    """A folder of two microphones' responses."""
    for name, shape in (("click", [1.0, 0.0, 0.0]), ("dull", [1.0, 0.5, 0.25])):
        soundfile.write(tmp_path / f"{name}.wav", np.pad(shape, (0, 32)), 16_000, subtype="FLOAT")
    return str(tmp_path)


def heard(small: Trial, responses: str) -> Trial:
    """All that a GPU's step may have in it, with microphones, SAM and weights that are cut."""
    return stated(
        changed(
            small,
            {
                "network.dropout": 0.2,
                "network.normalization": "adaptive",
                "augment.freq_mixstyle": 0.5,
                "augment.band_mask": 4,
                "sound.patch": 20,
                "training.sam": 0.1,
                "training.clip": 0.5,
                "training.penalty": 0.01,
            },
        ),
        pruning={"kind": "magnitude", "target": 150, "length": 1, "score": "kernel"},
        microphones={
            "train": ["click", "dull"],
            "share": 0.5,
            "ratio": 2.0,
            "threshold_db": -30,
            "responses": responses,
        },
    )


def kept(small: Trial, _: str) -> Trial:
    """Features that are kept, in batches of which the last is smaller."""
    return stated(
        small,
        augment={"mixup": 0.3},
        training={**small.stated()["training"], "partial": True},
    )


def learning(small: Trial, _: str) -> Trial:
    """A front end that learns."""
    return changed(small, {"sound.features.trainable": "mel", "augment.roll": 0.1})


@pytest.mark.parametrize("case", [heard, kept, learning], ids=lambda case: case.__name__)
def test_a_trial_alone_trains_as_uncaptured(
    small: Trial, store: Store, replays: list[int], responses: str, case: Any
):
    one = changed(case(small, responses), {"evaluation.every": 2})
    ours, alone = [*run(one, store, TWIN)], [*run(one, store, OFF)]
    assert_same(ours, alone)
    assert max(replays) >= 4, "most steps"
    rates = [
        [group["lr"] for group in each[-1].state["optimizer"]["param_groups"]]
        for each in (ours, alone)
    ]
    assert rates[0] == rates[1], "numbers, as a checkpoint holds"


def test_a_student_and_a_frozen_network_train_as_uncaptured(
    small: Trial, store: Store, replays: list[int]
):
    """What is frozen stays in evaluation mode while it is noted what a head draws."""
    small = changed(small, {"evaluation.every": 2})
    source = Session(small, Listener(small, store, OFF), OFF, None, None).model.state_dict()
    frozen = stated(
        small,
        objective={"kind": "bottleneck", "beta": 0.01, "latent": 6},
        transfer={"trial": small.id, "frozen": True},
    )
    student = stated(small, objective={"kind": "distillation", "teachers": [small.id]})
    for one, teachers in ((frozen, []), (student, [Teacher(small, source)])):
        given = source if one is frozen else None
        ours = [*run(one, store, TWIN, source=given, teachers=teachers)]
        assert_same(ours, [*run(one, store, OFF, source=given, teachers=teachers)])
        assert replays.pop(0) >= 4
        replays.clear()


def test_what_a_stack_draws_is_uploaded_with_the_rest(small: Trial, store: Store):
    """A row is made of tensors that lie on the host, all of them."""
    sessions = [Session(t, Listener(t, store, OFF), OFF, None, None) for t in bottlenecks(small)]
    stack, shape = Stack(sessions), (14, 1, *small.sound.shape)
    for session in sessions:
        session.begin()
    stack.drawn(shape)
    stack.machine = replace(OFF, device=torch.device("meta"))
    assert {each.device.type for each in stack.drawn(shape)} == {"cpu"}


def test_trials_side_by_side_train_as_uncaptured(small: Trial, store: Store, replays: list[int]):
    trials = sharpnesses(changed(small, {"evaluation.every": 2}))[:2]
    ours, others = side_by_side(trials, store, TWIN), side_by_side(trials, store, OFF)
    for one in trials:
        assert_same(ours[one.id], others[one.id])
    assert max(replays) >= 4


def nothing(step: Callable[[], None], machine: Machine) -> Callable[[], None]:
    """A graph that is empty."""
    del step, machine
    return lambda: None


def refused(step: Callable[[], None], machine: Machine) -> Callable[[], None]:
    """What CUDA says of a step that asks for a number, after half of it."""
    step()
    raise RuntimeError("operation not permitted when stream is capturing\nmore of it")


def crowded(step: Callable[[], None], machine: Machine) -> Callable[[], None]:
    """A graph beside which there is no memory for a step."""
    replay, take = step.__self__, step  # type: ignore[attr-defined]
    counts = iter([1, 2, 3])

    def fails_once() -> None:
        take()
        if next(counts, 3) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    replay._step = fails_once
    return fails_once


def missing(step: Callable[[], None], machine: Machine) -> Callable[[], None]:
    """A graph that computes no number."""
    if (replay := getattr(step, "__self__", None)) is None:
        return nothing(step, machine)

    def replayed() -> None:
        step()
        with torch.no_grad():
            replay.trainee.learned()[0].fill_(torch.nan)

    return replayed


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [
        (crowded, "OutOfMemoryError: CUDA out of memory"),
        (missing, "a captured step moved the weights elsewhere"),
        (nothing, "a captured step moved the weights elsewhere"),
        (refused, "RuntimeError: operation not permitted when stream is capturing"),
    ],
)
def test_what_cannot_be_captured_loses_nothing(
    small: Trial,
    store: Store,
    replays: list[int],
    monkeypatch: pytest.MonkeyPatch,
    recorded: Any,
    reason: str,
):
    monkeypatch.setattr(capture, "recorded", recorded)
    one = changed(small, {"evaluation.every": 2})
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ours = [*run(one, store, TWIN)]
    steps, answers = (str(each.message) for each in told)
    assert steps == f"{reason}: training steps are not captured"
    assert answers.endswith(": answers are not captured")
    assert_same(ours, [*run(one, store, OFF)])


def test_an_epoch_that_cannot_be_drawn_ahead_is_drawn_as_it_goes(
    small: Trial, store: Store, replays: list[int], monkeypatch: pytest.MonkeyPatch
):
    """As where an epoch's draws do not fit; what networks draw is drawn once more."""

    def fill(self: drawn_rows.Rows, steps: Any) -> list[bool]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(drawn_rows.Rows, "fill", fill)
    small = changed(small, {"network.dropout": 0.2, "evaluation.every": 2})
    several = [changed(small, {"seed": seed}) for seed in range(2)]
    expected = side_by_side(several, store, OFF) | {"alone": [*run(small, store, OFF)]}
    with pytest.warns(UserWarning, match="^OutOfMemoryError: CUDA out of memory: training steps"):
        found = side_by_side(several, store, TWIN) | {"alone": [*run(small, store, TWIN)]}
    assert not replays[2:], "answers alone are captured"
    for name, epochs in found.items():
        assert_same(epochs, expected[name])


def test_what_is_not_finite_is_no_proof():
    """Where an uncaptured step has no number, as of a trial that diverged, others are compared."""
    start, nan = torch.zeros(2), torch.nan
    for captured, uncaptured, wrong in (
        ([1.0, nan], [1.0, 1.0], True),
        ([1.0, nan], [1.0, nan], False),
        ([2.0, nan], [1.0, nan], True),
        ([nan, nan], [nan, nan], False),
    ):
        found = [torch.tensor(captured)], [torch.tensor(uncaptured)]
        assert capture.unlike(*found, [start], capture.ALIKE) == wrong


def test_what_the_host_decides_is_named(small: Trial, store: Store, replays: list[int]):
    reasons = {
        "pruning.kind=rigl": {"pruning": {"kind": "rigl", "target": 200, "period": 2}},
        "moved bands": {"augment": {"high_jitter": 1000.0}},
    }
    for reason, parts in reasons.items():
        one = stated(small, **parts)
        session = Session(one, Listener(one, store, TWIN), TWIN, None, None)
        with pytest.warns(UserWarning, match=f"^{reason}: training steps are not captured$"):
            assert session.replay is None
    plain = Session(small, Listener(small, store, OFF), OFF, None, None)
    assert plain.replay is None, "nobody is told where nothing is captured"


def test_an_objective_is_the_same_within_a_stage():
    """A graph that is replayed in a later epoch has its loss."""
    consistency = Consistency(weight=5.0, ramp=3)
    assert [consistency.stage(epoch) for epoch in range(6)] == [0, 1, 2, 3, 3, 3]
