"""Head watchdog: ends a sweep, with a line, when the head of its cluster no longer answers.

A head that was started again knows nothing of this sweep. Ray 2.60 ends a driver whose head is gone
from within its C++, after 60 s, or with a page of addresses once another head answers; neither can
be caught or worded. So the driver checks by itself and ends sooner. Contents: `watched`.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

EVERY = 0.5  # seconds from a look to the next
REFUSED = 1.5  # seconds in which nothing listens at its address: its process is gone
SILENT = 30.0  # seconds in which nothing is heard of it at all: the machine or the network is


@contextmanager
def watched(address: str, gone: Callable[[], None]) -> Iterator[None]:
    """While the head at `host:port` is looked at from a thread of its own; `gone` says so, and the
    process ends with exit code 1, whatever its other threads wait for.
    """
    over = Event()
    Thread(target=_watch, args=(address, gone, over), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _watch(address: str, gone: Callable[[], None], over: Event) -> None:
    host, _, port = address.rpartition(":")
    answered = monotonic()
    while not over.wait(EVERY):
        patience = SILENT
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=EVERY * 10).close()
            answered = monotonic()
        except ConnectionRefusedError:
            patience = REFUSED
        except OSError:
            pass
        if monotonic() - answered > patience and not over.is_set():
            try:
                gone()
            finally:
                os._exit(1)
