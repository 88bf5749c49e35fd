"""The address of a running cluster: whether it is one, and whether a Ray answers there.

Ray itself asks for minutes where nothing listens. Knows no Ray. Contents: `spelled`, `check`,
`silent`, `ignored`.
"""

import os
import re
import socket
import warnings

ANSWER = 5.0  # seconds in which a head must accept a connection, and answer it


def spelled(address: str) -> tuple[str, int] | None:
    """The host and port of `--address`; None for a Ray on this machine, which knows its own.

    Raises ValueError where it is neither HOST:PORT nor auto.
    """
    where = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    if not where:
        return None  # Ray looks for its processes on this machine, and knows at once
    if "://" in where or where == "local":
        raise ValueError(
            f"--address {where} must be HOST:PORT of the cluster's head, such as 10.0.0.5:6379, or "
            "auto (a sweep cannot run through Ray's client, ray://)"
        )
    host, _, port = where.rpartition(":")
    if not host.strip("[]") or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 2**16:
        raise ValueError(
            f"--address {where} must be HOST:PORT of the cluster's head, such as 10.0.0.5:6379, or "
            "auto"
        )
    return host.strip("[]"), int(port)


def check(address: str, token: bool) -> None:
    """Raises ValueError as `spelled` does, where no token is at hand (`token`) and Ray asks for
    one, and where no Ray answers there.
    """
    place = spelled(address)
    if place is None:
        return
    where = ":".join(map(str, place))
    if os.environ.get("RAY_AUTH_MODE", "").lower() == "token" and not token:
        raise silent(where, "no authentication token was found here")
    try:
        _look(*place)
    except OSError as error:
        raise silent(where, error.strerror or str(error) or type(error).__name__) from None


def _look(host: str, port: int) -> None:
    """Whether something that speaks gRPC, as Ray's head does, listens there. Raises OSError."""
    with socket.create_connection((host, port), timeout=ANSWER) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return
        # HTTP/2: the client's preface and an empty SETTINGS frame, which the server answers with
        # one of its own. Source: RFC 9113, sections 3.4 and 6.5.
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
        said = connection.recv(9)
    if len(said) < 4 or said[3] != 4:
        raise ConnectionError("something else listens there")


def silent(address: str, reason: str) -> ValueError:
    """That no Ray answers, and what to do."""
    mode = os.environ.get("RAY_AUTH_MODE", "unset")
    return ValueError(
        f"--address {address}: no Ray answers there ({reason}): start one, with the same token as "
        f"here and the same RAY_AUTH_MODE (here: {mode})"
    )


def ignored() -> None:
    """Say that a cluster's address in the environment is not used where none is asked for."""
    if where := os.environ.get("RAY_ADDRESS"):
        warnings.warn(
            f"RAY_ADDRESS={where} is set, but this sweep starts a Ray of its own here: --address "
            "auto runs it on that cluster",
            stacklevel=2,
        )
