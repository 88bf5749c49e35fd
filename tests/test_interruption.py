"""How a process that is told to end does: each in a process of its own, by real signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scaling.interruption import SAME
from scaling.results.lock_file import started

BEGIN = """
import os, signal, subprocess, sys, threading, time
from scaling import interruption
from scaling.interruption import Stopped
interruption.GRACE = 3.0
interruption.expect()
"""
END = """
print("done", flush=True)
os._exit(interruption.asked())
"""


class Process:
    """Runs a script between BEGIN and END; `said` are the lines of both its outputs."""

    def __init__(self, script: str, prefix: tuple[str, ...] = ()) -> None:
        line = [*prefix, sys.executable, "-c", BEGIN + script + END]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.process = subprocess.Popen(line, start_new_session=True, **pipes)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "on\n"

    def tell(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def ended(self) -> tuple[int, list[str], float]:
        begun = time.monotonic()
        assert self.process.stdout is not None
        said = self.process.stdout.read()  # what communicate would, but for what is buffered
        self.process.stdout.close()
        return self.process.wait(30), said.splitlines(), time.monotonic() - begun


NOTICE = (
    "overhear: stopping on {}, within 3 s: what is recorded stays, run the same command again to "
    "resume"
)
RAISES = """
interruption.ready()
try:
    print("on", flush=True)
    time.sleep(20)
except Stopped:
    print("raised", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_is_answered_at_once(number: signal.Signals, code: int):
    process = Process(RAISES)
    process.tell(number)
    returned, said, took = process.ended()
    assert returned == code
    assert said == [NOTICE.format(number.name), "raised", "done"]
    assert took < 2


def test_before_anything_has_begun_it_ends_there_and_then():
    process = Process("print('on', flush=True)\ntime.sleep(20)")
    process.tell(signal.SIGTERM)
    returned, said, _ = process.ended()
    assert returned == 143
    assert said == ["overhear: stopped by SIGTERM before anything had begun"]


def test_a_soft_end_comes_instead_of_an_exception():
    script = """
interruption.ready()
over = threading.Event()
with interruption.softly(over.set):
    print("on", flush=True)
    while not over.wait(0.05):
        pass
print("softly", flush=True)
"""
    process = Process(script)
    process.tell(signal.SIGTERM)
    returned, said, _ = process.ended()
    assert returned == 143
    assert said == [NOTICE.format("SIGTERM"), "softly", "done"]


def test_what_is_deferred_is_whole():
    script = """
interruption.ready()
try:
    with interruption.deferred():
        print("on", flush=True)
        time.sleep(1)
        print("whole", flush=True)
    print("not here", flush=True)
except Stopped:
    print("raised", flush=True)
"""
    process = Process(script)
    process.tell(signal.SIGTERM)
    assert process.ended()[:2] == (143, [NOTICE.format("SIGTERM"), "whole", "raised", "done"])


STUCK = """
interruption.ready()
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
with interruption.last(lambda: print("tidied", flush=True)):
    while True:
        try:
            if child:
                pid, child = child.pid, None
                os.write(1, f"on\\n{pid}\\n".encode())  # at once
            time.sleep(20)
        except Stopped:
            pass
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc")
@pytest.mark.parametrize("again", [False, True])
def test_what_does_not_end_is_ended_with_all_below_it(again: bool):
    """After the grace; at a second signal, which is not the first one sent twice, at once."""
    process = Process(STUCK)
    process.tell(signal.SIGTERM)
    process.tell(signal.SIGTERM)
    if again:
        time.sleep(SAME + 0.2)
        process.tell(signal.SIGINT)
    returned, said, took = process.ended()
    assert returned == 143
    child, *rest = said
    assert child.isdigit(), said
    late = "overhear: what is still running is ended now; nothing that was recorded is lost"
    assert rest == [NOTICE.format("SIGTERM"), *([] if again else [late]), "tidied"]
    assert took < 1 if again else 2 < took < 5
    end = time.monotonic() + 5
    while started(int(child)) and time.monotonic() < end:
        time.sleep(0.05)
    assert started(int(child)) is None


def test_what_is_ignored_stays_so():
    """As nohup starts it."""
    process = Process(RAISES.replace("20", "1.5"), ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh"))
    process.tell(signal.SIGHUP)
    assert process.ended()[:2] == (0, ["done"])


def test_a_fork_has_nothing_to_say():
    script = """
interruption.ready()
child = os.fork()
if not child:
    time.sleep(20)
    os._exit(0)
print("on", flush=True)
time.sleep(0.5)  # a signal that comes as Python forks is lost
os.kill(child, signal.SIGTERM)
print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""
    assert Process(script).ended()[:2] == (0, ["15", "done"])


def test_one_that_interrupts_itself_was_not_told_to_end():
    """As where another sweep has taken its results folder over."""
    script = """
interruption.ready()
try:
    print("on", flush=True)
    threading.Timer(0.3, interruption.interrupt).start()
    time.sleep(20)
except Stopped:
    print("raised", flush=True)
"""
    assert Process(script).ended()[:2] == (0, ["raised", "done"])


def test_a_block_that_ctrl_c_leaves():
    script = """
interruption.ready()
with interruption.quietly():
    print("on", flush=True)
    time.sleep(20)
"""
    process = Process(script)
    process.tell(signal.SIGINT)
    assert process.ended()[:2] == (0, ["done"])


def test_without_the_command_line_the_handlers_are_put_back():
    script = """
import signal as s
interruption.over()
interruption._State.owner = 0
s.signal(s.SIGINT, s.default_int_handler)
before = [s.getsignal(n) for n in interruption.SIGNALS]
print("on", flush=True)
try:
    with interruption.handled():
        time.sleep(20)
except KeyboardInterrupt:
    print("raised", flush=True)
assert [s.getsignal(n) for n in interruption.SIGNALS] == before
time.sleep(interruption.GRACE + 0.5)
"""
    process = Process(script)
    time.sleep(0.3)
    process.tell(signal.SIGTERM)
    assert process.ended()[:2] == (0, [NOTICE.format("SIGTERM"), "raised", "done"])
