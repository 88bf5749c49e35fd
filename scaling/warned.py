"""Warned: whose code a warning comes from, and our own kept for another process to show.

Contents: `warner`, `kept`.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

OURS = ("analysis", "overhear", "scaling", "sweeps", "__main__")


def warner() -> str:
    """The top-level module whose code warns, asked by what stands in for `warnings.showwarning`;
    the line that a warning blames may be its caller's.
    """
    frame = sys._getframe(2)
    while frame.f_back and frame.f_globals["__name__"] in ("warnings", "_py_warnings"):
        frame = frame.f_back
    return str(frame.f_globals["__name__"]).partition(".")[0]


@contextmanager
def kept() -> Iterator[list[str]]:
    """While the block runs, what our own code warns of is appended to the list, once each; what
    libraries warn of is dropped.
    """
    lines: list[str] = []
    before: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        line = str(message)
        if category is UserWarning and warner() in OURS and line not in before:
            before.add(line)
            lines.append(line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield lines
