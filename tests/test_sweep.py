"""Sweeps through a real Ray: one that goes well, one whose worker is killed, one with a trial that
raises.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound import datasets
from scaling.sound.packing import pack

STUDY = """
from scaling.settings import Trial, changed
QUESTION = "Does the sweep hold?"
SOURCE = "its own test"
def trials():
    base = Trial.model_validate_json({base!r})
    for changes in {changes!r}:
        yield changed(base, changes)
"""


def study(folder: Path, trial: Trial, changes: list[dict[str, object]]) -> tuple[str, list[Trial]]:
    path = folder / "mine.py"
    path.write_text(STUDY.format(base=trial.model_dump_json(), changes=changes))
    return str(path), [changed(trial, each) for each in changes]


def brief(trial: Trial) -> Trial:
    """Epochs of a tenth of a second, and enough of them to be disturbed in."""
    return changed(trial, {"sound.classes": ("meadow", "street"), "training.epochs": 20})


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "overhear", *words]


def overhear(*words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        command(*words), capture_output=True, text=True, check=False, timeout=240
    )
    assert ended.returncode == expect, ended.stdout + ended.stderr
    return ended


def by_epoch(where: Path) -> list[dict[str, object]]:
    """All metrics but those of a clock, in one order."""
    rows = Results(where).read("metrics").to_pylist()
    kept = [row for row in rows if not str(row["metric"]).endswith("_seconds")]
    return sorted(
        kept, key=lambda r: (r["trial"], r["epoch"], r["split"], r["device"], r["metric"])
    )


def alone(trials: list[Trial], where: Path) -> list[dict[str, object]]:
    """What the same trials record without Ray, one after the other."""
    store = pack(datasets.scan("synthetic"), 16_000, progress=False)
    for trial in trials:
        list(run_trial(trial, store, machine.here("cpu", "float32", 1), Results(where)))
    return by_epoch(where)


def descendants(root: int) -> Iterator[tuple[int, str]]:
    """(pid, command line) of every living process below one, from Linux's /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1]), line
    for pid, (parent, line) in parents.items():
        above = parent
        while above in parents and above != root:
            above = parents[above][0]
        if above == root:
            yield pid, line


WILD = {"training.optimizer": "sgd", "training.rate": 10, "training.warmup": 0}  # with BOTTLENECK
BOTTLENECK = {"objective.kind": "bottleneck", "objective.latent": 4, "objective.beta": 1}


@pytest.mark.fault("trial raises an error", "it fails, with its error; the others continue")
@pytest.mark.fault("loss not finite", "the trial fails, with the epoch and the learning rate")
def test_a_sweep_with_trials_that_raise_and_diverge(trial: Trial, tmp_path: Path):
    """They are recorded as failed with their errors, the others complete; again, and nothing
    runs.
    """
    path, trials = study(
        tmp_path,
        trial,
        [
            {"seed": 0},
            {"transfer.trial": "0" * 12},
            {"seed": 1, "network.damping": 0.9},
            WILD | BOTTLENECK | {"sound.classes": ("meadow", "street"), "training.epochs": 20},
        ],
    )
    out = str(tmp_path / "results")
    words = "sweep", path, "--out", out, "--precision", "float32", "--max-concurrent", "1"
    ended = overhear(*words, expect=1)
    assert "2 of 4 trials complete" in ended.stdout
    assert "starting Ray" in ended.stderr
    assert "2 failed" in ended.stderr
    assert "2/4 done, 0 running, 2 failed" in ended.stderr
    outcomes = {row["trial"]: row for row in Results(out).read("outcomes").to_pylist()}
    assert [outcomes[t.id]["status"] for t in trials] == ["complete", "failed"] * 2
    assert "has no weights of it" in outcomes[trials[1].id]["error"]
    wild = outcomes[trials[3].id]["error"]
    assert re.match(r"Diverged: the loss became (nan|inf) in epoch \d+ \(rate ", wild)
    rows = [row for row in by_epoch(Path(out)) if row["trial"] != trials[3].id]
    assert rows == alone([trials[0], trials[2]], tmp_path / "alone")
    again = CliRunner().invoke(app, ["sweep", path, "--out", out])
    assert again.exit_code == 1, again.output
    assert "4 of 4 trials ended earlier and are skipped" in again.stdout
    planned = CliRunner().invoke(app, ["sweep", path, "--out", out, "--dry-run", "--json"])
    assert planned.exit_code == 0, planned.output
    facts = [json.loads(line) for line in planned.stdout.splitlines()]
    assert [fact["status"] for fact in facts] == ["complete", "failed"] * 2


@pytest.mark.fault(
    "worker killed",
    "another worker resumes its trial from the last epoch; after three times the trial fails",
)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the worker through /proc")
def test_a_worker_that_dies_is_retried(trial: Trial, tmp_path: Path):
    """SIGKILL to a worker in mid-trial: every trial completes, no row twice, none missing, none
    different.
    """
    path, trials = study(tmp_path, brief(trial), [{"seed": 0}, {"seed": 1}, {"seed": 2}])
    out = tmp_path / "results"
    words = command("sweep", path, "--out", str(out), "--precision", "float32", "--plain")
    words += ["--max-concurrent", "1"]  # each worker takes seconds to start
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as driver:
        killed = 0
        deadline = time.monotonic() + 120
        while driver.poll() is None and not killed and time.monotonic() < deadline:
            if any(out.glob("checkpoints/*/last.pt")):
                for pid, line in descendants(driver.pid):
                    if line.startswith("ray::ImplicitFunc") and not killed:
                        os.kill(pid, signal.SIGKILL)
                        killed = pid
            time.sleep(0.05)
        said, _ = driver.communicate(timeout=240)
    assert killed, said
    assert driver.returncode == 0, said
    assert "3 of 3 trials complete" in said
    assert "worker lost: " in said
    rows = by_epoch(out)
    assert len({tuple(row.items()) for row in rows}) == len(rows)
    assert rows == alone(trials, tmp_path / "alone")


def test_more_than_any_node_has_is_said_at_once(trial: Trial, tmp_path: Path):
    path, _ = study(tmp_path, trial, [{}])
    words = "sweep", path, "--out", str(tmp_path / "r"), "--cpus-per-trial", "1000"
    ended = overhear(*words, expect=2)
    assert "--cpus-per-trial 1000: this machine has" in ended.stderr
    assert "Traceback" not in ended.stderr
