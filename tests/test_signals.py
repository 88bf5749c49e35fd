"""Commands that are told to end at any moment, as `timeout` and Slurm tell them: the whole group.

`python tests/test_signals.py 20 1` does it at 20 moments that the seed 1 draws, and prints a table.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from test_cluster import check_once, kept
from test_sweep import alone, brief, command, overhear, study

from scaling.interruption import GRACE
from scaling.settings import Trial, changed
from scaling.settings.recipes import RECIPES
from scaling.sound.checksums import WRITING
from sweeps.engine import local

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds processes through /proc"
)
ENOUGH = 120.0  # seconds for what takes ten
SOON = 5.0  # seconds in which the kernel and Ray's workers see that all is over


class End(NamedTuple):
    """What became of a command that was told to end."""

    code: int
    seconds: float  # from the signal to the end of the command
    said: str
    processes: list[str]  # that it left behind
    folders: list[Path]


def told(
    words: list[str], moment: Callable[[psutil.Process], bool], number: int = signal.SIGTERM
) -> End:
    """Run a command and send a signal to its process group when it comes to that moment."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(words, start_new_session=True, **pipes) as process:
        one, end = psutil.Process(process.pid), time.monotonic() + ENOUGH
        try:
            while process.poll() is None and not moment(one) and time.monotonic() < end:
                time.sleep(0.02)
            below = one.children(recursive=True) if process.poll() is None else []
            own = folders(process.pid)
            begun = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            said, _ = process.communicate(timeout=ENOUGH)
        finally:
            process.kill()
    took = time.monotonic() - begun
    _, left = psutil.wait_procs(below, timeout=SOON)
    stay = [path for path in own if path.exists()]
    return End(process.returncode, took, said, [each.name() for each in left], stay)


def folders(pid: int) -> list[Path]:
    """The temporary folders of a process."""
    found = Path(tempfile.gettempdir()).glob(f"{local.PREFIX}*/{local.OWNER}")
    return [path.parent for path in found if json.loads(path.read_text())["pid"] == pid]


def check(end: End, code: int) -> None:
    assert end.code == code, end
    assert end.seconds < GRACE + 5, end  # seconds to spare, on a machine that is busy
    assert "Traceback" not in end.said, end.said
    assert end.processes == []
    assert end.folders == []
    assert end.said.count("overhear: stop") == 1, end.said


def importing(process: psutil.Process) -> bool:
    """Behind Python's own start, and within ours: torch is mapped, and takes seconds."""
    return any("numpy" in each.path for each in process.memory_maps())


def starting(process: psutil.Process) -> bool:
    return any("gcs_server" in each.name() for each in process.children())


def packing(cache: Path) -> bool:
    return any(cache.glob(f"{WRITING}*"))


@pytest.mark.fault(
    "driver told to end by Ctrl-C, SIGTERM (Slurm, Kubernetes, timeout) or a closed terminal, at "
    "any moment, alone or with its process group",
    "it says so at once and ends within ten seconds with exit code 130, 143 or 129; what was "
    "recorded stays, and the same command resumes the sweep",
)
def test_the_group_is_told_and_the_same_command_goes_on(trial: Trial, tmp_path: Path):
    """While it imports, while Ray starts, and in mid-trial."""
    path, trials = study(tmp_path, brief(trial), [{"seed": seed} for seed in range(2)])
    out = tmp_path / "results"
    words = command("sweep", path, "--out", str(out), "--precision", "float32", "--plain")

    def trains(_: psutil.Process) -> bool:
        return any(out.glob("checkpoints/*/last.pt"))

    check(told(words, importing), 143)
    check(told(words, starting), 143)
    assert not any(out.glob("metrics/*"))
    end = told(words, trains)
    check(end, 143)
    assert "2 not finished: run the same command again to resume" in end.said
    assert any(out.glob("checkpoints/*/last.pt")), "an epoch's checkpoint is kept"
    assert not (out / "sweep.json").exists()
    # one at a time, for a worker takes seconds to start
    assert "2 of 2 trials complete" in overhear(*words[3:], "--max-concurrent", "1").stdout
    alone(trials, tmp_path / "alone")
    assert kept(out, trials) == kept(tmp_path / "alone", trials)
    check_once(out)


def test_ctrl_c_while_ray_starts_beside_the_packing_loses_nothing(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Neither process nor folder nor half a store is left, and what is packed and recorded then is
    what an undisturbed run has.
    """
    cache, out = tmp_path / "cache", tmp_path / "results"
    path, trials = study(tmp_path, changed(brief(trial), {"training.epochs": 2}), [{}])
    alone(trials, tmp_path / "alone")
    monkeypatch.setenv("OVERHEAR_CACHE", str(cache))
    words = command("sweep", path, "--out", str(out), "--precision", "float32", "--plain")
    end = told(words, lambda one: packing(cache) and starting(one), signal.SIGINT)
    check(end, 130)
    assert end.said.index("starting Ray") < end.said.index("packing synthetic")
    assert "starting 1 worker" not in end.said
    assert not packing(cache)
    assert not any(out.glob("metrics/*"))
    assert "1 of 1 trials complete" in overhear(*words[3:]).stdout
    assert kept(out, trials) == kept(tmp_path / "alone", trials)


def test_train_is_told_and_the_same_command_goes_on(tmp_path: Path):
    out = tmp_path / "results"
    settings = "sound.classes=meadow,street", "training.epochs=9", "network.width=4"
    where = "--precision", "float32", "--threads", "1", "--out", str(out)
    words = command("train", *settings, *where)
    end = told(words, lambda _: any(out.glob("checkpoints/*/last.pt")), signal.SIGTERM)
    check(end, 143)
    again = overhear(*words[3:])
    first = next(line for line in again.stdout.splitlines() if line.startswith("epoch"))
    assert not first.startswith("epoch 1/"), "it began anew"
    assert "complete: epoch 9/9" in again.stdout


def draw(count: int, seed: int) -> None:
    """The table: a real sweep of two trials, told to end at random moments from its start to its
    end, and run again until it is complete; its records compared with an undisturbed run's.
    """
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        small = {"network.width": 4, "training.epochs": 8}
        base = changed(brief(RECIPES["quickstart"]), small)
        path, trials = study(home, base, [{"seed": seed} for seed in range(2)])
        alone(trials, home / "alone")
        words = ["sweep", path, "--precision", "float32", "--plain", "--out"]
        begun = time.monotonic()
        overhear(*words, str(home / "whole"))
        whole = time.monotonic() - begun
        print(f"undisturbed: {whole:.1f} s")
        for number in range(count):
            out, at = home / str(number), generator.uniform(0, whole)
            due = time.monotonic() + at
            end = told(command(*words, str(out)), lambda _, due=due: time.monotonic() > due)
            overhear(*words, str(out))
            equal = kept(out, trials) == kept(home / "alone", trials)
            reached = end.said.strip().splitlines()[-1:] or ["(silent: Python was starting)"]
            print(
                f"{number + 1:2} at {at:5.1f} s: exit {end.code} after {end.seconds:4.1f} s, "
                f"{len(end.processes)} processes and {len(end.folders)} folders left, "
                f"records equal: {equal}; last line: {reached[0][:60]}",
                flush=True,
            )


if __name__ == "__main__":
    draw(int(sys.argv[1]), int(sys.argv[2]))
