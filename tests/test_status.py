"""analysis.status: time left, failures by class, and looks that read nothing twice."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from test_analysis_table import complete, end, measure, mixed, plan, results, trial

from analysis import console, reading, status
from analysis.commands import status as status_command
from scaling.results import lock_file, records
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.settings import Trial

__all__ = ["results"]  # the fixture


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as a table that no terminal shows."""
    monkeypatch.delenv("COLUMNS", raising=False)


def train(results: Results, of: Trial, epochs: int, seconds: float) -> None:
    """Write the metrics of epochs that took so many seconds each, a quarter of it to score."""
    rows = [
        {"trial": of.id, "epoch": e, "split": "train", "device": "all", "metric": m, "value": v}
        for e in range(1, epochs + 1)
        for m, v in (("train_seconds", 0.75 * seconds), ("evaluate_seconds", 0.25 * seconds))
    ]
    results.write("metrics", of.id, rows)


def finish(results: Results, of: Trial, seconds: float, status: str = "complete") -> None:
    end(results, of, status)
    (row,) = results.read("outcomes", [of.id]).to_pylist()
    results.write("outcomes", of.id, [row | {"wall_s": seconds}])


def sweeping(results: Results, content: str) -> None:
    results.put(content.encode(), "sweep.json")


def test_time_left_is_from_epochs_of_the_same_cost(results: Results) -> None:
    small, large = ([trial(seed=s, network__width=w) for s in range(3)] for w in (8, 16))
    plan(results, "small", small, epoch_macs=100)
    plan(results, "large", large, epoch_macs=300)
    assert status.look(results).left is None
    finish(results, small[0], 6.0)  # 2 s an epoch
    train(results, small[1], 1, 4.0)  # 4 s: 10 s in 4 epochs
    left = 2 * 2.5 + 3 * 2.5 + 9 * 7.5
    now = status.look(results)
    assert (now.slots, now.left) == (1, (pytest.approx(left), False))
    train(results, large[0], 2, 10.0)
    left = 2 * 2.5 + 3 * 2.5 + 1 * 10 + 6 * 10
    now = status.look(results)
    assert (now.slots, now.left) == (2, (pytest.approx(left / 2), False))
    sweeping(results, '{"slots": 3, "host": "h"}')
    now = status.look(results)
    assert (now.slots, now.left) == (3, (pytest.approx(30), False))  # a whole large trial


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"slots": null}', '{"slots": "2"}', "\xff"]
)
def test_a_sweep_that_says_no_slots(results: Results, content: str) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    sweeping(results, content)
    assert status.look(results).slots == 1


def test_manifests_of_older_versions_go_by_the_network(results: Results) -> None:
    """Where one lacks the multiply-adds of an epoch, two scales must not be mixed."""
    old, new = trial(), trial(network__width=16)
    plan(results, "old", [old])
    plan(results, "new", [new], epoch_macs=10)
    finish(results, old, 3.0)
    assert status.look(results).left == (pytest.approx(3 * 2.0), False)


def test_a_forecast_stands_in(results: Results) -> None:
    one = trial()
    plan(results, "launch", [one])
    row = {"trial": one.id, "seconds": 90.0, "at_most": False, "how": "given", "speed": 1.0}
    row |= {"slots": None, "wall_s": None, "node": "n", "made": 0}
    results.write("forecasts", "20260101T000000Z-a", [row])
    assert status.look(results).left == (pytest.approx(90.0), False)


def test_stopped_trials_and_patience(results: Results) -> None:
    patient = [trial(seed=s, training__patience=2, training__epochs=100) for s in range(3)]
    plan(results, "launch", patient)
    train(results, patient[0], 5, 1.0)
    assert status.look(results).left == (pytest.approx(95 + 100 + 100), True)
    finish(results, patient[0], 6.0)  # behind 3 epochs
    assert status.look(results).left == (pytest.approx(2 * 6.0), False)


def test_failures_are_told_by_class(results: Results) -> None:
    trials = [trial(seed=s) for s in range(6)]
    plan(results, "launch", trials)
    errors = [
        "Diverged: the loss became nan in epoch 2",
        "its worker died 3 times, ray.ActorDiedError: gone",
        "Diverged: the loss became inf in epoch 1",
        None,
        "no words",
        "OSError: [Errno 28] full",
    ]
    for each, error in zip(trials, errors, strict=True):
        end(results, each, "failed", error)
    found = status.failures(reading.progress(results)).to_dict("records")
    assert found[0] == {"class": "Diverged", "trials": 2, "example": errors[0]}
    others = {(row["class"], row["trials"], row["example"]) for row in found[1:]}
    assert others == {
        ("ray.ActorDiedError", 1, errors[1]),
        ("no reason recorded", 1, "no reason recorded"),
        ("no words", 1, "no words"),
        ("OSError", 1, errors[5]),
    }


def test_a_second_look_reads_only_what_may_have_changed(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = mixed(results)
    first = status.look(results)
    asked: list[tuple[str, str]] = []
    plain = Results._read_one

    def read_one(self: Results, kind: str, name: str, *coded: object) -> object:
        asked.append((kind, name))
        return plain(self, kind, name, *coded)

    monkeypatch.setattr(records.Results, "_read_one", read_one)
    measure(results, trials[6], {"test": [0.1]})
    end(results, trials[5])
    second = status.look(results, first)
    failed = {("outcomes", each.id) for each in trials[3:5]}
    new = {("outcomes", trials[5].id), ("metrics", trials[6].id)}
    assert set(asked) == failed | new
    states = second.progress.set_index("trial")["status"]
    assert [states[each.id] for each in trials[5:]] == ["complete", "running"]
    whole = status.look(results).progress.sort_values("trial", ignore_index=True)
    assert second.progress.sort_values("trial", ignore_index=True).equals(whole)
    results.remove("outcomes", f"{trials[3].id}.parquet")  # it is retried
    third = status.look(results, second)
    assert third.progress.set_index("trial")["status"][trials[3].id] == "running"
    results.remove("outcomes", f"{trials[0].id}.parquet")  # by hand, to have it run again
    third = status.look(results, third)
    assert third.progress.set_index("trial")["status"][trials[0].id] == "running"
    plan(results, "later", [trial(seed=70)], hours=1)
    assert len(status.look(results, third).progress) == 8


def test_json_is_one_object(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    trials = mixed(results)
    status_command.status(results.where, json=True)
    said = json.loads(capsys.readouterr().out)
    assert {k: said[k] for k in Status} == reading.counts(reading.progress(results))
    example = "OutOfMemoryError: CUDA out of memory. Tried to 3 it"
    assert said["failures"] == [{"class": "OutOfMemoryError", "trials": 2, "example": example}]
    running = {"trial": trials[5].id, "epochs": 2, "training.epochs": 3}
    assert said["running_trials"] == [running]
    assert (said["slots"], said["at_most"]) == (1, False)
    assert said["seconds_left"] == pytest.approx((1 + 3) / 3)  # the stopped one came to epoch 3


def test_the_address_is_not_folded(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    address = "s3://bucket/" + "wider_than_the_table/" * 4
    console.show(console.status_table(address, status.look(results)))
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == address
    assert lines == ["1 trials: 1 complete, 0 stopped, 0 failed, 0 running, 0 missing"]


def test_done_has_nothing_left(results: Results, tmp_path: Path) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    said = json.loads(console.status_line("r", status.look(results)))
    assert (said["seconds_left"], said["slots"]) == (0.0, None)
    assert "left" not in console.status_words(status.look(results))


def holding(results: Results, **more: object) -> None:
    """What a sweep of this process says of itself, but for `more`."""
    said = {
        "host": "here",
        "machine": lock_file.machine(),
        "pid": os.getpid(),
        "slots": 2,
        "beat": 7,
    }
    said |= {"started": lock_file.started(os.getpid()), **more}
    results.put(json.dumps(said).encode(), lock_file.FILE)


@pytest.mark.skipif(not lock_file.machine(), reason="finds processes through /proc")
def test_whether_a_driver_lives(results: Results) -> None:
    """A process that lives, one that was killed, one whose id another process has now, one of
    another machine, none, and `overhear train`, which says nothing of itself.
    """
    plan(results, "launch", [trial()])
    measure(results, trial(), {"test": [0.5]})
    holding(results)
    assert status.look(results).driver == ("running", f"process {os.getpid()} on here")
    with subprocess.Popen(["sleep", "60"]) as killed:
        holding(results, pid=killed.pid, started=lock_file.started(killed.pid))
        assert status.look(results).driver.state == "running"
        killed.kill()
    found = status.look(results)
    died = f"none, process {killed.pid} on here has died: run the same command again to resume"
    assert found.driver == ("none", died)
    assert "1 cut off" in console.status_words(found)
    assert json.loads(console.status_line("r", found))["driver"] == "none"
    holding(results, started="1")
    assert status.look(results).driver.gone
    holding(results, machine="another")
    told = r"process \d+ on here last reported \d+ s ago \(it reports every 5 s\)"
    state, words = status.look(results).driver
    assert state == "unknown"
    assert re.fullmatch(told, words)
    for damaged in (b"", b"[1]", b"{torn", b'{"pid": "../../1"}', b"[" * 10_000):
        results.put(damaged, lock_file.FILE)
        assert status.look(results).driver.state != "running"
    results.remove(lock_file.FILE)
    assert status.look(results).driver.gone
    plan(results, "train", [trial()], study="train")
    assert status.look(results).driver.state == "unknown"
