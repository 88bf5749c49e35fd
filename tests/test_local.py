"""The Ray of a sweep on one machine: who gets in, who hears of it, and what is left of it."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from scaling.results import lock_file
from sweeps.engine import local

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds processes through /proc"
)
HOST = """
import sys
from sweeps.engine import cluster, local
resources = cluster.Resources(local_cpus=1)
cluster.prepare_environment(resources)
with local.folder(sockets=True) as own, cluster.session(resources, ("s3://b/r",), own) as ready:
    ready()
    import ray
    ray.get(ray.remote(lambda: None).remote())  # one worker, which stays
    print(ray.get_runtime_context().gcs_address, own, flush=True)
    sys.stdin.readline()
    print(ray.get(ray.remote(lambda: 6 * 7).remote()), flush=True)
"""
STRANGER = """
import sys
from ray._raylet import GcsClient
try:
    GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None, timeout=5)
    print("let in")
except Exception as error:
    print(type(error).__name__)
"""
# what a person's environment holds; the results lie in S3, so that trials need its credentials
DOORS = {"HF_TOKEN": "hf-6f1d", "GOOGLE_APPLICATION_CREDENTIALS": "/gcp-77ab.json"}
NEEDED = {"AWS_SECRET_ACCESS_KEY": "aws-19c4"}


class Host(NamedTuple):
    process: subprocess.Popen[str]
    address: str
    own: Path

    def below(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A process with a Ray of its own, started where a shell names another cluster."""
    home = tmp_path_factory.mktemp("home")
    more = {"RAY_ADDRESS": "192.0.2.9:6379", "HOME": str(home), **DOORS, **NEEDED}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    line = [sys.executable, "-c", HOST]
    with subprocess.Popen(line, env=os.environ | more, **pipes) as process:
        assert process.stdout is not None
        address, own = process.stdout.readline().split()
        yield Host(process, address, Path(own))
        process.kill()
    assert not list(home.rglob("auth_token")), "Ray's own token is open to all to read"


def stranger(address: str, **more: str) -> str:
    """What another process of this machine is answered; its home has no token."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    env = kept | {"HOME": "/nonexistent", **more}
    line = [sys.executable, "-c", STRANGER, address]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=60).stdout.strip()


def test_who_has_no_token_is_refused(host: Host, tmp_path: Path):
    """Without one, with authentication off, and with a wrong one; the right one is let in."""
    (tmp_path / "wrong").write_text("0" * 64)
    refused = "AuthenticationError"
    assert stranger(host.address) == refused
    assert stranger(host.address, RAY_AUTH_MODE="disabled") == refused
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "wrong")}
    assert stranger(host.address, **token) == refused
    token["RAY_AUTH_TOKEN_PATH"] = str(host.own / "token")
    assert stranger(host.address, **token) == "let in"


def test_it_listens_to_this_machine_only(host: Host):
    processes = [psutil.Process(host.process.pid), *host.below()]
    heard = [
        each.laddr.ip
        for process in processes
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    ]
    assert len(heard) >= 4, "GCS, raylet, its object manager, the driver"
    assert {ip.removeprefix("::ffff:") for ip in heard} == {"127.0.0.1"}


def test_its_folder_is_private_and_its_token_is_nowhere_else(host: Host):
    assert stat.S_IMODE(host.own.stat().st_mode) == 0o700
    assert stat.S_IMODE((host.own / "token").stat().st_mode) == 0o600
    token = (host.own / "token").read_bytes()
    assert len(token) == 64
    assert holding(host, token) == [host.own / "token"]


def test_credentials_reach_those_who_need_them(host: Host):
    """Here the workers: those of the cloud that the results lie in, and no others."""
    for secret in DOORS.values():
        assert holding(host, secret.encode()) == []
    environments = [process.environ() for process in host.below()]
    assert all(NEEDED.items() <= each.items() for each in environments if len(each) > 1)
    files = [path for path in host.own.rglob("*") if path.is_file()]
    assert not [path for path in files if NEEDED["AWS_SECRET_ACCESS_KEY"].encode() in read(path)]


def holding(host: Host, secret: bytes) -> list[Any]:
    """Files of the session, command lines and environments that hold this."""
    found: list[Any] = [path for path in host.own.rglob("*") if secret in read(path)]
    for process in host.below():
        for name in ("cmdline", "environ"):
            path = Path(f"/proc/{process.pid}/{name}")
            found += [path] if secret in read(path) else []
    return found


def read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def test_its_processes_have_sessions_of_their_own_and_all_go_with_it(host: Host):
    """Last, for it ends the session: unharmed by the strangers, and without a trace."""
    below = host.below()
    assert {"gcs_server", "raylet"} <= {process.name() for process in below}
    words = [Path(word).name for process in below for word in process.cmdline()]
    needless = {"monitor.py", "log_monitor.py", "dashboard.py"}
    assert not needless.intersection(words)
    workers = words.count("ray::IDLE") + words.count("default_worker.py")
    assert workers == 1, "the one that ran a task; none waits that no trial would use"
    session = os.getsid(host.process.pid)
    assert [p for p in below if os.getsid(p.pid) == session] == []
    assert host.process.stdin is not None
    assert host.process.stdout is not None
    host.process.stdin.write("\n")
    host.process.stdin.flush()
    assert host.process.stdout.readline() == "42\n"
    assert host.process.wait(60) == 0
    assert not host.own.exists()
    assert [process for process in below if process.is_running()] == []


def left_behind(base: Path, name: str, **said: Any) -> Path:
    made = base / f"{local.PREFIX}{name}"
    (made / "r").mkdir(parents=True)
    (made / local.OWNER).write_bytes(lock_file.packed(lock_file.here()._replace(**said)))
    return made


def test_what_a_killed_sweep_left_behind_goes_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen(["sleep", "0"]) as ended:
        pass
    gone = [
        left_behind(tmp_path, "dead", pid=ended.pid),
        left_behind(tmp_path, "recycled", started="1"),  # its pid is another process's now
    ]
    other = left_behind(tmp_path, "elsewhere", machine="another", pid=ended.pid)
    stays = [left_behind(tmp_path, "lives"), other]
    stays += [tmp_path / f"{local.PREFIX}strange", tmp_path / "user"]
    for path in stays[2:]:
        path.mkdir()
    (tmp_path / f"{local.PREFIX}link").symlink_to(gone[0])
    (stays[2] / local.OWNER).write_text("{torn")
    with local.folder(sockets=False) as own:
        assert own.parent == tmp_path
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
        assert [path for path in gone if path.exists()] == []
        assert [path for path in stays if not path.exists()] == []
    assert not own.exists()


def test_what_another_user_left_behind_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    theirs = left_behind(tmp_path, "theirs", started="1")
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1)
    with local.folder(sockets=False):
        assert theirs.exists()


def test_a_path_too_long_for_sockets_is_said_and_another_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    deep = tmp_path / ("long" * 20)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    said = rf"TMPDIR {deep}: this path is too long .* private folder in /tmp"
    with pytest.warns(UserWarning, match=said), local.folder(sockets=True) as own:  # noqa: PT031
        assert own.parent == Path("/tmp")
        assert len(str(own)) + local.BEHIND <= local.SOCKET
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
