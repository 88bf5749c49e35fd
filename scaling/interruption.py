"""How a command ends when it is told to: Ctrl-C, SIGTERM (Slurm, Kubernetes, `timeout`), SIGHUP.

The first signal is answered at once with a line, and raises Stopped in the main thread, or sets off
what the command has named as its soft end (`softly`). Whatever that takes, GRACE seconds later the
process and all below it end; a second signal does the same at once. Only the standard library, so
that it can be imported, and `expect` called, before anything that takes time. Contents: Stopped,
`expect`, `ready`, `over`, `handled`, `softly`, `deferred`, `quietly`, `interrupt`,
`asked`, `last`, `descendants`.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from types import FrameType
from typing import NoReturn

GRACE = 8.0  # seconds from the first signal to the end: Docker kills 10 s after it, Slurm 30 s
SAME = 1.0  # seconds in which a second signal is the first: `timeout` sends it to process and group
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """The process was told to end. No KeyboardInterrupt, which command line libraries answer."""


class _State:
    """Of this process: what it was told, and what it does about it."""

    owner = 0  # the process that called `expect`: a fork of it inherits its handlers
    ready = False  # whether Stopped can be raised; before, there is nothing that it could spoil
    asked = 0  # the first signal; 0: none
    when = 0.0  # monotonic clock's seconds
    own = False  # whether the process is interrupting itself
    quiet = False
    done = Event()  # whether the watch is over
    soft: Callable[[], None] | None = None
    last: list[Callable[[], None]] = []  # noqa: RUF012


def expect() -> None:
    """Handle the signals from here on. What was ignored (`nohup`) stays ignored."""
    _State.owner = os.getpid()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _told)


def ready() -> None:
    """From here on a signal raises Stopped; before it ended the process there and then."""
    _State.ready = True


def over() -> None:
    """From here on a signal ends the process as if nothing had been said of it."""
    for number in SIGNALS:
        if signal.getsignal(number) is _told:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def handled() -> Iterator[None]:
    """While the block runs, the signals are handled, for those who do not come by the command
    line: they get a KeyboardInterrupt where nothing is ended softly.
    """
    if _State.owner == os.getpid():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    expect()
    ready()
    try:
        yield
    except Stopped:
        raise KeyboardInterrupt from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _State.owner, _State.ready, _State.asked = 0, False, 0
        _State.done.set()
        _State.done = Event()


def asked() -> int:
    """The exit code of a process that was told to end, 128 and the signal's number; 0: was not."""
    return 128 + _State.asked if _State.asked else 0


@contextmanager
def softly(end: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first signal calls `end`, in the main thread, instead of raising
    Stopped. Raises Stopped at once where the signal came before.
    """
    _State.soft = end
    try:
        if _State.asked:
            raise Stopped
        yield
    finally:
        _State.soft = None


@contextmanager
def deferred() -> Iterator[None]:
    """A block in whose middle nothing must be raised: a signal that comes meanwhile raises Stopped
    after it, unless it raises something itself.
    """
    soft, before = _State.soft, _State.asked
    _State.soft = _nothing
    try:
        yield
    finally:
        _State.soft = soft
    if _State.asked and not before:
        _leave()


def _nothing() -> None:
    """What a signal sets off while it is deferred."""


@contextmanager
def quietly() -> Iterator[None]:
    """A block that Ctrl-C is the usual way to leave: nothing is said of a signal, and Ctrl-C ends
    the block only.
    """
    _State.quiet = True
    try:
        yield
    except (Stopped, KeyboardInterrupt):
        if _State.asked:
            raise
    finally:
        _State.quiet = False


def interrupt() -> None:
    """End what the main thread does, softly where that is named, from any thread. The caller says
    why; this process was not told to end.
    """
    if _State.owner == os.getpid() and signal.getsignal(signal.SIGINT) is _told:
        _State.own = True
    os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def last(act: Callable[[], None]) -> Iterator[None]:
    """While the block runs, `act` is called before the process is ended without its cleaning up."""
    _State.last.append(act)
    try:
        yield
    finally:
        _State.last.remove(act)


def descendants(root: int) -> list[int]:
    """The processes below one, by /proc; none where there is no /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
    found: list[int] = []
    above = {root}
    while above:
        above = {pid for pid, parent in parents.items() if parent in above}
        found += above
    return found


def _told(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    if os.getpid() != _State.owner:  # a fork, which has nothing to keep
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    if number == signal.SIGINT and (_State.own or _State.quiet):
        _State.own = False
        _leave()
        return
    if _State.asked:
        if monotonic() - _State.when > SAME:
            _end()
        return
    _State.asked, _State.when = number, monotonic()
    if not _State.ready:
        _say(f"stopped by {signal.Signals(number).name} before anything had begun")
        os._exit(128 + number)
    if not _State.quiet:
        _say(
            f"stopping on {signal.Signals(number).name}, within {GRACE:g} s: what is recorded "
            "stays, run the same command again to resume"
        )
    Thread(target=_watch, args=(_State.done,), daemon=True).start()
    _leave()


def _leave() -> None:
    if _State.soft is None:
        raise Stopped
    _State.soft()


def _watch(done: Event) -> None:
    if done.wait(GRACE):
        return
    _say("what is still running is ended now; nothing that was recorded is lost")
    _end()


def _end() -> NoReturn:
    """End this process and all below it, without its own cleaning up."""
    for pid in descendants(os.getpid()):
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    for act in _State.last:
        with suppress(Exception):
            act()
    os._exit(128 + _State.asked)


def _say(line: str) -> None:
    """Not by print, which a signal may have interrupted in the middle."""
    clear = "\r\x1b[K" if sys.stderr is not None and sys.stderr.isatty() else ""
    with suppress(OSError):  # a terminal that has hung up
        os.write(2, f"{clear}overhear: {line}\n".encode())
