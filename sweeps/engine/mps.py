"""MPS: NVIDIA's Multi-Process Service, by which trials that share a GPU compute on it at once.

Without it, processes take turns. A sweep's daemon has its pipes in the sweep's private folder,
serves no one else and ends with the sweep; one that a person has started is used as it is, and left
alone. Sources: nvidia-cuda-mps-control(1) and NVIDIA's documentation of MPS.
Contents: `check`, `served`, `end_left`.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from scaling.text import one_line

CONTROL = "nvidia-cuda-mps-control"
PIPES, LOGS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
USUAL = Path("/tmp/nvidia-mps")  # where CUDA looks for a daemon unless told
FOLDER = "mps"  # in the sweep's own
PATIENCE = 10.0  # seconds in which a daemon must be there, and be gone


def check() -> None:
    """Raises ValueError where no daemon runs or can be started."""
    if not _running() and shutil.which(CONTROL) is None:
        raise ValueError(
            f"--mps: {CONTROL}, which comes with NVIDIA's driver, is not on this machine: leave "
            "--mps out, and trials take turns"
        )


@contextmanager
def served(own: Path) -> Iterator[None]:
    """While the block runs, processes started in it share GPUs through a daemon: one that runs, or
    one of this sweep's in its folder. Raises ValueError, in a line, where that does not start.
    """
    if _running():
        yield
        return
    folder = own / FOLDER
    folder.mkdir(mode=0o700)
    places = {PIPES: str(folder), LOGS: str(folder)}
    # of all GPUs: trials name theirs by the machine's numbers, the daemon would count its own
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"} | places
    with (folder / "said").open("w+b") as said:
        daemon = subprocess.Popen(
            [CONTROL, "-f"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is the sweep's, which ends its trials first
        )
        before = {name: os.environ.get(name) for name in places}
        try:
            _await(daemon, folder, said)
            os.environ.update(places)
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            _end(daemon, folder)


def end_left(own: Path) -> None:
    """End the daemon of a sweep that was killed, whose folder this was."""
    if (own / FOLDER / "control").exists():
        _quit(own / FOLDER)


def _running() -> bool:
    """Whether a person has started a daemon that CUDA will find."""
    return (Path(os.environ.get(PIPES) or USUAL) / "control").exists()


def _await(daemon: subprocess.Popen[bytes], folder: Path, said: IO[bytes]) -> None:
    """Wait until the daemon listens."""
    until = time.monotonic() + PATIENCE
    while not (folder / "control").exists():
        if daemon.poll() is not None or time.monotonic() > until:
            said.seek(0)
            words = one_line(said.read(500).decode(errors="replace").strip())
            reason = words or f"nothing within {PATIENCE:g} s"
            raise ValueError(
                f"--mps: {CONTROL} does not start ({reason}): leave --mps out, and trials take "
                "turns"
            )
        time.sleep(0.02)


def _end(daemon: subprocess.Popen[bytes], folder: Path) -> None:
    """Ask the daemon to end; one that does not is ended."""
    _quit(folder)
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(PATIENCE)
            return
        with suppress(OSError):
            os.killpg(daemon.pid, number)  # with the servers that it started
    daemon.wait()


def _quit(folder: Path) -> None:
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [CONTROL],
            input=b"quit\n",
            env=os.environ | {PIPES: str(folder), LOGS: str(folder)},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
