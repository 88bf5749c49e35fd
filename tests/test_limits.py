"""What trials may take, on a real Ray with a GPU that is made up: memory, time, GPUs, threads; and
a worker whose GPU is of no use any more.
"""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from rich.console import Console
from test_sweep import study
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.results import memory
from scaling.results.manifest import Plan
from scaling.results.manifest import plan as make_plan
from scaling.results.outcome import Status
from scaling.results.records import Results
from scaling.results.run_trial import outcome_here
from scaling.settings import Trial, changed
from scaling.sound import datasets
from scaling.sound.packing import pack
from sweeps import schedule
from sweeps.engine import cluster, limits, ray_tune
from sweeps.engine.display import Display
from sweeps.engine.preflight import Task
from sweeps.engine.ray_callbacks import Account
from sweeps.engine.ray_session import RaySession
from sweeps.engine.ray_tune import sweep
from sweeps.launch import SIDE_BY_SIDE, Compute, Resources

HANGING, POISONED = 1, 2  # seeds of the trials that these befall
SECONDS = 27.0  # that an attempt may take: far more than those that do not hang, and than two
# workers that start, one after the other, on a busy machine


class Swept(NamedTuple):
    """A sweep that has ended."""

    trials: list[Trial]  # in the order in which Tune got them
    out: Path
    said: str
    attempts: list[dict[str, Any]]  # see `observed`


def observed(folder: Path, seconds: float = SECONDS) -> Any:
    """`ray_tune.work`, which writes down when and where each attempt ran; the trials with the seeds
    above hang without letting go of Python, and fail as on a GPU, after their first epoch.
    """

    def work(config: dict[str, Any], task: Task, limit: limits.Limit) -> None:
        # pickled by value: a worker cannot import this file
        import ctypes
        import json
        import os
        import time

        import torch

        from scaling.results import run_trial
        from scaling.training.methods import run
        from sweeps.engine.ray_tune import work

        def disturbed(trial: Trial, *rest: Any) -> Any:
            facts = {"trial": trial.id, "pid": os.getpid(), "begun": time.monotonic()}
            facts |= {"threads": torch.get_num_threads(), "omp": os.environ["OMP_NUM_THREADS"]}
            path = folder / f"{trial.id}-{facts['begun']}.json"
            path.write_text(json.dumps(facts | {"seen": time.monotonic()}))
            for epoch in run(trial, *rest):
                path.write_text(json.dumps(facts | {"seen": time.monotonic()}))
                yield epoch
                if trial.seed == 1:  # here for as long as it may run, and not much longer
                    path.write_text(json.dumps(facts | {"seen": facts["begun"] + 0.7 * seconds}))
                    ctypes.PyDLL(None).sleep(600)
                if trial.seed == 2:
                    raise torch.AcceleratorError("CUDA error: device-side assert triggered")

        run_trial.run = disturbed
        work(config, task, limit)

    return work


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Ray of 4 CPUs and 1 GPU, neither of which it has, and its memory monitor on."""
    from ray.cluster_utils import Cluster

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    temporary = Path(f"/tmp/overhear-guard-{os.getpid()}")  # short, as its sockets' names must be
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(temporary))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_prestart_worker_first_driver", "0")  # four, which no trial would use
        made = Cluster()
        made.add_node(
            **{"num_cpus": 4, "num_gpus": 1, "node_name": "only", "include_dashboard": False},
            **{"object_store_memory": 100 * 2**20, "env_vars": {limits.MONITOR: "250"}},
        )
        yield made.address
        made.shutdown()
    shutil.rmtree(temporary, ignore_errors=True)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def brief(trial: Trial) -> Trial:
    return changed(trial, {"sound.classes": ("meadow", "street")})


def planned(trials: list[Trial]) -> Plan:
    return make_plan("mine", trials, {"synthetic": datasets.scan("synthetic").table})


def swept(trials: list[Trial], folder: Path, resources: Resources) -> Swept:
    """A sweep in the order that a launch would choose; each attempt is observed."""
    folder.mkdir()
    out, whole = folder / "out", planned(trials)
    trials = [whole.trials[index] for index in schedule.pending(whole, Results(out))]
    macs = {trial.id: whole.work(index) for index, trial in enumerate(whole.trials)}
    packed = pack(datasets.scan("synthetic"), 16_000, progress=False).folder
    compute, stores = Compute("cpu", "float32"), {"synthetic@16000": str(packed)}
    task = Task(stores, str(out), resources.cpus, compute)
    console = Console(file=io.StringIO(), width=500)
    with pytest.MonkeyPatch.context() as patch, Display(trials, macs, console, True) as display:
        patch.setattr(ray_tune, "work", observed(folder))
        sweep(trials, task, resources, display)
    attempts = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    attempts.sort(key=lambda attempt: attempt["begun"])
    return Swept(trials, out, console.file.getvalue(), attempts)


@pytest.fixture(scope="module")
def disturbed(address: str, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """One sweep for all that may befall a trial: two at once, as half a GPU each allows."""
    import conftest

    base = brief(conftest.trial.__wrapped__())  # type: ignore[attr-defined]
    changes = [{"seed": 3}, {"network.width": 8, "seed": HANGING}, {"network.width": 512}]
    changes += [{"network.width": 3, "seed": POISONED}, {"network.width": 5, "training.epochs": 5}]
    trials = [changed(base, change) for change in changes]
    resources = Resources(address, 1, 0.5, memory=2**30, hours=SECONDS / 3600)
    with pytest.warns(UserWarning, match=r"node only \(.*: Ray's memory monitor is on, .*=0$"):
        return swept(trials, tmp_path_factory.mktemp("guard") / "disturbed", resources)


def outcome(ran: Swept, **wanted: int) -> dict[str, Any]:
    """The outcome of the one trial with this seed or width."""
    (name,) = (
        trial.id
        for trial in ran.trials
        if wanted.items() <= {"seed": trial.seed, "width": trial.network.width}.items()
    )
    (row,) = Results(ran.out).read("outcomes", [name]).to_pylist()
    return row


@pytest.mark.fault(
    "out of memory",
    "the trial runs once more in a fresh worker; if it happens again, the trial fails, and its "
    "error says how much it held",
)
def test_a_trial_that_holds_too_much_runs_once_more_and_fails(disturbed: Swept):
    row = outcome(disturbed, width=512)
    held = r"held 1(\.\d)? GiB, more than --memory-per-trial 1 GiB"
    assert row["status"] == "failed"
    assert re.fullmatch(f"OutOfMemory: {held}, twice", row["error"])
    once = rf"^out of memory, {held}: .*W512 \({row['trial']}\) resumes once more from its last"
    assert len(re.findall(once, disturbed.said, re.MULTILINE)) == 1
    assert disturbed.said.count("OutOfMemory: ") == 1
    ran = [attempt["pid"] for attempt in disturbed.attempts if attempt["trial"] == row["trial"]]
    assert len(set(ran)) == 2, "each in another worker"
    note = disturbed.out / "checkpoints" / row["trial"] / memory.FILE
    assert not note.exists(), "two new tries"


@pytest.mark.fault(
    "trial hangs",
    "with --hours-per-trial it is ended and fails; its checkpoint stays",
)
def test_a_trial_that_hangs_is_ended(disturbed: Swept):
    """Though it holds Python's lock; what it reached stays, and it is not run again by itself."""
    row = outcome(disturbed, seed=HANGING)
    assert row["status"] == "failed"
    hours = f"{SECONDS / 3600:g}"
    assert row["error"].startswith(f"TimeLimit: took longer than --hours-per-trial {hours}")
    assert row["error"].endswith(", in epoch 2 of 3")
    assert SECONDS < row["wall_s"] < 2 * SECONDS
    assert (disturbed.out / "checkpoints" / row["trial"] / "last.pt").exists()
    (used,) = (a for a in disturbed.attempts if a["trial"] == row["trial"])
    assert not psutil.pid_exists(used["pid"])
    assert disturbed.said.count("TimeLimit: ") == 1
    assert "worker lost" not in disturbed.said


def test_a_worker_whose_gpu_is_broken_runs_no_other_trial(disturbed: Swept):
    row = outcome(disturbed, seed=POISONED)
    assert row["status"] == "failed"
    assert row["error"] == "AcceleratorError: CUDA error: device-side assert triggered"
    assert disturbed.said.count("AcceleratorError: ") == 1
    (used,) = (a for a in disturbed.attempts if a["trial"] == row["trial"])
    later = [a["pid"] for a in disturbed.attempts if a["begun"] > used["begun"]]
    assert used["pid"] not in later


def test_the_others_go_on(disturbed: Swept):
    assert outcome(disturbed, seed=3, width=2)["status"] == "complete"
    assert outcome(disturbed, width=5)["status"] == "complete"
    assert "2/5 done, 0 running, 3 failed" in disturbed.said


def at_once(attempts: list[dict[str, Any]]) -> int:
    """How many attempts ran at one time."""
    return max(
        sum(other["begun"] <= one["begun"] <= other["seen"] for other in attempts)
        for one in attempts
    )


def test_half_a_gpu_each_runs_two_at_once_the_largest_first(disturbed: Swept):
    """4 CPUs would run all four that need no second attempt."""
    assert at_once(disturbed.attempts) == 2
    first = list(dict.fromkeys(attempt["trial"] for attempt in disturbed.attempts))
    whole = planned(disturbed.trials)
    work = {trial.id: whole.work(index) for index, trial in enumerate(disturbed.trials)}
    assert [work[name] for name in first[2:]] == sorted((work[n] for n in first[2:]), reverse=True)
    assert set(first[:2]) == set(sorted(work, key=work.__getitem__)[-2:])


def test_a_whole_gpu_each_runs_one_at_once_on_the_threads_it_asked_for(
    address: str, disturbed: Swept, trial: Trial, tmp_path: Path
):
    trials = [changed(brief(trial), {"seed": seed}) for seed in (5, 6)]
    ran = swept(trials, tmp_path / "whole", Resources(address, 2, 1))
    assert at_once(ran.attempts) == 1
    assert {attempt["threads"] for attempt in disturbed.attempts} == {1}
    assert {attempt["omp"] for attempt in disturbed.attempts} == {"1"}
    assert {attempt["threads"] for attempt in ran.attempts} == {2}
    assert {attempt["omp"] for attempt in ran.attempts} == {"2"}
    for more, line in (
        ({"gpus": 2.0}, r"--gpus-per-trial 2: the largest node has 1 GPU: .*\(it is only \("),
        ({"memory": 2**50}, r"--memory-per-trial 1 PiB: the largest node has .* GiB of mem"),
    ):
        asked = Resources(address, **more)
        with pytest.raises(ValueError, match=line):
            swept(trials, tmp_path / str(*more), asked)
        assert not list((tmp_path / str(*more)).glob("*.json"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--memory-per-trial", "abc"),
            "--memory-per-trial 'abc' is not a size: write a number and",
        ),
        (
            ("--memory-per-trial", "4"),
            "--memory-per-trial '4' is not a size: write a number and a unit",
        ),
        (("--memory-per-trial", "0GiB"), "--memory-per-trial 0GiB: a worker holds 400 MiB before"),
        (
            ("--gpus-per-trial", "1.5"),
            "--gpus-per-trial 1.5 must be a share of one GPU, such as 0.25, or a wh",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_said_at_once(
    words: tuple[str, str], line: str, trial: Trial, tmp_path: Path
):
    path, _ = study(tmp_path, trial, [{}])
    ended = CliRunner().invoke(app, ["sweep", path, "--out", str(tmp_path / "out"), *words])
    assert isinstance(ended.exception, ValueError)
    assert str(ended.exception).startswith(line)
    assert "\n" not in str(ended.exception)
    assert not (tmp_path / "out").exists()


def test_what_is_asked_for_arrives(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, _ = study(tmp_path, trial, [{}])
    given = []
    monkeypatch.setattr(ray_tune, "sweep", lambda *words, **more: given.extend(words))
    monkeypatch.setattr(cluster, "check", lambda *_: None)  # this machine may have no GPU
    words = "--memory-per-trial", "1.5 GiB", "--hours-per-trial", "0.5", "--gpus-per-trial", "0.25"
    words += "--frontend-backend", "torchaudio", "--stack", "auto", "--mps"
    monkeypatch.setattr(RaySession, "begin", lambda *_: None)  # nor its MPS
    told = CliRunner().invoke(app, ["sweep", path, "--out", str(tmp_path / "out"), *words])
    assert given, told.exception
    (task,) = (word for word in given if isinstance(word, Task))
    assert task.compute == Compute("cuda", frontend="torchaudio"), "no processor instead"
    (resources,) = (word for word in given if isinstance(word, Resources))
    expected = Resources(gpus=0.25, memory=3 * 2**29, hours=0.5, stack=SIDE_BY_SIDE, mps=True)
    assert resources == expected


@pytest.mark.parametrize("status", ["complete", "failed"])
def test_an_end_that_was_recorded_stands(trial: Trial, tmp_path: Path, status: str):
    """A trial that ends while it is being ended for its time, or whose worker dies behind it."""
    results = Results(tmp_path)
    results.end(outcome_here(trial, Status(status), None, 3, 1.0))
    console = Console(file=io.StringIO(), width=500)
    account = Account(Display([trial], {trial.id: 1}, console, True), results, 1.0)
    for ends in (account.overdue, account.lost, account.overdue):
        ends(trial)
    assert account.display.status == {trial.id: status}
    assert results.read("outcomes")["status"].to_pylist() == [status]
    assert "TimeLimit" not in console.file.getvalue()
    assert "worker lost" not in console.file.getvalue()


HOLDS = """
import sys, time
from sweeps.engine import limits
from scaling.results.records import Results
limits._fresh()
hoard = bytearray(b"x" * {held})
print("holds", flush=True)
with limits.watched("abc", Results({out!r}), limits.Limit({limit})):
    time.sleep(60)
"""


def holding(out: Path, held: int, limit: str = "None, 2.0") -> subprocess.Popen[str]:
    """A process that holds this many bytes, watched with this limit; 2.0 of a node is none.

    By a name of its own: what else this process has started is no worker of its trials.
    """
    code = HOLDS.format(held=held, out=str(out), limit=limit)
    holder = out / "holder"
    if not holder.exists():
        holder.symlink_to(sys.executable)
    known = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([holder, "-c", code], stdout=subprocess.PIPE, text=True, env=known)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def test_a_node_that_is_full_loses_its_largest_trial(tmp_path: Path):
    """The others, which are children of the same process, hold less and stay."""
    small, large = holding(tmp_path, 10 * 2**20), holding(tmp_path, 300 * 2**20)
    try:
        held = {each.pid: limits._held(psutil.Process(each.pid)) for each in (small, large)}
        assert held[large.pid] - held[small.pid] > 250 * 2**20
        assert not limits._largest(psutil.Process(small.pid), held[small.pid])
        assert limits._largest(psutil.Process(large.pid), held[large.pid])
        fullest = holding(tmp_path, 500 * 2**20, "None, 0.0")
        assert fullest.wait(30) == limits.EXIT
        left = memory.read("abc", Results(tmp_path))
        assert left is not None
        assert left.times == 1
        assert re.match(
            r"held 5\d\d(\.\d)? MiB, the most of the trials on .*, whose memory was ", left.reason
        )
        outgrown = holding(tmp_path, 10 * 2**20, "None, 0.0")
        time.sleep(3 * limits.INTERVAL * limits.LOOKS)
        assert outgrown.poll() is None
        outgrown.kill()
        assert small.poll() is None
        assert large.poll() is None
    finally:
        small.kill()
        large.kill()


def test_what_earlier_trials_left_is_not_held_against_a_trial(tmp_path: Path):
    """300 MiB of which came before the watch began, after the process had held its first trial."""
    same = holding(tmp_path, 300 * 2**20, f"{200 * 2**20}, 2.0")
    time.sleep(3 * limits.INTERVAL * limits.LOOKS)
    assert same.poll() is None
    same.kill()
    more = holding(tmp_path, 0, f"{10 * 2**20}, 2.0")
    assert more.wait(30) == limits.EXIT
    assert memory.read("abc", Results(tmp_path)).times == 1
    memory.forget("abc", Results(tmp_path))
    assert memory.read("abc", Results(tmp_path)) is None


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_group_that_is_nearly_full_is_seen(version: int, tmp_path: Path):
    """Its own or one that it lies in; what the kernel can drop counts as free."""
    line, root = ("4:cpu,memory:/a/b", "memory") if version == 1 else ("0::/a/b", "")
    names = ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_")
    current, most, prefix = names if version == 1 else ("memory.current", "memory.max", "")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"2:pids:/a/b\n{line}\n")
    outer = tmp_path / "sys/fs/cgroup" / root / "a"
    (outer / "b").mkdir(parents=True)
    unlimited = str(2**63 - 4096) if version == 1 else "max"
    for folder, limit in ((outer, "1000"), (outer / "b", unlimited)):
        (folder / current).write_text("990\n")
        (folder / most).write_text(f"{limit}\n")
        (folder / "memory.stat").write_text(f"{prefix}active_file 10\n{prefix}inactive_file 10\n")
    groups = limits.control_groups(tmp_path)
    assert limits.occupied(groups, 0.95) == pytest.approx(0.97)
    (outer / "memory.stat").write_text(f"{prefix}active_file 5\n{prefix}inactive_file 800\n")
    assert limits.occupied(groups, 0.95) < 0.95


def test_this_machine_has_memory_in_use():
    used = psutil.virtual_memory()
    assert 0 < limits.occupied(limits.control_groups(), 0.0) <= 1
    assert limits.occupied([], 0.0) == pytest.approx(1 - used.available / used.total, abs=0.05)


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (None, False),
        ("ValueError: training.batch", False),
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", False),
        ("AcceleratorError: CUDA error: device-side assert triggered", True),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_EXECUTION_FAILED", True),
        ("RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", True),
        ("AcceleratorError: CUDA error: out of memory", False),
    ],
)
def test_errors_after_which_a_gpu_is_of_no_use(error: str | None, ends: bool):
    assert machine.broken(error) == ends


@pytest.mark.parametrize(
    "content",
    [b"", b"torn", b"[]", b"3", b"{}", b'{"times": "1", "reason": "r"}', b'{"times": -1}',
     b'{"times": 1e400, "reason": ""}', b'{"times": 1, "reason": []}', b"[" * 99_999,
     b"x" * 200_000, b'{"times": 99999999999999999999, "reason": "r"}'],
)  # fmt: skip
def test_a_damaged_note_counts_as_none(tmp_path: Path, content: bytes):
    """A trial that is looked at goes on, with one warning."""
    results = Results(tmp_path)
    results.put(content, "checkpoints", "abc", memory.FILE)
    with pytest.warns(UserWarning, match=r"^trial abc: its memory.json is damaged \(") as said:
        assert memory.read("abc", results) is None
    assert len(said) == 1
    assert "\n" not in str(said[0].message)
