"""Failures that a sweep survives: each is made to happen during one, as docs/faults.md says.

The page's table is made from the marks (docs/reference.py). Other faults are in the tests of
sweeps, of clusters and of guards; a lock's own tests in tests/test_lock.py.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import psutil
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from test_cluster import check_once, kept, start
from test_object_store import Server
from test_object_store import port as moto  # noqa: F401
from test_sweep import alone, brief, command, overhear, study

from scaling import machine
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial
from scaling.sound.store import Store
from scaling.storage import patiently

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds processes through /proc"
)
ENOUGH = 120.0  # seconds for what takes ten
GO_ON = "run the same command again to resume"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """Where trials were run once without a sweep, by what of them is compared."""
    return tmp_path_factory.mktemp("undisturbed"), {}


@pytest.fixture
def planned(trial: Trial, tmp_path: Path, undisturbed: tuple[Path, dict[str, Path]]):
    """The words of a sweep of three brief trials into a folder, the trials, and what they record
    when nothing disturbs them.
    """
    path, trials = study(tmp_path, brief(trial), [{"seed": seed} for seed in range(3)])
    folder, ready = undisturbed
    if "three" not in ready:
        alone(trials, folder)
        ready["three"] = folder
    # one at a time, for a worker takes seconds to start
    words = "sweep", path, "--precision", "float32", "--plain", "--max-concurrent", "1", "--out"
    return words, trials, kept(folder, trials)


@contextlib.contextmanager
def running(*words: str, prefix: tuple[str, ...] = (), **more: str) -> Iterator[subprocess.Popen]:
    """A command of ours, which does not outlive this."""
    line = [*prefix, *command(*words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(line, env=os.environ | more, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def until(reached: Callable[[], object], *alive: subprocess.Popen) -> None:
    end = time.monotonic() + ENOUGH
    while not reached():
        for process in alive:
            assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def ended(process: subprocess.Popen, code: int) -> str:
    said, _ = process.communicate(timeout=ENOUGH)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


def under_way(out: Path) -> Callable[[], bool]:
    """Whether a trial has trained an epoch and not yet all of them."""
    return lambda: any(out.glob("checkpoints/*/last.pt"))


def lines(said: str) -> list[str]:
    """What is said to the person, but for the progress of trials."""
    return [line for line in said.splitlines() if line.startswith("overhear: ")]


# drivers


@pytest.mark.fault(
    "second sweep started on the same results folder",
    "it is refused in one line that names the first; if that one runs on another machine, after "
    "the seconds it takes to see that it is alive",
)
@pytest.mark.fault(
    "driver killed",
    "the same command, even at once, resumes each trial from its last epoch; a worker that "
    "outlives its driver for a moment writes the same records, whole",
)
def test_a_second_driver_refuses_and_a_killed_one_is_taken_over(planned, tmp_path: Path):
    words, trials, expected = planned
    out = tmp_path / "out"
    with running(*words, str(out)) as first:
        until(under_way(out), first)
        before = (out / "sweep.json").read_text()
        refused = overhear(*words, str(out), expect=2)
        assert (out / "sweep.json").read_text() == before or '"beat": 0' not in before
        assert re.fullmatch(
            rf"planning the study\noverhear: results folder {out}: the sweep that began \S+ on "
            rf"{os.uname().nodename} \(process {first.pid}\) writes to it: wait for its end, "
            r".*--out\n",
            refused.stderr,
        )
        until(under_way(out), first)
        first.send_signal(signal.SIGKILL)
        first.wait()
    # its worker may still have ended the trial that was under way, and taken its checkpoint along
    assert (out / "sweep.json").exists(), "it had ended before it was killed"
    begun = time.monotonic()
    assert "3 of 3 trials complete" in overhear(*words, str(out)).stdout
    assert time.monotonic() - begun < 60, "it waited for the dead"
    assert kept(out, trials) == expected
    check_once(out)
    assert not (out / "sweep.json").exists()


def test_a_worker_that_outlives_its_driver_leaves_what_another_has_ended(
    trial: Trial, store: Store, tmp_path: Path
):
    """It hangs for a while behind its first epoch; without a look it would write old metrics."""
    here, results = machine.here("cpu", "float32", 1), Results(tmp_path)
    late = run_trial(trial, store, here, results)
    next(late)
    list(run_trial(trial, store, here, results))
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    (told,) = late
    assert (told.status, told.epoch) == ("complete", trial.training.epochs)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before


# results folders


class Room:
    """A small filesystem of its own at a folder, which the processes started in it see."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.holder = subprocess.Popen(["unshare", "--mount", "sleep", "infinity"])
        self.inside = "nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt"
        self.seen = Path(f"/proc/{self.holder.pid}/root{folder}")
        mine = Path("/proc/self/ns/mnt").readlink()
        until(lambda: Path(f"/proc/{self.holder.pid}/ns/mnt").readlink() != mine)
        self.do("mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder))

    def do(self, *words: str) -> bool:
        return subprocess.run([*self.inside, *words], check=False).returncode == 0

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.seen / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def records(self, kind: str) -> list[dict[str, object]]:
        files = (self.seen / "out" / kind).glob("*.parquet")
        return [row for file in files for row in pq.read_table(file).to_pylist()]

    def end(self) -> None:
        self.holder.kill()
        self.holder.wait()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    try:
        subprocess.run(["unshare", "--mount", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system lets nobody mount a filesystem")
    room = Room(tmp_path / "room")
    yield room
    room.end()


FOLDER = (
    "the sweep ends with one line and exit code 1; no trial is recorded as failed, and the same "
    "command resumes the sweep"
)


@pytest.mark.fault("results folder full", FOLDER)
@pytest.mark.fault("results folder becomes read-only", FOLDER)
def test_a_folder_that_fills_up_and_one_that_becomes_read_only(planned, room: Room, tmp_path: Path):
    """A real filesystem, filled to its last byte and mounted read-only, in mid-trial."""
    words, trials, expected = planned
    out = room.seen / "out"
    line = (*words, str(room.folder / "out"))
    told = r"overhear: results folder \S+ cannot be written \({}\): {}, or name another with "
    with running(*line, prefix=room.inside) as driver:
        until(under_way(out), driver)
        room.fill()
        said = ended(driver, 1)
    (one,) = lines(said)
    assert re.match(told.format("No space left on device", "free some space"), one)
    assert one.endswith(GO_ON)
    with running("status", str(room.folder / "out"), "--json", prefix=room.inside) as look:
        counts = json.loads(ended(look, 0))
    assert (counts["trials"], counts["failed"]) == (3, 0), "it says what was planned"
    (room.seen / "filler").unlink()
    epochs = {path.stem for path in out.glob("metrics/*.parquet")}
    with running(*line, prefix=room.inside) as driver:
        until(lambda: {path.stem for path in out.glob("metrics/*.parquet")} > epochs, driver)
        until(lambda: room.do("mount", "-o", "remount,ro", str(room.folder)), driver)
        said = ended(driver, 1)
    (one,) = lines(said)
    assert re.match(told.format("Read-only file system", "make its filesystem writable"), one)
    assert {row["status"] for row in room.records("outcomes")} <= {"complete"}
    assert (out / "sweep.json").exists(), "it could not be removed, and stops nobody"
    assert room.do("mount", "-o", "remount,rw", str(room.folder))
    with running(*line, prefix=room.inside) as driver:
        assert "3 of 3 trials complete" in ended(driver, 0)
    assert not list(out.rglob(".writing-*"))
    shutil.copytree(out, tmp_path / "copy")  # the link in /proc leads elsewhere when resolved
    assert kept(tmp_path / "copy", trials) == expected
    check_once(tmp_path / "copy")


class Proxy:
    """Hands on what is said to a server, unless its `mode` is to deny, to be busy or to hang up."""

    ANSWERS: ClassVar = {
        "deny": ("403 Forbidden", "AccessDenied"),
        "busy": ("503 Slow Down", "SlowDown"),
    }

    def __init__(self, port: int) -> None:
        self.server, self.mode = port, ""
        self.refused = {"deny": 0, "busy": 0, "hang up": 0}
        self.open: list[socket.socket] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with contextlib.suppress(OSError):  # when it is closed
            while True:
                client, _ = self.listening.accept()
                threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client: socket.socket) -> None:
        mode = self.mode
        with contextlib.suppress(OSError), client:
            if not mode:
                self.hand_on(client)
                return
            self.refused[mode] += 1
            if mode in self.ANSWERS:
                self.refuse(client, *self.ANSWERS[mode])

    def hand_on(self, client: socket.socket) -> None:
        def pump(source: socket.socket, sink: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)

        with socket.create_connection(("127.0.0.1", self.server)) as server:
            self.open += [client, server]
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join()

    def refuse(self, client: socket.socket, status: str, code: str) -> None:
        said = b""
        while b"\r\n\r\n" not in said:
            said += (got := client.recv(65536))
            if not got:
                return
        head, _, body = said.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head.lower())
        left = int(length[1]) - len(body) if length and b"100-continue" not in head.lower() else 0
        while left > 0:
            left -= len(client.recv(65536)) or left
        why = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>"
        headers = (
            "Content-Type: application/xml",
            f"Content-Length: {len(why)}",
            "Connection: close",
        )
        client.sendall("\r\n".join((f"HTTP/1.1 {status}", *headers, "", why)).encode())

    def turn(self, mode: str) -> None:
        """From now on, for those who are connected, too."""
        self.mode = mode
        while self.open:
            with contextlib.suppress(OSError):
                self.open.pop().shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(moto: int) -> Iterator[Proxy]:  # noqa: F811
    proxy = Proxy(moto)
    yield proxy
    proxy.turn("hang up")
    proxy.listening.close()


@pytest.fixture
def stores(moto: int, proxy: Proxy) -> tuple[Server, Server]:  # noqa: F811
    """The same bucket, as it is and behind the proxy."""
    plain = Server(moto, f"bucket-{os.getpid()}-{time.monotonic_ns()}")
    making = plain.uri() + "&allow_bucket_creation=true"
    pyarrow.fs.FileSystem.from_uri(making)[0].create_dir(plain.bucket)
    return plain, Server(proxy.port, plain.bucket)


@pytest.mark.fault(
    "object store busy or unreachable for a while",
    "refused requests are retried with growing pauses for 30 s (OVERHEAR_PATIENCE)",
)
@pytest.mark.fault("object store keeps refusing", FOLDER)
def test_a_store_that_refuses_for_good_and_for_a_while(
    planned, stores: tuple[Server, Server], proxy: Proxy
):
    """Longer than Arrow itself is patient, which is 6 s."""
    words, trials, expected = planned
    there = Results(stores[0].uri("study"))
    line = (*words, stores[1].uri("study"))

    def checkpoints() -> list[str]:
        everything = pyarrow.fs.FileSelector(there.path("checkpoints"), True, True)
        return [i.path for i in there.filesystem.get_file_info(everything) if i.is_file]

    with running(*line) as driver:
        until(checkpoints, driver)
        proxy.turn("deny")
        said = ended(driver, 1)
    (one,) = lines(said)
    assert re.search(r"cannot be (read|written) \(access is denied\): check AWS_ACCESS_KEY_ID", one)
    assert one.endswith(GO_ON)
    assert proxy.refused["deny"]
    proxy.turn("")
    assert there.names("outcomes") == []
    with running(*line) as driver:
        until(lambda: '"slots": 1' in str(there.get("sweep.json")) or checkpoints(), driver)
        reached = there.read("metrics").num_rows
        until(lambda: there.read("metrics").num_rows > reached, driver)
        for mode in ("busy", "hang up"):
            proxy.turn(mode)
            time.sleep(4)
        proxy.turn("")
        said = ended(driver, 0)
    assert proxy.refused["busy"]
    assert proxy.refused["hang up"]
    assert "3 of 3 trials complete" in said
    assert "worker lost" not in said
    results, names = there, sorted(trial.id for trial in trials)
    weights = [results.get("weights", f"{name}.safetensors") for name in names]
    assert weights == expected[2]
    assert results.read("predictions", names).to_pylist() == expected[1]
    metrics = results.read("metrics").to_pandas()
    assert not metrics.duplicated(["trial", "epoch", "split", "device", "metric"]).any()


PASSING = "When uploading: AWS Error {} during PutObject operation: no"


@pytest.mark.parametrize(
    "told",
    [
        *(PASSING.format(name) for name in ("SLOW_DOWN", "NETWORK_CONNECTION", "THROTTLING")),
        *(PASSING.format(f"UNKNOWN (HTTP status {number})") for number in (429, 500, 503)),
    ],
)
def test_what_may_pass_is_asked_again(told: str):
    """As Arrow 26 words it, tried out one by one; until it works, or for as long as was said."""
    answers = iter([OSError(told), OSError(told)])

    def ask() -> str:
        if error := next(answers, None):
            raise error
        return "done"

    assert patiently(ask, 60) == "done"
    answers = iter([OSError(told)] * 99)
    with pytest.raises(OSError, match="AWS Error"):
        patiently(ask, 0.1)
    assert len(list(answers)) == 97


@pytest.mark.parametrize("name", ["ACCESS_DENIED", "NO_SUCH_BUCKET", "UNKNOWN (HTTP status 400)"])
def test_what_will_not_pass_is_asked_once(name: str):
    asked = []

    def ask() -> None:
        asked.append(name)
        raise OSError(PASSING.format(name))

    with pytest.raises(OSError, match="AWS Error"):
        patiently(ask, 60)
    assert len(asked) == 1


@pytest.mark.parametrize("given", ["soon", "-1", "nan"])
def test_a_patience_that_is_none(given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OVERHEAR_PATIENCE", given)
    with pytest.raises(
        ValueError, match=f"^OVERHEAR_PATIENCE={given} must be a number of seconds, 0 or more$"
    ):
        Results(tmp_path)


# clusters and clocks


def heads_processes(head: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """All that a head is made of, but not the workers, which find out by themselves."""
    below = psutil.Process(head.pid).children(recursive=True)
    return [each for each in below if not each.name().startswith("ray::")]


@pytest.mark.fault(
    "head of the cluster killed or restarted",
    "the driver ends within seconds, with one line and exit code 1; with a head at the same "
    "address the same command resumes the sweep",
)
def test_a_head_that_is_killed_and_started_again(
    planned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    words, trials, expected = planned
    own = Path(f"/tmp/overhear-head-{os.getpid()}")
    own.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(own))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")
    address = f"127.0.0.1:{30_000 + os.getpid() % 2_000}"
    out, started = tmp_path / "out", []
    head = "--head", f"--port={address.partition(':')[2]}", "--include-dashboard=false"
    line = (*words, str(out), "--address", address)
    try:
        started.append(start(tmp_path / "head", [], *head))
        parts = heads_processes(started[0])
        with running(*line) as driver:
            until(under_way(out), driver)
            for part in parts:
                part.kill()
            begun = time.monotonic()
            said = ended(driver, 1)
        assert time.monotonic() - begun < 20
        (one,) = lines(said)
        assert one.startswith("overhear: the head of the cluster (")
        assert one.endswith(f"{address[-6:]}) is gone: start it again, then {GO_ON}")
        assert said.splitlines()[-1] == one, "Ray has the last word"
        assert not (out / "sweep.json").exists()
        started[0].kill()
        started.append(start(tmp_path / "again", [], *head))
        said = overhear(*line)
    finally:
        for process in started:
            for part in heads_processes(process) if process.poll() is None else []:
                part.kill()
            process.kill()
            process.wait()
        subprocess.run(["rm", "-rf", str(own)], check=True)
    assert "3 of 3 trials complete" in said.stdout
    assert kept(out, trials) == expected
    check_once(out)


CLOCK = Path(__file__).with_name("jumping_clock.c")
HOUR = 3600


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A library that makes the wall clock of a process jump, of whose source this is."""
    made = tmp_path / "jumping_clock.so"
    try:
        line = ["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(CLOCK), "-ldl"]
        subprocess.run(line, check=True, capture_output=True, text=True)
    except OSError:
        pytest.skip("needs a C compiler and its headers (Debian: gcc libc6-dev)")
    return made


@pytest.mark.fault(
    "clock jumps an hour forwards and back",
    "nothing: durations are measured by a clock that cannot jump",
)
def test_a_clock_that_jumps(planned, clock: Path, tmp_path: Path):
    """The wall clock of the driver, of Ray and of all workers, in mid-trial. (libfaketime 0.9 moves
    the other clock, too, or breaks Python's sleep.)
    """
    words, trials, expected = planned
    out, offset = tmp_path / "out", tmp_path / "offset"
    offset.write_bytes(bytes(8))
    begun = time.monotonic()
    faked = {"LD_PRELOAD": str(clock), "OVERHEAR_CLOCK": str(offset)}
    with running(*words, str(out), **faked) as driver, offset.open("r+b", buffering=0) as file:
        for jump in (HOUR, -HOUR, 0):
            stamps = saved(out)
            until(lambda stamps=stamps: saved(out) - stamps, driver)
            file.seek(0)
            file.write(jump.to_bytes(8, sys.byteorder, signed=True))
        assert "3 of 3 trials complete" in ended(driver, 0)
    took = time.monotonic() - begun
    assert kept(out, trials) == expected
    results = Results(out)
    metrics = results.read("metrics").to_pylist()
    seconds = [row["value"] for row in metrics if row["metric"].endswith("_seconds")]
    assert len(seconds) == 2 * sum(trial.training.epochs for trial in trials)
    assert all(0 <= each < took for each in seconds)
    assert all(0 < each < took for each in results.read("outcomes")["wall_s"].to_pylist())
    assert results.read("manifest")["trial"].to_pylist() == [trial.id for trial in trials]


def saved(out: Path) -> set[tuple[str, int]]:
    """Each file of metrics as it was written, once more with each epoch."""
    found = out.glob("metrics/*.parquet")
    return {(path.name, path.stat().st_ino) for path in found}
