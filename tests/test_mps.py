"""Trials that share a GPU: a daemon of the sweep's own, played by a script."""

import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from scaling.results import lock_file
from sweeps.engine import cluster, local, mps
from sweeps.launch import Compute, Resources
from sweeps.timing import launch_forecast

DAEMON = """#!/bin/sh
if [ "$1" = -f ]; then
  {begin}
  echo $$ > "$CUDA_MPS_PIPE_DIRECTORY/pid"
  env > "$CUDA_MPS_PIPE_DIRECTORY/environment"
  touch "$CUDA_MPS_PIPE_DIRECTORY/control"
  exec sleep 60
fi
read -r word
test "$word" = quit && {end} kill "$(cat "$CUDA_MPS_PIPE_DIRECTORY/pid")"
"""


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a daemon on the path that begins and ends as told; no other is found."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(mps, "USUAL", tmp_path / "none")
    monkeypatch.setattr(mps, "PATIENCE", 5.0)
    monkeypatch.delenv(mps.PIPES, raising=False)

    def put(begin: str = ":", end: str = "") -> Path:
        program = tmp_path / "bin" / mps.CONTROL
        program.write_text(DAEMON.format(begin=begin, end=end))
        program.chmod(0o700)
        return tmp_path

    return put


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_sweep_has_a_daemon_of_its_own_and_ends_it(daemon, monkeypatch):
    own = daemon()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with mps.served(own):
        assert os.environ[mps.PIPES] == str(own / "mps")
        assert (own / "mps").stat().st_mode & 0o077 == 0
        told = (own / "mps" / "environment").read_text()
        assert "CUDA_VISIBLE_DEVICES" not in told  # whose numbers the daemon would count anew
        assert f"{mps.PIPES}={own / 'mps'}\n" in told
        pid = int((own / "mps" / "pid").read_text())
        assert not gone(pid)
    assert mps.PIPES not in os.environ
    assert gone(pid)


def test_a_forecast_measures_trials_as_they_will_share(daemon):
    daemon()
    with launch_forecast._shared(Resources(gpus=0.5, mps=True)):
        folder = Path(os.environ[mps.PIPES])
        pid = int((folder / "pid").read_text())
    assert gone(pid)
    assert not folder.exists()
    with launch_forecast._shared(Resources(gpus=0.5)):
        assert mps.PIPES not in os.environ


def test_a_daemon_that_does_not_listen_is_ended(daemon, monkeypatch):
    own = daemon(end=":; exit;")
    with mps.served(own):
        pid = int((own / "mps" / "pid").read_text())
        monkeypatch.setattr(mps, "PATIENCE", 0.2)
    assert gone(pid)


def test_a_daemon_that_does_not_start_is_one_line(daemon):
    own = daemon(begin="echo 'no GPU\033[1m was found' >&2; exit 1")
    line = r"^--mps: nvidia-cuda-mps-control does not start \(no GPU.* was found\): leave --mps out"
    with pytest.raises(ValueError, match=line) as caught, mps.served(own):
        pass
    assert "\033" not in str(caught.value)
    assert mps.PIPES not in os.environ


def test_a_persons_daemon_is_used_and_left_alone(daemon, monkeypatch, tmp_path):
    own = daemon(begin="exit 1")
    monkeypatch.setenv(mps.PIPES, str(tmp_path / "theirs"))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "control").touch()
    mps.check()
    with mps.served(own):
        assert os.environ[mps.PIPES] == str(tmp_path / "theirs")
    assert not (own / "mps").exists()


def test_the_daemon_of_a_killed_sweep_ends_when_the_next_one_starts(daemon, monkeypatch, tmp_path):
    daemon()
    monkeypatch.setattr(local, "_bases", lambda: [tmp_path])
    left = tmp_path / f"{local.PREFIX}killed"
    (left / "mps").mkdir(parents=True)
    dead = lock_file.here()
    monkeypatch.setattr(lock_file, "alive", lambda _: False)
    (left / local.OWNER).write_bytes(lock_file.packed(dead))
    environment = os.environ | {mps.PIPES: str(left / "mps")}
    running = subprocess.Popen([mps.CONTROL, "-f"], env=environment)
    while not (left / "mps" / "control").exists():
        time.sleep(0.01)
    local._sweep_out([tmp_path])
    assert running.wait(5) != 0
    assert not left.exists()


def test_where_mps_cannot_be(daemon, monkeypatch):
    for gpus in (0.0, 1.0, 2.0):
        with pytest.raises(ValueError, match=f"^--mps with --gpus-per-trial {gpus:g}: MPS is for"):
            Resources(gpus=gpus, mps=True)
    with pytest.raises(
        ValueError, match=r"^--mps with --address: start MPS on the cluster's nodes"
    ):
        Resources("auto", gpus=0.5, mps=True)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"^--mps: nvidia-cuda-mps-control, which comes with NVI"):
        cluster.check(Resources(gpus=0.5, mps=True), Compute())
