"""Trials side by side as one trial of Tune: what Tune is told, and what becomes of each of them."""

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from scaling import machine
from scaling.results import memory
from scaling.results.manifest import plan
from scaling.results.outcome import Status
from scaling.results.records import Refused, Results
from scaling.results.run_trial import Progress, outcome_here
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from sweeps import dry_run, schedule
from sweeps.adaptive.early_stopping import Asha, Watch
from sweeps.engine import group, limits, preflight, ray_adaptive, ray_callbacks, ray_tune
from sweeps.engine.display import Display
from sweeps.engine.preflight import Task
from sweeps.launch import SIDE_BY_SIDE, Compute, Resources, stack


@pytest.fixture
def trials(trial: Trial) -> list[Trial]:
    small = changed(
        trial,
        {
            "network.kind": "vib_cnn",
            "training.epochs": 2,
            "training.batch": 32,
            "split.clips_per_class": 4,
            "evaluation.every": 2,
        },
    )
    return [changed(small, {"seed": seed}) for seed in range(3)]


@pytest.fixture
def display(trials: list[Trial]) -> Display:
    return Display(trials, {each.id: 1 for each in trials}, Console(file=sys.stderr), True)


def of_tune(trials: list[Trial], **more: Any) -> Any:
    return SimpleNamespace(config=group.configured(trials), pickled_error_file=None, **more)


def test_a_configuration_says_which_trials(trials: list[Trial]):
    assert group.planned(group.configured(trials)) == trials
    assert group.configured(trials[:1]) == {"trial": trials[0].stated()}, "as without groups"
    assert group.planned(group.configured(trials[:1])) == trials[:1]
    assert group.name(trials) == f"{trials[0].id}_and_2"
    assert group.name(trials[:1]) == trials[0].id


def test_tune_is_done_when_the_last_of_them_is(
    trials: list[Trial], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from ray import tune

    told: list[dict[str, Any]] = []
    monkeypatch.setattr(tune, "report", told.append)
    real = group.run_group

    def run_group(*given: Any) -> Any:
        for progress in real(*given):
            warnings.warn("a line for the screen", stacklevel=2)
            yield progress

    run_group.__globals__["__name__"] = "scaling"
    monkeypatch.setattr(group, "run_group", run_group)
    task = Task({"synthetic@16000": str(store.folder)}, str(tmp_path), 1, Compute("cpu", "float32"))
    ray_tune.work(group.configured(trials), task, limits.Limit())
    assert [each["trial"] for each in told] == 2 * [each.id for each in trials]
    assert [each["others"] for each in told] == [2, 2, 2, 2, 1, 0]
    assert [each["done"] for each in told] == [False] * 5 + [True]
    assert {"a line for the screen"} == {line for each in told for line in each["said"]}
    assert Results(tmp_path).ended() == {each.id for each in trials}


def test_those_that_held_too_much_run_one_by_one(
    trials: list[Trial], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = []

    def alone(trial: Trial, *given: Any) -> list[Progress]:
        run.append(trial)
        return []

    monkeypatch.setattr(group, "run_trial", alone)
    monkeypatch.setattr(group, "run_group", lambda *given: pytest.fail("side by side again"))
    memory.add(trials[0].id, Results(tmp_path), "held 3 GiB")
    task = Task({"synthetic@16000": str(store.folder)}, str(tmp_path), 1, Compute("cpu", "float32"))
    assert not [*group.attempt(trials, task, limits.Limit())]
    assert run == trials


def test_one_that_is_stopped_early_ends_no_other(trials: list[Trial], tmp_path: Path):
    """Tune is told to stop where no other is left."""
    results = Results(tmp_path)
    stop = ray_adaptive.stopper(Watching("worse than most"), str(tmp_path))  # type: ignore[arg-type]
    for trial, others in zip(trials, (1, 0), strict=False):
        running = outcome_here(trial, Status.STOPPED, None, 1)
        report = Progress(trial.id, 1, 2, None, 1.0, outcome=running)._asdict()
        report["others"] = others
        assert stop("1", report) == (not others)
        assert (report["status"], report["error"]) == ("stopped", "worse than most")
        outcome = results.outcome(trial.id)
        assert outcome is not None
        assert outcome.status == "stopped"


class Watching(Watch):
    """Stops all."""

    def __init__(self, reason: str) -> None:
        super().__init__(Asha())
        self.reason = reason

    def heard(self, *given: Any) -> str:
        return self.reason


def test_a_group_that_loses_its_worker_is_handed_to_tune_again(
    trials: list[Trial], display: Display, tmp_path: Path
):
    """However often: one of them may end the worker of all. What had ended is no part of it."""
    results = Results(tmp_path)
    heard = ray_callbacks.listener(display, str(tmp_path))
    lost = of_tune(trials, run_metadata=SimpleNamespace(num_failures=ray_callbacks.ATTEMPTS))
    heard.on_trial_start(1, [], lost)
    assert heard.running.keys() == {each.id for each in trials}
    results.end(outcome_here(trials[0], Status.COMPLETE, None, 2))
    heard.on_trial_recover(1, [], lost)
    assert not heard.running
    heard.on_trial_error(1, [], lost)
    assert heard.dropped == {trials[1].id, trials[2].id}
    assert results.ended() == {trials[0].id}
    assert display.left() == 2


def test_an_end_is_told_once(trials: list[Trial], display: Display, tmp_path: Path):
    """Of one that was stopped, by the driver; its worker finds that it has ended."""
    account = ray_callbacks.Account(display, Results(tmp_path), None)
    told: list[Progress] = []
    display.heard = told.append  # type: ignore[method-assign]
    for seconds in (1.0, 0.0):
        account.heard(Progress(trials[0].id, 1, 2, None, seconds, Status.STOPPED, "worse"))
    assert len(told) == 1


def test_time_is_that_of_all(
    trials: list[Trial], display: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = 0.0
    monkeypatch.setattr(ray_callbacks, "monotonic", lambda: clock)
    account = ray_callbacks.Account(display, Results(tmp_path), hours=1.0)
    account.began(trials[0].id, 3)
    account.began(trials[1].id)
    clock = 3601.0
    assert not account.late(trials[0].id)
    assert account.late(trials[1].id)
    clock = 3 * 3600 + 1.0
    assert account.late(trials[0].id)


def test_how_many_side_by_side():
    assert [stack("auto", gpus) for gpus in (0.0, 0.25)] == [1, SIDE_BY_SIDE]
    assert [stack(text, 1.0) for text in ("off", "1", "40")] == [1, 1, 40]
    for text in ("0", "-1", "2.5", "all", "", "١", "1001"):
        with pytest.raises(
            ValueError, match=r"--stack .* must be auto, off, or a number from 1 to 1,000"
        ):
            stack(text, 1.0)


def test_a_dry_run_says_the_groups(trials: list[Trial], store: Store):
    wide = [changed(each, {"network.width": 3}) for each in trials]
    planned = plan("s", [*trials, *wide[:1]], {"synthetic": store.table})
    found = schedule.groups(planned, Resources(stack=2), planned.trials)
    assert found == [trials[:1], trials[1:], wide[:1]]
    assert dry_run._side_by_side(found) == (
        "side by side: 1 x 2, 2 alone; a trial's time is its share of its group's"
    )


def test_a_gpu_that_is_lost_ends_the_sweep_and_no_trial(
    trials: list[Trial], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where a new worker does not find it, or cannot use it; a machine of a cluster is unfit."""
    results = str(tmp_path / "out")
    task = Task({"synthetic@16000": str(store.folder)}, results, 1, Compute("cuda", "float32"))
    line = (
        r"^this machine's GPU stopped answering \(device=cuda: torch finds no GPU .*\): all records"
    )
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(Refused, match=line):
        ray_tune.work(group.configured(trials), task, limits.Limit())
    assert not Results(results).ended()
    monkeypatch.setattr(machine, "here", lambda *_: machine.Machine(torch.device("cuda"), None, 1))
    monkeypatch.setattr("torch.zeros", raised("CUDA error: unknown error\nmore"))
    with pytest.raises(
        Refused, match=r"stopped answering \(AcceleratorError: CUDA error: unknown error\): "
    ):
        preflight.machine_of(task)
    driver = preflight.Reference("mark", {}, {})
    with pytest.raises(preflight.Unfit, match=r"^AcceleratorError: CUDA error: unknown error$"):
        preflight.machine_of(replace(task, driver=driver))


def raised(words: str) -> Any:
    def raises(*given: Any, **more: Any) -> Any:
        raise torch.AcceleratorError(words)

    return raises
