"""TensorBoard's files, MLflow's database and W&B's offline runs, read back, against the records."""

import json
import os
import shutil
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from overhear.command import main
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.run_trial import Progress
from scaling.settings import Trial, changed, flat
from sweeps.engine import loggers
from sweeps.engine.loggers import Loggers
from sweeps.engine.mlflow_runs import DATABASE, Experiment
from sweeps.engine.tensorboard import Board
from sweeps.engine.wandb_runs import Project

Found = dict[tuple[str, str, int], float]  # by trial, tag and epoch


def add(found: Found, trial: str, tag: str, epoch: int, value: float) -> None:
    """An epoch that is there twice is an error."""
    assert (trial, tag, epoch) not in found
    found[trial, tag, epoch] = value


def of_tensorboard(folder: Path) -> Found:
    from tensorboardX.proto.event_pb2 import Event

    found: Found = {}
    for file in folder.glob("*/events.out.tfevents.*"):
        content, at = file.read_bytes(), 0
        while at < len(content):  # length, its checksum, an event, its checksum
            size = int.from_bytes(content[at : at + 8], "little")
            event = Event.FromString(content[at + 12 : at + 12 + size])
            at += size + 16
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    trial = file.parent.name.rpartition("-")[2]
                    add(found, trial, value.tag, event.step, value.simple_value)
    return found


def of_mlflow(folder: Path) -> Found:
    from mlflow import MlflowClient

    client, found = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}"), {}
    experiment = client.get_experiment_by_name("study")
    for run in client.search_runs([experiment.experiment_id]):
        trial = run.data.tags["overhear.trial"]
        for key in run.data.metrics:
            for metric in client.get_metric_history(run.info.run_id, key):
                add(found, trial, key, metric.step, metric.value)
    return found


def messages(content: bytes) -> Iterator[bytes]:
    """Of a file of W&B: seven bytes, then LevelDB's log: blocks of 32 KiB with parts of records."""
    at, whole = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, size, kind = struct.unpack_from("<IHB", content, at)
        whole += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, last
            yield whole
            whole = b""


def of_wandb(folder: Path) -> Found:
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # its own process writes the last lines after a run has finished
    found: Found = {}
    for file in folder.glob("wandb/offline-run-*/run-*.wandb"):
        trial = file.stem.removeprefix("run-")
        for message in messages(file.read_bytes()):
            items = Record.FromString(message).history.item
            values = {item.key or "/".join(item.nested_key): item.value_json for item in items}
            epoch = int(values.pop("_step", 0))
            for key, value in values.items():
                if not key.startswith("_"):
                    add(found, trial, key, epoch, json.loads(value))
    return found


KINDS: dict[str, tuple[Callable[[Path, dict[str, Trial]], Any], Callable[[Path], Found]]] = {
    "tensorboard": (lambda folder, trials: Board(str(folder), trials), of_tensorboard),
    "mlflow": (lambda folder, trials: Experiment(str(folder), "study", trials), of_mlflow),
    "wandb": (lambda _, trials: Project("project", "study", trials), of_wandb),
}


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "there"))


@pytest.fixture
def ran(trial: Trial, tmp_path: Path) -> tuple[Results, dict[str, Trial], list[Progress]]:
    """The metrics of two trials that ran at the same time, and what was heard of them."""
    trials = {each.id: each for each in (trial, changed(trial, {"seed": 9}))}
    results = Results(tmp_path / "results")
    for place, name in enumerate(trials):
        rows = [
            {"trial": name, "epoch": epoch, "split": split, "metric": metric}
            | {"device": device, "value": (epoch + place) / 7}
            for epoch in (1, 2, 3)
            for split, device in (("train", "all"), ("test", "all"), ("test", "a"))
            for metric in ("accuracy", "loss")
        ]
        results.write("metrics", name, rows)
    heard = [Progress(name, epoch, 3, 0.5, 1.0) for epoch in (1, 2, 3) for name in trials]
    ended = [Progress(name, 3, 3, 0.5, 1.0, Status.COMPLETE) for name in trials]
    return results, trials, heard + ended


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of MLflow, with its tables, which take it two seconds to make."""
    folder = tmp_path_factory.mktemp("mlflow")
    Experiment(str(folder), "other", {})
    return folder / DATABASE


def recorded(results: Results, trials: dict[str, Trial], until: int = 99) -> Found:
    found: Found = {}
    for row in results.read("metrics", list(trials)).to_pylist():
        device = "" if row["device"] == "all" else f"/{row['device']}"
        if row["epoch"] <= until:
            tag = f"{row['metric']}/{row['split']}{device}"
            add(found, row["trial"], tag, row["epoch"], row["value"])
    return found


def upto(results: Results, trials: dict[str, Trial], epoch: int, folder: Path) -> Results:
    """The records as they were when the trials had ended this epoch."""
    earlier = Results(folder)
    for trial in trials:
        rows = results.read("metrics", [trial]).to_pylist()
        earlier.write("metrics", trial, [row for row in rows if row["epoch"] <= epoch])
    return earlier


@pytest.mark.parametrize("kind", KINDS)
def test_a_logger_has_the_records_epoch_by_epoch(
    kind: str,
    ran: tuple[Results, dict[str, Trial], list[Progress]],
    database: Path,
    tmp_path: Path,
):
    """Also after a second launch, which resumes the trials: no epoch is there twice."""
    results, trials, heard = ran
    made, read = KINDS[kind]
    there = tmp_path / "there"
    shutil.copy(database, there)
    begun = upto(results, trials, 2, tmp_path / "begun")
    with closing(Loggers(begun, [made(there, trials)])) as told:
        for progress in heard:
            if progress.epoch <= 2:
                told.heard(progress)
    assert read(there) == pytest.approx(recorded(results, trials, 2))
    with closing(Loggers(results, [made(there, trials)])) as told:
        for progress in heard:
            if progress.epoch > 2:
                told.heard(progress)
    assert read(there) == pytest.approx(recorded(results, trials))


def killed(kind: str, results: Results, trials: dict[str, Trial], there: Path) -> None:
    """A driver that is killed once its loggers have the second epoch."""
    told = Loggers(results, [KINDS[kind][0](there, trials)])
    for name in trials:
        told.heard(Progress(name, 2, 3, 0.5, 1.0))
    while [*told.written.values()] != [2, 2]:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("kind", ["tensorboard", "mlflow"])
def test_a_driver_that_was_killed_leaves_no_epoch_twice(
    kind: str,
    ran: tuple[Results, dict[str, Trial], list[Progress]],
    database: Path,
    tmp_path: Path,
):
    results, trials, heard = ran
    made, read = KINDS[kind]
    there = tmp_path / "there"
    shutil.copy(database, there)
    begun = upto(results, trials, 2, tmp_path / "begun")
    driver = get_context("fork").Process(target=killed, args=(kind, begun, trials, there))
    driver.start()
    driver.join(60)
    assert driver.exitcode == -signal.SIGKILL
    with closing(Loggers(results, [made(there, trials)])) as told:
        for progress in heard:
            if progress.epoch > 2:
                told.heard(progress)
    assert read(there) == pytest.approx(recorded(results, trials))


def test_a_run_of_mlflow_tells_settings_and_how_it_ended(
    ran: tuple[Results, dict[str, Trial], list[Progress]], database: Path, tmp_path: Path
):
    from mlflow import MlflowClient

    results, trials, heard = ran
    shutil.copy(database, tmp_path)
    with closing(Loggers(results, [Experiment(str(tmp_path), "study", trials)])) as told:
        told.heard(heard[0])
        told.heard(heard[-2])
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    one = next(iter(trials.values()))
    assert run.info.run_name == f"W2-seed3-{one.id}"
    assert run.info.status == "FINISHED"
    assert run.data.tags["overhear.status"] == "complete"
    assert run.data.params == {name: str(value) for name, value in flat(one).items()}


def test_a_device_may_be_named_as_mlflow_does_not_like(
    tmp_path: Path, database: Path, trial: Trial
):
    shutil.copy(database, tmp_path)
    results = Results(tmp_path / "results")
    row = {"trial": trial.id, "epoch": 1, "split": "test", "metric": "accuracy", "value": 0.5}
    results.write("metrics", trial.id, [row | {"device": name} for name in ("a (left)", "a b")])
    with closing(Loggers(results, [KINDS["mlflow"][0](tmp_path, {trial.id: trial})])) as told:
        told.heard(Progress(trial.id, 1, 3, None, 0.0))
    names = {tag for _, tag, _ in of_mlflow(tmp_path)}
    assert names == {"accuracy/test/a b", "accuracy/test/a-left-045a57da"}


class Refusing:
    """A logger whose server is gone."""

    name = "Gone"

    def write(self, trial: str, rows: Any) -> None:
        raise RuntimeError("user:Wq7xKe@host does not answer")

    def end(self, trial: str, status: Status) -> None:
        raise AssertionError("told of nothing more")

    close = write

    def told(self, error: BaseException) -> str:
        return loggers.secretless(str(error), "GONE_")


def test_one_that_fails_stops_neither_sweep_nor_others(
    ran: tuple[Results, dict[str, Trial], list[Progress]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """One line, without what its environment holds."""
    results, trials, heard = ran
    monkeypatch.setenv("GONE_PASSWORD", "Wq7xKe")
    with pytest.warns(UserWarning) as warned:  # noqa: PT030, PT031
        told = Loggers(results, [Refusing(), Board(str(tmp_path), trials)])
        for progress in heard:
            told.heard(progress)
        told.close()
    (line,) = (str(each.message) for each in warned if "this sweep" in str(each.message))
    assert line == "no more of this sweep is written for Gone: user:...@host does not answer"
    assert of_tensorboard(tmp_path) == pytest.approx(recorded(results, trials))


def test_a_slow_one_delays_neither_trials_nor_the_end(
    ran: tuple[Results, dict[str, Trial], list[Progress]], monkeypatch: pytest.MonkeyPatch
):
    results, _, heard = ran
    monkeypatch.setattr(loggers, "PATIENCE", 0.1)
    slow = Refusing()
    monkeypatch.setattr(slow, "write", lambda *_: time.sleep(2), raising=False)
    begun = time.monotonic()
    told = Loggers(results, [slow])
    for progress in heard:
        told.heard(progress)
    with pytest.warns(UserWarning, match=r"^Gone did not take all metrics within 0\.1 s: the rec"):
        told.close()
    assert time.monotonic() - begun < 1


def test_a_folder_that_breaks_ends_its_board(trial: Trial, tmp_path: Path):
    results, folder = Results(tmp_path / "results"), tmp_path / "board"
    row = {"trial": trial.id, "epoch": 1, "split": "train", "device": "all", "metric": "loss"}
    results.write("metrics", trial.id, [row | {"value": 1.0}])
    told = Loggers(results, [Board(str(folder), {trial.id: trial})])
    os.rmdir(folder)  # noqa: PTH106
    folder.write_text("a file stands in its place")
    told.heard(Progress(trial.id, 1, 3, None, 0.0))
    with pytest.warns(UserWarning, match="no more of this sweep is written for TensorBoard"):
        told.close()


def test_what_cannot_be_had_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    inside = str(tmp_path / "file" / "there")
    with pytest.raises(ValueError, match=r"--tensorboard .*file/there: cannot be written \("):
        Board(inside, {})
    with pytest.raises(ValueError, match="--tensorboard s3://bucket: TensorBoard needs a local"):
        Board("s3://bucket", {})
    with pytest.raises(
        ValueError, match=r"^--mlflow .*file/there: no experiment can be opened there"
    ):
        Experiment(inside, "study", {})
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    secret = "http://me:Wq7xKe@127.0.0.1:9/x"
    with pytest.raises(ValueError, match=r"^--mlflow http://127.*: no experiment") as caught:
        Experiment(secret, "study", {})
    assert "Wq7xKe" not in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"^--wandb a/b: a project's name has at most 128 letters"):
        Project("a/b", "study", {})


def test_wandb_without_a_key_is_told_and_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import wandb

    monkeypatch.setattr(wandb, "setup", lambda: type("Setup", (), {"settings": wandb.Settings()}))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE")
    with pytest.raises(ValueError, match=r"^--wandb: W&B has no key: run `wandb login`, or set"):
        Project("project", "study", {})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["mlflow", "wandb"])
def test_one_that_is_not_installed_is_said_by_the_command(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import sys

    monkeypatch.setitem(sys.modules, kind, None)
    monkeypatch.chdir(tmp_path)
    words = ["overhear", "sweep", "quickstart", f"--{kind}", "there", "--out", "here"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="2"):
        main()
    expected = f"overhear: --{kind} needs {kind}: pip install 'overhear-study[{kind}]'\n"
    assert capsys.readouterr().err == "planning the study\n" + expected
