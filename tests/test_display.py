import io

import pytest
from rich.console import Console

from scaling.config import Trial, changed
from scaling.perform import Progress
from sweeps.display import Display, differences, duration


def display(trials: list[Trial], macs: dict[str, int] | None = None) -> tuple[Display, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    return Display(trials, macs or {t.id: 100 for t in trials}, console, plain=False), stream


def progress(
    trial: Trial, epoch: int, seconds: float, status: str = "running", accuracy: float = 0.5
):
    return Progress(trial.id, epoch, trial.training.epochs, accuracy, seconds, status)


def test_plain_lines_when_trials_end(trial: Trial):
    trials = [changed(trial, {"network.width": w}) for w in (2, 4)]
    shown, stream = display(trials)
    with shown:
        shown.heard(progress(trials[0], 1, 10))
        assert stream.getvalue() == ""
        for each in trials:
            shown.heard(progress(each, 3, 30, "complete", 0.5 + each.network.width / 10))
    lines = stream.getvalue().splitlines()
    assert lines[-1] == "2/2 done, 0 running, 0 failed, best 0.900 (width=4)"


def test_plain_lines_every_minute(trial: Trial, monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    monkeypatch.setattr("sweeps.display.monotonic", lambda: clock[0])
    shown, stream = display([trial])
    for clock[0] in (1.0, 50.0, 70.0, 100.0, 140.0):
        shown.heard(progress(trial, 1, 10))
    assert len(stream.getvalue().splitlines()) == 2  # at 70 and at 140


def test_a_failure_is_said_at_once_with_its_reason(trial: Trial):
    shown, stream = display([trial])
    shown.heard(Progress(trial.id, 1, 3, None, 1.0, "failed", "Diverged: the loss became nan"))
    assert f"({trial.id}): Diverged: the loss became nan" in stream.getvalue()
    assert "1 failed" in stream.getvalue()


def test_time_left(trial: Trial):
    """Measured seconds per epoch, scaled by multiply-adds where not yet measured, shared by the
    slots.
    """
    small, large = trial, changed(trial, {"network.width": 8})
    shown, _ = display([small, large], {small.id: 100, large.id: 400})
    assert shown.seconds_left() is None
    shown.heard(progress(small, 1, 5))
    assert shown.seconds_left() is None  # the first epoch includes the start
    shown.heard(progress(small, 2, 15))
    assert shown.seconds_left() == pytest.approx(10 * 1 + 40 * 3)
    shown.slots = 2
    assert shown.seconds_left() == pytest.approx(120)  # no shorter than its longest trial
    shown.heard(progress(small, 3, 25, "complete"))
    assert shown.seconds_left() == pytest.approx(120)


def test_labels_name_what_differs(trial: Trial):
    trials = [changed(trial, {"network.width": w, "seed": s}) for w in (2, 4) for s in (0, 1)]
    assert list(differences(trials).values()) == [
        "seed=0 width=2",
        "seed=1 width=2",
        "seed=0 width=4",
        "seed=1 width=4",
    ]
    assert list(differences([trial]).values()) == [trial.id]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (40, "40 s"), (600, "10 min"), (12_000, "3 h 20 min")]
)
def test_durations(seconds: float, said: str):
    assert duration(seconds) == said


def test_live_on_a_terminal(trial: Trial):
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True)
    with Display([trial], {trial.id: 1}, console, plain=False) as shown:
        shown.heard(progress(trial, 1, 1.0))
    assert "0/1 done, 1 running" in stream.getvalue()
    with Display([trial], {trial.id: 1}, console, plain=True) as shown:
        assert shown.live is None
