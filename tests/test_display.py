import io

import pytest
from rich.console import Console

from scaling.results.eta import duration
from scaling.results.outcome import Status
from scaling.results.run_trial import Progress
from scaling.settings import Trial, changed
from sweeps.engine.display import Display


def display(
    trials: list[Trial],
    costs: dict[str, int] | None = None,
    predicted: dict[str, float] | None = None,
) -> tuple[Display, io.StringIO]:
    stream = io.StringIO()
    console = Console(file=stream, width=200)
    costs = costs or {t.id: 100 for t in trials}
    return Display(trials, costs, console, plain=False, predicted=predicted), stream


def progress(
    trial: Trial, epoch: int, seconds: float, status: str = "running", accuracy: float = 0.5
):
    return Progress(trial.id, epoch, trial.training.epochs, accuracy, seconds, Status(status))


def test_plain_lines_when_trials_end(trial: Trial):
    trials = [changed(trial, {"network.width": w}) for w in (2, 4)]
    shown, stream = display(trials)
    with shown:
        shown.heard(progress(trials[0], 1, 10))
        assert stream.getvalue() == ""
        for each in trials:
            shown.heard(progress(each, 3, 30, "complete", 0.5 + each.network.width / 10))
    lines = stream.getvalue().splitlines()
    whose = "seen devices"
    assert lines[-1] == f"2/2 done, 0 running, 0 failed, latest 0.900 on {whose} (W4)"


def test_only_validation_clips_make_a_trial_the_best(trial: Trial):
    """Test clips choose nothing: their line names the latest score, the higher one or not."""
    for changes, whose in (
        ({"split.validation_fold": 2}, None),
        ({}, "seen devices"),
        ({"split.train_devices": ()}, "test clips"),
    ):
        trials = [changed(trial, {**changes, "network.width": w}) for w in (2, 4)]
        shown, _ = display(trials)
        for each, accuracy in zip(trials, (0.9, 0.5), strict=True):
            shown.heard(progress(each, 3, 30, "complete", accuracy))
        if whose is None:
            assert shown.line().endswith("best 0.900 on validation clips (W2)")
        else:
            assert shown.line().endswith(f"latest 0.500 on {whose} (W4)")
            assert "best" not in shown.line()


def test_validation_decides_beside_trials_without_it(trial: Trial):
    judged = changed(trial, {"split.validation_fold": 2})
    shown, _ = display([judged, trial])
    shown.heard(progress(judged, 3, 30, "complete", 0.4))
    shown.heard(progress(trial, 3, 30, "complete", 0.9))
    assert "best 0.400 on validation clips" in shown.line()


def test_plain_lines_every_minute(trial: Trial, monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    monkeypatch.setattr("sweeps.engine.display.monotonic", lambda: clock[0])
    shown, stream = display([trial])
    for clock[0] in (1.0, 50.0, 70.0, 100.0, 140.0):
        shown.heard(progress(trial, 1, 10))
    assert len(stream.getvalue().splitlines()) == 2  # at 70 and at 140


def test_a_failure_is_said_at_once_with_its_reason(trial: Trial):
    shown, stream = display([trial])
    shown.heard(Progress(trial.id, 1, 3, None, 1.0, Status.FAILED, "Diverged: the loss became nan"))
    assert f"({trial.id}): Diverged: the loss became nan" in stream.getvalue()
    assert "1 failed" in stream.getvalue()


def test_time_left(trial: Trial):
    """Measured seconds per epoch, scaled by multiply-adds where not yet measured, shared by the
    slots.
    """
    small, large = trial, changed(trial, {"network.width": 8})
    shown, _ = display([small, large], {small.id: 100, large.id: 400})
    assert shown.time_left() is None
    shown.heard(progress(small, 1, 5))
    assert shown.time_left() is None  # the first epoch includes the start
    shown.heard(progress(small, 2, 15))
    assert shown.time_left() == (pytest.approx(10 * 1 + 40 * 3), False)
    shown.slots = 2
    assert shown.time_left() == (pytest.approx(120), False)  # no shorter than its longest trial
    shown.heard(progress(small, 3, 25, "complete"))
    assert shown.time_left() == (pytest.approx(120), False)
    assert "about 2 min left" in shown.line()


def test_epochs_without_an_evaluation_are_quicker(trial: Trial):
    """The mean counts, not the median: scored epochs are few and slow."""
    longer = changed(trial, {"training.epochs": 7})
    shown, _ = display([longer])
    for epoch, seconds in enumerate((2, 4, 14, 16, 18), start=1):
        shown.heard(progress(longer, epoch, seconds))
    assert shown.time_left() == (pytest.approx(2 * 16 / 4), False)


def test_the_clock_of_a_retried_trial_begins_anew(trial: Trial):
    longer = changed(trial, {"training.epochs": 10})
    shown, _ = display([longer])
    shown.heard(progress(longer, 1, 5))
    shown.heard(progress(longer, 2, 15))
    shown.retried(longer.id)
    shown.heard(progress(longer, 3, 40))  # with the start of a worker
    shown.heard(progress(longer, 4, 50))
    assert shown.time_left() == (pytest.approx(6 * 10), False)


def test_a_forecast_stands_in_until_an_epoch_is_timed(trial: Trial):
    other = changed(trial, {"seed": 9})
    shown, _ = display([trial, other], predicted={trial.id: 30.0, other.id: 60.0})
    assert shown.time_left() == (pytest.approx(90), False)
    shown.heard(progress(trial, 1, 5))
    shown.heard(progress(trial, 2, 6))
    assert shown.time_left() == (pytest.approx(1 + 3), False)
    shown, _ = display([trial, other], predicted={trial.id: 30.0})
    assert shown.time_left() is None  # nothing is known of the other


def test_trials_with_patience_are_expected_to_take_what_others_took(trial: Trial):
    patient = [
        changed(trial, {"training.patience": 2, "training.epochs": 100, "seed": seed})
        for seed in range(4)
    ]
    shown, _ = display(patient)
    shown.heard(progress(patient[0], 1, 1))
    shown.heard(progress(patient[0], 9, 9))
    assert shown.time_left() == (pytest.approx(91 + 3 * 100), True)
    assert "at most 7 min left" in shown.line()
    shown.heard(progress(patient[0], 10, 10, "complete"))
    assert shown.time_left() == (pytest.approx(3 * 10), False)
    shown.heard(progress(patient[1], 4, 4))
    assert shown.time_left() == (pytest.approx(6 + 2 * 10), False)
    shown.heard(progress(patient[1], 12, 12))  # further than any came: it may end at any time
    assert shown.time_left() == (pytest.approx(0 + 2 * 10), False)


def test_how_far_failed_trials_came_says_nothing_of_others(trial: Trial):
    patient = [changed(trial, {"training.patience": 2, "seed": seed}) for seed in range(2)]
    shown, _ = display(patient)
    for epoch in (1, 2):
        shown.heard(progress(patient[0], epoch, float(epoch)))
    shown.heard(progress(patient[0], 2, 2.0, "failed"))
    assert shown.time_left() == (pytest.approx(3), True)


def test_once_a_trial_is_stopped_any_other_may_be(trial: Trial):
    trials = [changed(trial, {"training.epochs": 9, "seed": seed}) for seed in range(3)]
    shown, _ = display(trials)
    shown.heard(progress(trials[0], 1, 1))
    shown.heard(progress(trials[0], 2, 2))
    assert shown.time_left() == (pytest.approx(7 + 9 + 9), False)
    shown.heard(progress(trials[0], 3, 3, "stopped"))
    assert shown.time_left() == (pytest.approx(3 + 3), False)


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


def test_what_is_waited_for_is_said(trial: Trial):
    """On a terminal it gives way to the first report; elsewhere it is a line."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    with Display([trial], {trial.id: 1}, console, plain=False) as shown:
        shown.waiting("starting Ray")
        assert shown.live is not None
        shown.live.refresh()
        shown.heard(progress(trial, 1, 1.0))
    assert stream.getvalue().index("starting Ray") < stream.getvalue().index("1 running")
    plain, lines = display([trial])
    plain.waiting("starting Ray")
    assert lines.getvalue() == "starting Ray\n"
