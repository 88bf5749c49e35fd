"""What `--address` says where no Ray can be, within seconds."""

import socket
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from sweeps.engine import addresses

HELLO = {"nothing": b"", "http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "ssh": b"SSH-2.0-OpenSSH\r\n"}


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_USE_TLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(addresses, "ANSWER", 0.5)


@pytest.fixture(params=HELLO)
def other(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of something that listens and is no Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.sendall(HELLO[request.param])
            connection.recv(1)
            threading.Event().wait(2)
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "given",
    ["foo", "10.0.0.5:", ":6379", "10.0.0.5:0", "10.0.0.5:70000", "10.0.0.5:٧", "h:1e3", "[]:1"],
)
def test_what_is_no_address(given: str):
    with pytest.raises(ValueError, match=r"^--address \S+ must be HOST:PORT of .*, or auto$"):
        addresses.check(given, token=True)


@pytest.mark.parametrize("given", ["ray://10.0.0.5:10001", "http://10.0.0.5:8265", "local"])
def test_rays_client_and_others(given: str):
    with pytest.raises(ValueError, match="HOST:PORT of the cluster's head"):
        addresses.check(given, token=True)


def test_where_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(ValueError, match=r"no Ray answers there \(Connection refused\): start one"):
        addresses.check(where, token=True)


def test_where_something_else_listens(other: str):
    begun = monotonic()
    with pytest.raises(ValueError, match=r"no Ray answers there \((something else|timed out)"):
        addresses.check(other, token=True)
    assert monotonic() - begun < 5


def test_auto_looks_at_the_address_of_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(ValueError, match=r"--address 127\.0\.0\.1:9: no Ray answers there"):
        addresses.check("auto", token=True)
    monkeypatch.delenv("RAY_ADDRESS")
    addresses.check("auto", token=True)  # Ray itself knows at once


def test_a_token_that_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(ValueError, match="no authentication token was found here"):
        addresses.check("127.0.0.1:9", token=False)


def test_an_address_that_is_ignored_is_said(monkeypatch: pytest.MonkeyPatch, recwarn):
    addresses.ignored()
    assert len(recwarn) == 0
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.5:6379")
    with pytest.warns(
        UserWarning, match=r"RAY_ADDRESS=10.0.0.5:6379 is set, but .* --address auto"
    ):
        addresses.ignored()
