"""One sweep at a time: who holds a results folder, who takes it over, and who does not."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.fs
import pytest
from test_object_store import Server
from test_object_store import port as moto  # noqa: F401

from scaling.results.records import Results
from sweeps.engine import lock

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds processes through /proc"
)
HOLDING = """
import sys, time
from scaling.results.records import Results
from sweeps.engine import lock
lock.STILL, lock.PAUSE, lock.SETTLE, lock.BEAT = 2.0, 0.1, 1.0, 0.2
try:
    with lock.held(Results(sys.argv[1])) as held:
        held.slots = 3
        print("held", flush=True)
        time.sleep(float(sys.argv[2]))
        print(held.taken or "whole", flush=True)
except ValueError as error:
    print(error, flush=True)
except KeyboardInterrupt:
    print(held.taken, flush=True)
"""
REFUSED = r"the sweep that began \S+ on \S+ \(process \d+\) writes to it: wait for its end, stop it"


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("STILL", 1.0), ("PAUSE", 0.1), ("BEAT", 0.2), ("SETTLE", 0.5)):
        monkeypatch.setattr(lock, name, seconds)


@pytest.fixture(params=["files", "objects"])
def results(request: pytest.FixtureRequest, tmp_path: Path) -> Results:
    """An empty results folder, on this machine and in a store."""
    if request.param == "files":
        made = Results(tmp_path / "results")
    else:
        server = Server(request.getfixturevalue("moto"), f"bucket-{time.monotonic_ns()}")
        making = server.uri() + "&allow_bucket_creation=true"
        pyarrow.fs.FileSystem.from_uri(making)[0].create_dir(server.bucket)
        made = Results(server.uri("study"))
    made.prepare()
    return made


def holding(results: Results, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the folder for a while."""
    words = [sys.executable, "-W", "ignore", "-c", HOLDING, results.address, str(seconds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def says(results: Results) -> dict[str, object]:
    content = results.get(lock.FILE)
    assert content is not None
    found = json.loads(content)
    assert isinstance(found, dict)
    return found


def elsewhere(results: Results, beat: int = 7) -> dict[str, object]:
    """A sweep of another machine says that it holds the folder."""
    said = {"host": "far", "machine": "other", "pid": 1, "started": "1", "token": "theirs"}
    said |= {"slots": 4, "begun": "2026-01-01T00:00:00+00:00", "beat": beat}
    results.put(json.dumps(said).encode(), lock.FILE)
    return said


def test_what_is_said_of_the_holder(results: Results):
    with lock.held(results) as mine:
        first = says(results)
        assert first["pid"] == os.getpid()
        assert first["slots"] is None
        mine.slots = 5
        end = time.monotonic() + 20
        while says(results)["slots"] != 5 and time.monotonic() < end:
            time.sleep(0.1)
        later = says(results)
    assert later["slots"] == 5
    assert later["beat"] > first["beat"]
    assert {"host", "pid", "slots", "begun", "beat"} <= later.keys()
    assert results.get(lock.FILE) is None


def test_a_living_holder_of_this_machine_is_named_at_once(results: Results):
    with holding(results, 60) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        begun = time.monotonic()
        with pytest.raises(ValueError, match=REFUSED) as caught, lock.held(results):
            pass
        assert time.monotonic() - begun < lock.STILL
        assert f"(process {first.pid})" in str(caught.value)
        assert "\n" not in str(caught.value)
        first.kill()


def test_a_killed_holder_of_this_machine_is_taken_over_at_once(
    results: Results, monkeypatch: pytest.MonkeyPatch
):
    """Even where its parent has not yet asked what became of it."""
    monkeypatch.setattr(lock, "STILL", 1e6)
    with holding(results, 60) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        os.kill(first.pid, signal.SIGKILL)
        while Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        with lock.held(results):
            assert says(results)["pid"] == os.getpid()


def test_a_later_process_of_the_same_id_is_another_one(results: Results):
    """As after many others: the id of a dead holder is given again."""
    with lock.held(results):
        said = says(results)
    results.put(json.dumps(said | {"started": "1"}).encode(), lock.FILE)
    with lock.held(results):
        assert says(results)["token"] != said["token"]


def test_a_holder_of_another_machine_is_watched(results: Results):
    """By this machine's clock: what stands still is taken over, what beats is not."""
    elsewhere(results)
    begun = time.monotonic()
    taken = lock.Lock(results)
    with pytest.warns(UserWarning, match=r"on far \(process 1\) wrote to it: checking for 1 s"):
        taken.take()
    assert time.monotonic() - begun >= lock.STILL
    taken.release()
    elsewhere(results)
    threading.Timer(0.5, elsewhere, (results, 8)).start()
    again = lock.Lock(results)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=REFUSED):  # noqa: PT030
        again.take()
    assert says(results)["beat"] == 8, "what another holds is left alone"


def test_one_of_many_takes_over(results: Results):
    """Four processes find the same dead holder of another machine at the same time."""
    elsewhere(results)
    crowd = [holding(results, 4) for _ in range(4)]
    told = [process.communicate(timeout=100)[0] for process in crowd]
    held = [lines for lines in told if lines.startswith("held\n")]
    assert held == ["held\nwhole\n"], told
    assert sum(re.search(REFUSED, lines) is not None for lines in told) == 3, told
    assert results.get(lock.FILE) is None


@pytest.mark.filterwarnings("ignore:results folder:UserWarning")
def test_who_makes_up_its_mind_while_another_takes_over_does_not(results: Results):
    elsewhere(results)
    quick = lock.Lock(results)

    class Slow(lock.Lock):
        def _lives(self, found: dict[str, object]) -> bool:
            if found["token"] == "theirs":
                quick.take()
                return False
            return super()._lives(found)

    slow = Slow(results)
    with pytest.raises(ValueError, match=REFUSED):
        slow.take()
    assert says(results)["pid"] == os.getpid()
    quick.release()


def test_a_holder_that_was_taken_for_dead_stops(results: Results):
    """As after a long sleep of its machine."""
    with holding(results, 60) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        first.send_signal(signal.SIGSTOP)
        theirs = elsewhere(results)
        first.send_signal(signal.SIGCONT)
        assert "on far (process 1) has taken it over" in first.stdout.readline()
        assert first.wait(20) == 0
    assert says(results) == theirs, "what another holds is left alone"


def test_what_is_no_lock_is_none(results: Results) -> None:
    for content in (b"", b"[1]", b"{torn"):
        results.put(content, lock.FILE)
        with lock.held(results):
            assert says(results)["pid"] == os.getpid()
