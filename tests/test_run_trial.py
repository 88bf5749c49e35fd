"""A trial against its results folder: killed, failed, damaged, done."""

import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from scaling import machine
from scaling.objectives.cross_entropy import CrossEntropy
from scaling.results import checkpoint
from scaling.results.records import Results
from scaling.results.run_trial import headline, run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store


def records(where: Path, trial: Trial) -> tuple[list[object], list[object], bytes]:
    """All that a trial left, but what a clock measured."""
    results = Results(where)
    metrics = results.read("metrics", [trial.id]).to_pylist()
    weights = results.get("weights", f"{trial.id}.safetensors")
    assert weights is not None
    return (
        [row for row in metrics if not row["metric"].endswith("_seconds")],
        results.read("predictions", [trial.id]).to_pylist(),
        weights,
    )


def test_one_after_the_other(trial: Trial, store: Store, here: machine.Machine, tmp_path: Path):
    results = Results(tmp_path)
    heard = list(run_trial(trial, store, here, results))
    assert [p.epoch for p in heard] == [1, 2, 3]
    assert [p.status for p in heard] == ["running", "running", "complete"]
    assert heard[-1].accuracy is not None
    (outcome,) = results.read("outcomes").to_pylist()
    assert outcome["status"] == "complete"
    assert outcome["epochs"] == 3
    assert outcome["error"] is None
    assert outcome["precision"] == "float32"
    assert results.get("checkpoints", trial.id, checkpoint.NAME) is None
    epochs = results.read("metrics").to_pandas()
    assert not epochs.duplicated(["trial", "epoch", "split", "device", "metric"]).any()
    saved = results.get("weights", f"{trial.id}.safetensors")
    assert saved is not None
    weights = safetensors.torch.load(saved)
    assert "network.classifier.weight" in weights
    assert "standardize.mean_F" in weights


@pytest.mark.parametrize(
    ("changes", "split"),
    [
        ({}, "seen"),
        ({"split.train_devices": ()}, "test"),
        ({"split.validation_fold": 2}, "validation"),
    ],
)
def test_the_split_that_is_named_is_the_one_whose_accuracy_is_reported(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path, changes: dict, split: str
):
    one = changed(trial, {"training.epochs": 2, **changes})
    assert headline(one) == split
    *_, told = run_trial(one, store, here, Results(tmp_path))
    rows = Results(tmp_path).read("metrics").to_pandas()
    rows = rows[(rows["split"] == split) & (rows["device"] == "all") & (rows["epoch"] == 2)]
    assert rows.loc[rows["metric"] == "accuracy", "value"].tolist() == [told.accuracy]


def test_done_is_done(trial: Trial, store: Store, here: machine.Machine, tmp_path: Path):
    list(run_trial(trial, store, here, Results(tmp_path)))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    (again,) = run_trial(trial, store, here, Results(tmp_path))
    assert again.status == "complete"
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before


SCRIPT = """
import sys
from pathlib import Path
from scaling import machine
from scaling.settings import Trial
from scaling.results.run_trial import run_trial
from scaling.results.records import Results
from scaling.sound.store import Store
trial = Trial.model_validate_json(sys.argv[1])
store = Store.open(Path(sys.argv[2]))
here = machine.here("cpu", "float32", 1)
for progress in run_trial(trial, store, here, Results(sys.argv[3])):
    print(progress.epoch, flush=True)
"""


def start(trial: Trial, store: Store, where: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", SCRIPT, trial.model_dump_json(), str(store.folder), str(where)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ)


def test_killed_in_mid_epoch_and_resumed(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    """A real process, killed by SIGKILL twice, at different moments of an epoch: the records of one
    left alone.
    """
    longer = changed(trial, {"training.epochs": 6})
    list(run_trial(longer, store, here, Results(tmp_path / "alone")))
    for patience in (0.05, 0.2):
        victim = start(longer, store, tmp_path / "killed")
        assert victim.stdout is not None
        before = int(
            victim.stdout.readline()
        )  # an epoch and its checkpoint are done: the next one runs
        time.sleep(patience)
        victim.send_signal(signal.SIGKILL)
        assert victim.wait() == -signal.SIGKILL
        assert before < 6
    survivor = start(longer, store, tmp_path / "killed")
    assert survivor.stdout is not None
    resumed_at = int(survivor.stdout.readline())
    assert survivor.wait() == 0
    assert resumed_at > 2, "the last attempt began at the start"
    assert records(tmp_path / "killed", longer) == records(tmp_path / "alone", longer)


def test_cut_between_metrics_and_checkpoint(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    """The narrowest moment: an epoch's metrics are written, its checkpoint is not. No row twice."""
    list(run_trial(trial, store, here, Results(tmp_path / "alone")))
    results = Results(tmp_path / "cut")
    attempt = run_trial(trial, store, here, results)
    next(attempt)
    earlier = results.get("checkpoints", trial.id, checkpoint.NAME)
    next(attempt)
    assert earlier is not None
    results.put(earlier, "checkpoints", trial.id, checkpoint.NAME)
    list(run_trial(trial, store, here, results))
    assert records(tmp_path / "cut", trial) == records(tmp_path / "alone", trial)


def test_a_trial_that_raises_has_failed_and_says_why(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    bad = changed(trial, {"training.batch": 100_000})
    (told,) = run_trial(bad, store, here, Results(tmp_path))
    assert told.status == "failed"
    (outcome,) = Results(tmp_path).read("outcomes").to_pylist()
    assert outcome["status"] == "failed"
    assert "only" in outcome["error"]
    assert "ValueError" in outcome["error"]


def test_a_loss_that_is_not_finite_is_a_failure_with_its_epoch(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path, monkeypatch
):
    real = CrossEntropy.loss

    def loss(self, outputs, targets, epoch):
        found = real(self, outputs, targets, epoch)
        factor = math.nan if epoch == 1 else 1
        return found._replace(parts={name: value * factor for name, value in found.parts.items()})

    monkeypatch.setattr(CrossEntropy, "loss", loss)
    *_, told = run_trial(trial, store, here, Results(tmp_path))
    assert told.status == "failed"
    (outcome,) = Results(tmp_path).read("outcomes").to_pylist()
    assert outcome["error"].startswith("Diverged: the loss became nan in epoch 2")
    assert outcome["epochs"] == 1
    assert set(Results(tmp_path).read("metrics")["epoch"].to_pylist()) == {1}


def test_a_damaged_checkpoint_costs_its_epochs_not_the_trial(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    list(run_trial(trial, store, here, Results(tmp_path / "alone")))
    results = Results(tmp_path / "damaged")
    next(run_trial(trial, store, here, results))
    results.put(b"not a checkpoint", "checkpoints", trial.id, checkpoint.NAME)
    with pytest.warns(UserWarning, match=f"trial {trial.id}: its checkpoint is damaged"):
        list(run_trial(trial, store, here, results))
    assert records(tmp_path / "damaged", trial) == records(tmp_path / "alone", trial)


def test_reset_undoes_what_a_trial_before_left(here: machine.Machine):
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    here.reset()
    assert torch.get_num_threads() == 1
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("tpu", "auto", 0), "device=tpu: must be auto, cpu, cuda or cuda:N"),
        (("cpu", "int8", 0), "precision=int8: must be auto, float32 or bfloat16"),
        (("cpu", "auto", -1), "threads=-1: must be at least 1"),
        (
            ("cpu", "auto", 10**9),
            r"threads=1000000000: this machine has \d+ processors: ask for",
        ),
        (("cuda:x", "auto", 0), "device=cuda:x: must be auto, cpu, cuda or cuda:N"),
        (("cuda:01", "auto", 0), "device=cuda:01: must be auto, cpu, cuda or cuda:N"),
        (("cpu:7", "auto", 0), "device=cpu:7: must be auto, cpu, cuda or cuda:N"),
        (("cuda:999", "auto", 0), "device=cuda:999: torch finds "),
        (("cpu", "float8", 0), "precision=float8: must be auto, float32 or bfloat16"),
    ],
)
def test_machines_that_are_not(words: tuple[str, str, int], line: str):
    with pytest.raises(ValueError, match=line):
        machine.here(*words)


def test_the_pair_set_is_kept(trial: Trial, store: Store, here: machine.Machine, tmp_path: Path):
    table = store.table.assign(city=[f"city {i % 5}" for i in range(len(store.table))])
    cities = dataclasses.replace(store, table=table)
    by_pairs = changed(trial, {"split.protocol": "pairs", "split.fold": 0, "training.epochs": 2})
    list(run_trial(by_pairs, cities, here, Results(tmp_path)))
    found = Results(tmp_path).read("pairs").to_pandas()
    assert set(found["part"]) == {"train", "test"}
    assert not found.duplicated(["city", "label"]).any()
    held = set(
        zip(*found.loc[found["part"] == "test", ["city", "label"]].to_numpy().T, strict=True)
    )
    heard = Results(tmp_path).read("predictions").to_pandas()
    city = dict(zip(table["clip"], table["city"], strict=True))
    assert set(zip(heard["clip"].map(city), heard["label"], strict=True)) <= set(map(tuple, held))


def test_a_checkpoint_of_another_version_is_not_taken_up(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    list(run_trial(trial, store, here, Results(tmp_path / "alone")))
    results = Results(tmp_path / "older")
    next(run_trial(trial, store, here, results))
    path = tmp_path / "older" / "checkpoints" / trial.id / checkpoint.NAME
    state = torch.load(path, weights_only=True)
    torch.save({name: value for name, value in state.items() if name != "version"}, path)
    with pytest.warns(
        UserWarning, match="is of another version of Overhear; the trial starts over"
    ):
        list(run_trial(trial, store, here, results))
    assert records(tmp_path / "older", trial) == records(tmp_path / "alone", trial)
