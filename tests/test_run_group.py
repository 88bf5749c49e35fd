"""Trials side by side into a results folder: each with its own records, checkpoint and end."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from scaling import machine
from scaling.networks.vib_cnn import VIBCNN
from scaling.results import run_trial as run_trial_module
from scaling.results import weights
from scaling.results.outcome import Status
from scaling.results.records import Refused, Results
from scaling.results.run_group import run_group
from scaling.results.run_trial import Progress, run_trial, stop
from scaling.settings import Augment, Features, Sound, Split, Training, Trial, changed
from scaling.sound.store import Store
from scaling.training import stacked
from scaling.training.epoch import Diverged
from scaling.training.session import Session
from scaling.training.stack import Stack


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    """Three of three epochs, by Adam, whose moments count; the last one is pruned."""
    one = Trial(
        seed=3,
        sound=Sound(
            dataset="synthetic",
            rate=16_000,
            seconds=1.0,
            features=Features(kind="log_mel", window=512, hop=512, mels=32, range_db=80),
        ),
        split=Split(protocol="folds", fold=1, train_devices=("a",)),
        network=VIBCNN(width=2, dropout=0.2),
        training=Training(epochs=3, batch=32, rate=5e-3),
        augment=Augment(roll=0.5, mixup=0.3),
    )
    cut = {"kind": "magnitude", "target": 600, "length": 2}
    return [
        changed(one, {"seed": 1}),
        changed(one, {"seed": 2, "network.damping": 0.9}),
        Trial.model_validate({**one.stated(), "pruning": cut}),
    ]


@pytest.fixture(scope="module")
def alone(
    trials: list[Trial],
    store: Store,
    here: machine.Machine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Results:
    """What they record one by one."""
    results = Results(tmp_path_factory.mktemp("alone"))
    for each in trials:
        [*run_trial(each, store, here, results)]
    return results


class Group(NamedTuple):
    """Trials that run side by side into a folder of their own."""

    trials: list[Trial]
    alone: Results  # what they record one by one
    store: Store
    here: machine.Machine
    results: Results

    def run(self, trials: list[Trial] | None = None) -> Iterator[Progress]:
        """All of them, or some."""
        return run_group(trials or self.trials, self.store, self.here, self.results)

    def assert_as_alone(self, trial: Trial) -> None:
        """A trial was complete with what it records alone."""
        assert_as_alone(self.results, self.alone, trial)


@pytest.fixture
def group(
    trials: list[Trial], alone: Results, store: Store, here: machine.Machine, tmp_path: Path
) -> Group:
    return Group(trials, alone, store, here, Results(tmp_path / "group"))


def assert_as_alone(ours: Results, alone: Results, trial: Trial) -> None:
    """The same rows, and to rounding the same values, predictions and weights."""
    keys = ["epoch", "split", "device", "metric"]
    for kind, key, value in (
        ("metrics", keys, "value"),
        ("predictions", [*keys[:3], "clip"], "logits"),
    ):
        own, other = (
            each.read(kind, [trial.id]).to_pandas().set_index(key).sort_index()
            for each in (ours, alone)
        )
        if kind == "metrics":
            kept = ~own.index.get_level_values("metric").str.endswith("_seconds")
            own, other = own[kept], other[kept]
        assert own.index.equals(other.index), kind
        assert np.allclose(np.vstack(own[value]), np.vstack(other[value]), rtol=1e-4, atol=1e-4), (
            kind
        )
    found, expected = weights.load(trial.id, ours), weights.load(trial.id, alone)
    assert found is not None
    assert expected is not None
    for name, tensor in expected.items():
        assert torch.allclose(found[name], tensor, rtol=1e-4, atol=1e-5), name
    outcome = ours.outcome(trial.id)
    assert outcome is not None
    assert (outcome.status, outcome.error, outcome.epochs) == (Status.COMPLETE, None, 3)


def test_a_killed_group_continues_in_any_other_grouping(group: Group):
    """All three, then two of them, then one by one; where one is ahead of the other, too."""
    trials, results = group.trials, group.results
    first = group.run()
    heard = [next(first) for _ in range(4)]  # the first is an epoch ahead
    first.close()
    assert [(p.trial, p.epoch) for p in heard] == [
        *((t.id, 1) for t in trials),
        (trials[0].id, 2),
    ]
    second = group.run([trials[0], trials[2]])
    assert [(p.trial, p.epoch, p.status) for p in (next(second), next(second))] == [
        (trials[0].id, 3, "complete"),
        (trials[2].id, 2, "running"),
    ]
    second.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a checkpoint of no use costs its epochs, with a warning
        assert [p.epoch for p in run_trial(trials[1], group.store, group.here, results)] == [2, 3]
        # the first has ended and is left alone
        last = [*group.run(trials[::-1])]
    assert [(p.trial, p.epoch) for p in last] == [
        (trials[1].id, 3),
        (trials[0].id, 3),
        (trials[2].id, 3),
    ]
    for each in trials:
        group.assert_as_alone(each)


def test_one_that_fails_or_is_stopped_leaves_the_others(
    group: Group, monkeypatch: pytest.MonkeyPatch
):
    trials, results = group.trials, group.results
    real = Session.trained

    def trained(self: Session, *given: Any) -> Any:
        if self.trial == trials[0] and self.done == 1:
            raise Diverged("the loss became nan")
        return real(self, *given)

    monkeypatch.setattr(Session, "trained", trained)
    heard = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for progress in group.run():
            heard.append((progress.trial, progress.epoch, progress.status))
            if heard[-1] == (trials[1].id, 1, "running"):
                stop(progress, results, "early stopping")
    assert [str(each.message) for each in told] == [
        f"trial {trials[0].id}, side by side: Diverged: the loss became nan; continued alone"
    ]
    assert [each for each in heard if each[0] == trials[0].id] == [
        (trials[0].id, 1, "running"),
        (trials[0].id, 1, "failed"),
    ]
    assert [each for each in heard if each[0] == trials[1].id] == [
        (trials[1].id, 1, "running"),
        (trials[1].id, 1, "stopped"),
    ]
    assert heard[-2:] == [(trials[2].id, 3, "complete"), (trials[0].id, 1, "failed")]
    ends = {o["trial"]: (o["status"], o["error"]) for o in results.read("outcomes").to_pylist()}
    assert ends == {
        trials[0].id: ("failed", "Diverged: the loss became nan"),
        trials[1].id: ("stopped", "early stopping"),
        trials[2].id: ("complete", None),
    }
    group.assert_as_alone(trials[2])


def test_a_group_that_does_not_fit_is_halved(group: Group, monkeypatch: pytest.MonkeyPatch):
    """Behind the first epoch, so that each half continues from checkpoints."""
    trials = group.trials
    real, sizes = Stack.update, []

    def update(self: Stack, *given: Any) -> None:
        sizes.append(len(self.sessions))
        if len(self.sessions) > 2 and self.sessions[0].done == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(self, *given)

    monkeypatch.setattr(Stack, "update", update)
    with pytest.warns(UserWarning, match="and 2 more, side by side: not enough memory for so many"):
        heard = [(p.trial, p.epoch) for p in group.run()]
    assert set(sizes) == {3, 2}
    assert sorted(heard) == sorted((t.id, epoch) for t in trials for epoch in (1, 2, 3))
    for each in trials:
        group.assert_as_alone(each)


@pytest.mark.filterwarnings("ignore:clips that do not fit into the GPU's memory")
def test_a_group_that_a_dry_step_finds_too_large_is_halved_before_it_trains(
    trials: list[Trial], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As on a GPU; the step itself changes no bit of what is trained afterwards."""
    twin = machine.Machine(torch.device("cpu"), torch.float32, 1, capture="twin")
    real, sizes = Stack.dry_step, []

    def dry_step(self: Stack) -> None:
        sizes.append(len(self.sessions))
        if len(self.sessions) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        before = [each.clone() for each in (self.flat_SP, *self.kept())]
        real(self)
        after = [self.flat_SP, *self.kept()]
        assert all(map(torch.equal, before, after))
        assert not self.flat_SP.grad.any()  # type: ignore[union-attr]

    monkeypatch.setattr(Stack, "dry_step", dry_step)
    monkeypatch.setattr(Stack, "replay", None)
    ours, none = Results(tmp_path / "ours"), Results(tmp_path / "none")
    with pytest.warns(UserWarning, match="and 2 more, side by side: not enough memory for so many"):
        heard = [(p.trial, p.epoch) for p in run_group(trials, store, twin, ours)]
    assert sizes == [3, 2]
    assert sorted(heard) == sorted((t.id, epoch) for t in trials for epoch in (1, 2, 3))
    for group in (trials[:2], trials[2:]):
        [*run_group(group, store, replace(twin, capture="off"), none)]
    for one in trials:
        found, expected = (weights.load(one.id, each) for each in (ours, none))
        assert found is not None
        assert expected is not None
        assert all(torch.equal(found[name], each) for name, each in expected.items())


def test_what_cannot_be_stacked_runs_one_by_one(group: Group, monkeypatch: pytest.MonkeyPatch):
    trials = group.trials

    def update(self: Stack, *given: Any) -> None:
        raise NotImplementedError("no rule for this")

    monkeypatch.setattr(Stack, "update", update)
    with pytest.warns(UserWarning, match="NotImplementedError: no rule for this; continued one"):
        [*group.run()]
    for each in trials:
        group.assert_as_alone(each)


def test_what_raises_among_others_is_judged_alone(group: Group, monkeypatch: pytest.MonkeyPatch):
    """NaN that a stack's kernels carry from one trial to another is no trial's failure."""
    trials = group.trials
    real = stacked._trained

    def trained(own: Stack) -> list[Any]:
        found = real(own)
        if own.sessions[0].done == 1:
            found[1] = Diverged("the loss became nan")
        return found

    monkeypatch.setattr(stacked, "_trained", trained)
    with pytest.warns(UserWarning, match=f"^trial {trials[1].id}, side by side: Diverged: "):
        heard = [(p.trial, p.epoch) for p in group.run()]
    assert heard[-2:] == [(trials[1].id, 2), (trials[1].id, 3)], "from its checkpoint"
    for each in trials:
        group.assert_as_alone(each)


GONE = "CUDA error: unspecified launch failure\nmore of it"


@pytest.mark.fault(
    "a GPU stops answering",
    "a new worker resumes its trials, each alone and without CUDA graphs; one that ends it again "
    "fails, and where it cannot use the GPU at all, the sweep ends with one line",
)
def test_a_gpu_that_stops_answering_loses_nothing(group: Group, monkeypatch: pytest.MonkeyPatch):
    """A group ends with one line; the next process runs its trials alone, without graphs; what
    ends that one, too, is the trial's failure.
    """
    trials, results = group.trials, group.results
    real = Stack.update

    def update(self: Stack, *given: Any) -> None:
        if self.sessions[0].done == 1:
            raise torch.AcceleratorError(GONE)
        real(self, *given)

    monkeypatch.setattr(Stack, "update", update)
    line = r"^the GPU stopped answering \(.*: unspecified launch failure\): what is recorded stays"
    with pytest.raises(machine.LostGpu, match=line):
        [*group.run()]
    assert not results.ended()
    used = []
    run = run_trial_module.run

    def ran(trial: Trial, store: Store, machine: machine.Machine, *rest: Any) -> Any:
        used.append((trial.id, machine.capture))
        for epoch in run(trial, store, machine, *rest):
            if trial == trials[2] and epoch.number == 3:
                raise torch.AcceleratorError(GONE)
            yield epoch

    monkeypatch.setattr(run_trial_module, "run", ran)
    heard = [*group.run()]
    assert used == [(each.id, "off") for each in trials]
    assert [p.epoch for p in heard if p.trial == trials[0].id] == [2, 3], "from its checkpoint"
    for each in trials[:2]:
        group.assert_as_alone(each)
    failed = results.outcome(trials[2].id)
    assert failed is not None
    assert failed.error == f"AcceleratorError: {GONE}"


def test_what_is_not_alike_trains_apart(group: Group):
    trials = group.trials
    other = changed(trials[0], {"network.width": 3, "seed": 4})
    heard = [*group.run([trials[0], other])]
    assert {(p.trial, p.status) for p in heard if p.status.ended} == {
        (trials[0].id, "complete"),
        (other.id, "complete"),
    }


def test_a_folder_that_refuses_is_no_trials_failure(group: Group, monkeypatch: pytest.MonkeyPatch):
    results = group.results

    def write(self: Results, *given: Any) -> None:
        raise Refused("the disk is full")

    monkeypatch.setattr(Results, "write", write)
    with pytest.raises(Refused, match="the disk is full"):
        [*group.run()]
    assert not results.ended()


def test_time_is_shared(group: Group):
    """What trials side by side took sums to what passed."""
    results = group.results
    begun = perf_counter()
    heard = [*group.run()]
    passed = perf_counter() - begun
    walls = results.read("outcomes").to_pandas()["wall_s"]
    metrics = results.read("metrics").to_pandas()
    measured = metrics[metrics["metric"].str.endswith("_seconds")]["value"]
    for seconds in (sum(p.seconds for p in heard if p.status.ended), walls.sum(), measured.sum()):
        assert 0.3 * passed < seconds < 1.1 * passed
