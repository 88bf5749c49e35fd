"""Awaited: what takes long, as compiling does, said before it begins to whoever shows it.

A command shows it on its screen, a worker tells the driver of its sweep.
Contents: `say`, `shown`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_shows: list[Callable[[str], None]] = []


def say(what: str) -> None:
    """Say what begins now, in a few words."""
    for show in _shows:
        show(what)


@contextmanager
def shown(show: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, what is said in this process is shown so, too."""
    _shows.append(show)
    try:
        yield
    finally:
        _shows.remove(show)
