"""Awaited: what a worker compiles is on the screen before it begins, by the path of a GPU."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from test_capture import OFF, TWIN, replays, small

from scaling import awaited
from scaling.results.records import Results
from scaling.results.run_group import run_group
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from sweeps.engine import group, limits, preflight, ray_tune
from sweeps.engine.display import Display
from sweeps.engine.preflight import Task
from sweeps.launch import Compute

__all__ = ["replays", "small"]  # fixtures


@pytest.fixture
def heard() -> Any:
    """What is said, and when a trial reported."""
    told: list[str] = []
    with awaited.shown(told.append):
        yield told


def test_it_is_said_before_the_first_epoch_and_once(
    small: Trial, store: Store, replays: list[int], heard: list[str], tmp_path: Path
):
    """Of a trial alone, and of several, which are one network; of uncaptured steps nothing."""
    first = next(run_trial(small, store, TWIN, Results(tmp_path / "alone")))
    assert (first.epoch, heard) == (1, ["compiling W2"])
    heard.clear()
    two = [changed(small, {"seed": seed}) for seed in range(2)]
    several = [*run_group(two, store, TWIN, Results(tmp_path / "two"))]
    assert len(several) == 4
    assert heard == ["compiling W2, 2 trials side by side"]
    heard.clear()
    next(run_trial(small, store, OFF, Results(tmp_path / "off")))
    assert heard == []
    assert replays


def test_a_worker_reports_it_to_the_display(
    small: Trial,
    store: Store,
    replays: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """The driver shows it where no trial has reported, once, and neither counts nor stops a trial
    by it.
    """
    ray_adaptive = pytest.importorskip("sweeps.engine.ray_adaptive")
    callbacks = pytest.importorskip("sweeps.engine.ray_callbacks")
    tune = pytest.importorskip("ray.tune")
    reports: list[dict[str, Any]] = []
    monkeypatch.setattr(tune, "report", reports.append)
    monkeypatch.setattr(preflight, "ready", lambda *_: store)
    monkeypatch.setattr(preflight, "machine_of", lambda _: TWIN)
    folder = str(tmp_path / "results")
    task = Task({}, folder, 1, Compute())
    ray_tune.work(group.configured([small]), task, limits.Limit())
    assert reports[0] == {"awaited": "compiling W2"}
    assert [each["epoch"] for each in reports[1:]] == [1, 2]

    stream = io.StringIO()
    display = Display([small], {small.id: 1}, Console(file=stream, width=99), plain=True)
    driver = callbacks.listener(display, folder)
    early = ray_adaptive.stopper(None, folder)
    for report in [*reports[:1], *reports[:1], *reports[1:], *reports[:1]]:
        assert report is not reports[0] or not early("any", report)
        driver.on_trial_result(0, [], None, report)
    first, *others = stream.getvalue().splitlines()
    assert first == "compiling W2"
    assert not any("compiling" in each for each in others)
    assert "1/1 done" in others[-1]
