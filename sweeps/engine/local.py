"""Local Ray: one that a sweep starts on this machine, private, quiet, and gone when the sweep is.

It listens on the loopback interface only and asks for a token that nobody else has, in a folder
that only this user can enter (Ray opens its own folders to everybody). Its processes have sessions
of their own, so that a signal to the sweep's process group reaches the sweep alone, which then ends
them in order; and they do not inherit credentials that no trial needs. Temporary files of a killed
sweep are removed when the next one starts. Contents: `folder`, `starting`, `shut_down`.
"""

import functools
import importlib
import os
import re
import secrets
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil

from scaling import interruption
from scaling.results import lock_file
from sweeps.engine import mps
from sweeps.engine.ray_private import undisturbed

PREFIX = "overhear-"
OWNER = "owner.json"
# characters of a Unix socket's path (sources: unix(7), macOS' sys/un.h), and those of what Ray puts
# after our folder
SOCKET = 107 if sys.platform == "linux" else 103
BEHIND = len("/r/session_2026-11-27_15-17-54_598739_4194304/sockets/plasma_store")
NAME = len(PREFIX) + 8  # of a folder of ours, as tempfile names it
AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
LONGEST = SOCKET - BEHIND - NAME - 1  # of the folder that ours is made in
LOOPBACK = "127.0.0.1"
BREAKPOINT = "PYTHONBREAKPOINT"  # the one variable that ray.init sets
PATIENCE = 5  # seconds in which Ray's processes must have ended when they were told to
# Names of environment variables that hold what opens a door: of clouds, whose stores need theirs,
# and of everything else, which no trial needs.
CLOUDS = {"AWS_": ("s3",), "GOOGLE_": ("gs", "gcs"), "AZURE_": ("abfs", "abfss", "az")}
SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|(API|ACCESS|PRIVATE|ACCOUNT)_?KEY", re.IGNORECASE
)


@contextmanager
def starting(
    own: Path, cpus: int | None, places: Iterable[str], **options: Any
) -> Iterator[Callable[[], None]]:
    """A Ray that starts here while the block goes on, with `cpus` (all for None), in a folder that
    only this user can enter; yields what waits until it is there, and raises what its start raised.

    `places` are the folders and URIs that trials read and write: credentials of their clouds reach
    the workers. `options` go to ray.init.
    """
    import ray  # here, as it sets variables: while threads run, none is added to the environment
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    def forget_token() -> None:
        """Ray keeps the token and its mode, once it has read them."""
        AuthenticationTokenLoader.instance().reset_cache()
        Config.initialize("")

    def start() -> None:
        with undisturbed(here=True, hidden=hidden):
            ray.init(
                address="local",  # whatever RAY_ADDRESS says
                num_cpus=cpus,
                object_store_memory=100 * 2**20,  # nothing large passes through it
                include_dashboard=False,
                _node_ip_address=LOOPBACK,
                _temp_dir=str(own / "r"),
                **options,
            )
        importlib.import_module("ray.tune")  # which takes a second, too

    token = own / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    before = set(psutil.Process().children(recursive=True))
    hidden = frozenset(_secrets(places))
    with ExitStack() as undo:
        undo.callback(forget_token)
        # the token itself in the environment would come before that of the file
        mode = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_AUTH_TOKEN": None}
        undo.enter_context(_environment({**mode, BREAKPOINT: os.environ.get(BREAKPOINT, "")}))
        forget_token()
        thread = _Start(start)
        with interruption.deferred():  # else a thread could be waited for that was never started
            for each in (thread.release, functools.partial(_end, before), shut_down, thread.settle):
                undo.callback(each)
            thread.start()
        yield thread.wait


class _Start(Thread):
    """Starts Ray, and lives as long as that: Linux ends Ray's processes with the thread that began
    them. Signals are answered by the main thread, which goes on meanwhile.
    """

    def __init__(self, start: Callable[[], None]) -> None:
        super().__init__(name="Ray", daemon=True)
        self._start_ray, self._error = start, list[BaseException]()
        self._begun, self._over = Event(), Event()

    def run(self) -> None:
        """Start Ray, then wait until it is no longer needed."""
        try:
            self._start_ray()
        except BaseException as error:  # noqa: BLE001
            # for the main thread, which may be doing something else
            self._error.append(error)
        finally:
            self._begun.set()
        self._over.wait()

    def wait(self) -> None:
        """Wait until Ray is there. Raises what its start raised."""
        self._begun.wait()
        if self._error:
            raise self._error[0]

    def settle(self) -> None:
        """Wait until the start is over, whatever it came to: what is half there cannot be ended."""
        with interruption.deferred():
            self._begun.wait()

    def release(self) -> None:
        """Let the thread end, after Ray's processes."""
        self._over.set()
        self.join()


@contextmanager
def folder(sockets: bool) -> Iterator[Path]:
    """A temporary folder for this sweep, that only this user can enter; first, those go whose sweep
    was killed.

    With `sockets` its path is short enough for them. Raises ValueError where none can be.
    """
    bases = _bases()
    _sweep_out(bases)
    usual = Path(tempfile.gettempdir())
    short = (
        [usual]
        if not sockets
        else [base for base in bases if len(os.fsencode(base)) + 1 + NAME + BEHIND <= SOCKET]
    )
    if not short:
        raise ValueError(
            f"TMPDIR {usual}: this path is too long for Ray's sockets (at most "
            f"{LONGEST} characters), and no other folder for temporary files "
            "can be written: set TMPDIR to a shorter one"
        )
    if short[0] != usual:
        warnings.warn(
            f"TMPDIR {usual}: this path is too long for Ray's sockets: temporary files go to a "
            f"private folder in {short[0]}",
            stacklevel=2,
        )
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=short[0]))
    (made / OWNER).write_bytes(lock_file.packed(lock_file.here()))
    remove = functools.partial(shutil.rmtree, made, ignore_errors=True)
    try:
        with interruption.last(remove):
            yield made
    finally:
        remove()


def _secrets(places: Iterable[str]) -> list[str]:
    """Names of variables that no process of Ray's inherits: what opens doors, but for those of the
    clouds that `places` lie in; and the address of another Ray.
    """
    schemes = {place.partition("://")[0].lower() for place in places if "://" in place}
    needed = tuple(cloud for cloud, known in CLOUDS.items() if schemes.intersection(known))
    doors = [name for name in os.environ if name.startswith(tuple(CLOUDS)) or SECRET.search(name)]
    found = [name for name in doors if name not in AUTHENTICATION and not name.startswith(needed)]
    return [*found, "RAY_ADDRESS"]


@contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """While the block runs, these variables have these values; those of None are not there."""
    before = {name: os.environ.get(name) for name in values}
    _set_environment(values)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def shut_down() -> None:
    """Leave Ray, or end the one that was started here."""
    import ray

    with interruption.deferred():
        ray.shutdown()


def _end(before: set[psutil.Process]) -> None:
    """End what Ray has left of itself below this process, but for what was there before."""
    left = set(psutil.Process().children(recursive=True)) - before
    _, stuck = psutil.wait_procs(left, timeout=PATIENCE)
    for process in stuck:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stuck, timeout=1)


def _bases() -> list[Path]:
    """Folders for temporary files that can be written, the usual one first."""
    named = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR"), "/tmp", "/var/tmp")
    found = dict.fromkeys(Path(base).absolute() for base in named if base)
    return [base for base in found if base.is_dir() and os.access(base, os.W_OK | os.X_OK)]


def _sweep_out(bases: Iterable[Path]) -> None:
    """Remove folders of ours whose sweep is known to be dead: this user's, on this machine."""
    for base in bases:
        for found in base.glob(f"{PREFIX}*/{OWNER}"):
            with suppress(OSError):
                mine = found.parent.lstat().st_uid == os.geteuid()
                if mine and not found.parent.is_symlink() and not found.is_symlink():
                    owner = lock_file.parsed(found.read_bytes())
                    if owner is not None and lock_file.alive(owner) is False:
                        mps.end_left(found.parent)
                        shutil.rmtree(found.parent, ignore_errors=True)
