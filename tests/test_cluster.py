"""Sweeps over several Ray nodes on one machine, each with a cache of its own.

The driver's folder of packed clips is named as one that none of them sees, as on other machines.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from test_own_parts import FILES, NET
from test_sweep import alone, by_epoch, descendants, overhear, study

from scaling.own import parts
from scaling.results.records import HIDDEN, Results
from scaling.results.run_trial import Progress
from scaling.settings import Trial, changed
from scaling.sound import datasets
from scaling.sound.packing import pack
from sweeps.engine import ray_callbacks
from sweeps.engine.display import Display
from sweeps.engine.preflight import Task
from sweeps.engine.ray_tune import sweep
from sweeps.launch import Compute, Resources

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds workers through /proc"
)
SMALL = {"object_store_memory": 100 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def packed() -> Path:
    """The packed clips of the embedded dataset."""
    return pack(datasets.scan("synthetic"), 16_000, progress=False).folder


@pytest.fixture
def brief(trial: Trial) -> Trial:
    """Epochs of well under a second, and enough of them to be disturbed in."""
    return changed(trial, {"sound.classes": ("meadow", "street"), "training.epochs": 7})


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Ray's own folder: short, as its sockets' names must be."""
    folder = Path(f"/tmp/overhear-{os.getpid()}")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _ray_of_its_own(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(temporary))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_prestart_worker_first_driver", "0")  # which no trial would use


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made = Cluster()
    yield made
    made.shutdown()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def kept(where: Path, trials: list[Trial]) -> tuple[object, ...]:
    """All that trials left, but what a clock measured."""
    results = Results(where)
    names = sorted(trial.id for trial in trials)
    assert results.names("outcomes") == names
    assert set(results.read("outcomes")["status"].to_pylist()) == {"complete"}
    weights = [results.get("weights", f"{name}.safetensors") for name in names]
    return by_epoch(where), results.read("predictions", names).to_pylist(), weights


def check_once(where: Path) -> None:
    """No row of the records is there twice."""
    results = Results(where)
    metrics = results.read("metrics").to_pandas()
    assert not metrics.duplicated(["trial", "epoch", "split", "device", "metric"]).any()
    predictions = results.read("predictions").to_pandas()
    assert not predictions.duplicated(["trial", "epoch", "split", "clip"]).any()
    assert not results.read("outcomes").to_pandas().duplicated("trial").any()


def leftovers(where: Path) -> list[str]:
    return [path.name for path in where.iterdir() if path.name.startswith(HIDDEN)]


def workers(node: Any) -> list[int]:
    """The processes of a node's trials."""
    raylet = node.all_processes["raylet"][0].process.pid
    return [pid for pid, line in descendants(raylet) if line.startswith("ray::ImplicitFunc")]


class Disturbed(Display):
    """Kills a worker, then the node of another one; when they are missed lets a node join and kills
    the last of the old ones. Each in mid-trial; no trial can lose its worker three times.
    """

    def disturb(self, cluster: Any, nodes: list[Any], joining: dict[str, Any]) -> None:
        self.cluster, self.nodes, self.joining = cluster, nodes, joining
        self.done: list[str] = []
        self.lost = 0

    def heard(self, progress: Progress) -> None:
        super().heard(progress)
        if progress.status != "running" or progress.epoch < 2:
            return
        first, second = self.nodes
        if not self.done and workers(second) and (found := workers(first)):
            os.kill(found[0], signal.SIGKILL)
            self.done.append("worker")
        elif self.done == ["worker"] and self.lost == 1 and workers(second):
            self.cluster.remove_node(second, allow_graceful=False)
            self.done.append("node")
        elif self.done == ["worker", "node"] and self.lost == 2 and workers(first):
            self.cluster.add_node(**self.joining)
            self.cluster.remove_node(first, allow_graceful=False)
            self.done.append("all but the one that joined")

    def retried(self, trial: str) -> None:
        super().retried(trial)
        self.lost += 1


def member(cache: Path, **more: str) -> dict[str, Any]:
    """A node with its own cache, named after it."""
    own = {"OVERHEAR_CACHE": str(cache), **more}
    return {"num_cpus": 1, "node_name": cache.name, "env_vars": own, **SMALL}


def show(trials: list[Trial], kind: type[Display] = Display) -> Any:
    console = Console(file=sys.stderr)
    return kind(trials, {trial.id: 1 for trial in trials}, console, True)


@pytest.mark.fault(
    "node killed",
    "its trials resume from their last epoch on other nodes, and on nodes that join meanwhile",
)
def test_a_worker_and_a_node_die_and_another_joins(
    cluster: Any, brief: Trial, packed: Path, tmp_path: Path
):
    """Every trial completes, each row is there once, and none differs from an undisturbed run's."""
    trials = [changed(brief, {"seed": seed}) for seed in range(5)]
    alone(trials, tmp_path / "alone")
    caches = [tmp_path / name for name in ("first", "second", "third")]
    for cache in caches[:2]:  # the third has to pack for itself
        cache.mkdir()
        (cache / packed.name).symlink_to(packed)
    cluster.add_node(**member(tmp_path / "head") | {"num_cpus": 0})
    running = [cluster.add_node(**member(cache)) for cache in caches[:2]]
    unseen = str(tmp_path / "elsewhere" / packed.name)
    task = Task({"synthetic@16000": unseen}, str(tmp_path / "out"), 1, Compute("cpu", "float32"))
    with show(trials, Disturbed) as display:
        display.disturb(cluster, running, member(caches[2]))
        sweep(trials, task, Resources(cluster.address), display)
    assert display.done == ["worker", "node", "all but the one that joined"]
    assert kept(tmp_path / "out", trials) == kept(tmp_path / "alone", trials)
    check_once(tmp_path / "out")
    assert leftovers(tmp_path / "out") == []
    assert (caches[2] / packed.name / "store.json").exists()


@pytest.mark.parametrize("died", [1, 3])
def test_a_trial_that_tune_gives_up_at_once_is_handed_to_it_again(
    trial: Trial, tmp_path: Path, died: int
):
    """As when a worker dies between two of its trials; but not one that has lost all it may."""
    display = show([trial])
    heard = ray_callbacks.listener(display, str(tmp_path))
    given_up = SimpleNamespace(
        config={"trial": trial.stated()},
        pickled_error_file=None,
        run_metadata=SimpleNamespace(num_failures=died),
    )
    heard.on_trial_error(1, [], given_up)
    assert heard.dropped == ({trial.id} if died == 1 else set())
    assert Results(tmp_path).names("outcomes") == ([] if died == 1 else [trial.id])
    assert display.left() == (1 if died == 1 else 0)


def test_what_a_node_lacks_is_said_before_any_trial(
    cluster: Any, trial: Trial, packed: Path, tmp_path: Path
):
    """One line for each, which names the node; a node that has the packed clips needs no others."""
    having, lacking = tmp_path / "having", tmp_path / "lacking"
    having.mkdir()
    lacking.mkdir()
    (having / packed.name).symlink_to(packed)
    for path in (having, lacking):
        cluster.add_node(**member(path, OVERHEAR_DATA=str(path)))
    recorded = changed(trial, {"sound.dataset": "fsdd"})
    driver = str(tmp_path / "elsewhere" / packed.name)
    task = Task({"fsdd@16000": driver}, str(tmp_path / "out"), 1, Compute("cpu", "float32"))
    with (
        show([recorded]) as display,
        pytest.raises(ValueError, match="no trial was started") as said,
    ):
        sweep([recorded], task, Resources(cluster.address), display)
    line = str(said.value)
    assert "\n" not in line
    assert "node having" not in line
    assert "no trial was started: node lacking (" in line
    assert "fsdd not found at" in line
    assert "OVERHEAR_DATA" in line
    assert Results(tmp_path / "out").names("outcomes") == []
    assert leftovers(tmp_path / "out") == []


@pytest.mark.fault(
    "node joins without the data, the code or the results folder",
    "one line names what it lacks; no trial is recorded as failed",
)
def test_a_node_that_joins_unfit_fails_no_trial(
    cluster: Any, brief: Trial, packed: Path, tmp_path: Path
):
    """It was not there to be looked at: its workers say what it lacks, and nothing is recorded."""
    having, joining = tmp_path / "having", tmp_path / "joining"
    having.mkdir()
    (having / packed.name).symlink_to(packed)
    recorded = changed(brief, {"sound.dataset": "fsdd", "training.epochs": 40})
    unseen = str(tmp_path / "elsewhere" / packed.name)
    task = Task({"fsdd@16000": unseen}, str(tmp_path / "out"), 1, Compute("cpu", "float32"))
    cluster.add_node(**member(tmp_path / "head") | {"num_cpus": 0})
    first = cluster.add_node(**member(having))

    class Replaced(Display):
        done = False

        def heard(self, progress: Progress) -> None:
            super().heard(progress)
            if not self.done and progress.epoch >= 2:
                self.done = True
                cluster.add_node(**member(joining, OVERHEAR_DATA=str(joining)))
                cluster.remove_node(first, allow_graceful=False)

    with (
        show([recorded], Replaced) as display,
        pytest.warns(UserWarning, match=r"node joining \(.*: the packed clips .* fsdd not found"),
    ):
        sweep([recorded], task, Resources(cluster.address), display)
    results = Results(tmp_path / "out")
    assert results.names("outcomes") == []
    assert results.names("metrics") == [recorded.id]
    assert "not run: node joining (" in display.errors[recorded.id]


def start(said: Path, prefix: list[str], *words: str) -> subprocess.Popen[bytes]:
    """`ray start`, once its node is up; what it says goes to a file."""
    bounds = "--num-cpus=1", f"--object-store-memory={100 * 2**20}", "--disable-usage-stats"
    line = [sys.executable, "-m", "ray.scripts.scripts", "start", *words, *bounds, "--block"]
    with said.open("wb") as file:
        process = subprocess.Popen([*prefix, *line], stdout=file, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while "Ray runtime started" not in said.read_text():
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.1)
    return process


def hiding(*folders: Path) -> list[str]:
    """What a command starts with that is to see other, empty folders in the place of these; nothing
    where the system forbids that.
    """
    unshare = ["unshare", "--mount"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    mounts = "".join(f"mount -t tmpfs none '{folder}' && " for folder in folders)
    return [*unshare, "sh", "-c", f'{mounts} exec "$@"', "sh"]


def test_two_machines_as_a_person_starts_them(
    brief: Trial, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """`ray start` twice, with a token, and the command line. The second has a disk of its own, but
    for one shared folder: it sees neither the study nor the network and the objective beside it.
    """
    (tmp_path / "token").write_text("overhear" * 8)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    own, cache, scratch = (tmp_path / name for name in ("own", "cache", "scratch"))
    own.mkdir()
    scratch.mkdir()
    apart = hiding(packed.parent, own, scratch)
    port = str(20_000 + os.getpid() % 10_000)
    for name in ("my_net", "my_loss"):
        (own / f"{name}.py").write_text(FILES[name])
    monkeypatch.setattr(parts, "_BESIDE", [own])
    mine = {**NET, "objective.kind": "my_loss:focal"}
    path, trials = study(own, brief, [{"seed": seed, **mine} for seed in range(3)])
    address, out, started = f"127.0.0.1:{port}", tmp_path / "shared" / "out", []
    words = "sweep", path, "--precision", "float32", "--address", address
    try:
        head = "--head", f"--port={port}", "--include-dashboard=false", "--node-name=first"
        started.append(start(tmp_path / "head", [], *head))
        with monkeypatch.context() as there:
            there.setenv("OVERHEAR_CACHE", str(cache))
            node = f"--address={address}", "--node-name=second"
            started.append(start(tmp_path / "node", apart, *node))
        monkeypatch.setenv("TMPDIR", str(scratch))
        ended = overhear(*words, "--out", str(out))
        refused = overhear(*words, "--out", str(own / "out"), expect=2 if apart else 0)
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(60)
    assert "3 of 3 trials complete" in ended.stdout
    alone(trials, tmp_path / "alone")
    assert kept(out, trials) == kept(tmp_path / "alone", trials)
    check_once(out)
    assert leftovers(out) == []
    if apart:
        assert (cache / packed.name / "store.json").exists()
        (line,) = [each for each in refused.stderr.splitlines() if each.startswith("overhear:")]
        assert line.startswith(
            "overhear: the cluster is not ready and no trial was started: node second ("
        )
        assert f"results folder {own}/out is not visible there: mount one folder" in line
        assert Results(own / "out").names("metrics") == []


def test_a_driver_without_a_token_is_told_so(
    trial: Trial, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OVERHEAR_CACHE", str(packed.parent))
    path, _ = study(tmp_path, trial, [{}])
    words = "--out", str(tmp_path / "out"), "--address", "127.0.0.1:9"
    ended = overhear("sweep", path, *words, expect=2)
    assert "\noverhear: --address 127.0.0.1:9: no Ray answers" in ended.stderr
    assert "no authentication token was found" in ended.stderr
    assert "Traceback" not in ended.stderr
