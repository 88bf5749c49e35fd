"""Lock file: `sweep.json`, in which the sweep that writes to a results folder says who it is.

Whether that sweep still runs is known at once where its process can be looked for. That of another
machine can only be watched, by whether the number `beat` in the file grows. A pid alone does not
name a process, because the system gives it again: a pid and the moment at which its process began
do. No torch, no Ray. Contents: Holder; `here`, `read`, `write`, `remove`, `modified`, `alone`;
`packed`, `parsed`; `alive`, `machine`, `started`.
"""

import os
import platform
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock

from scaling.results import seal
from scaling.results.folder import Folder

FILE = "sweep.json"
# Bytes of the file, several times what it holds. Always as many: of an object that changes its
# length while it is read, Arrow reads a part.
LENGTH = 1000
BEAT = 5.0  # seconds from a beat to the next
STILL = 90.0  # seconds without a beat: NFS may show a file as it was 60 s ago (its acdirmax)
LONGEST = 80  # letters of a text in the file


class Holder(NamedTuple):
    """The process that holds a results folder, as it says itself. Others can write the file, too:
    what is no such value is None or empty, and texts are printable.
    """

    host: str
    machine: str  # see `machine`
    pid: int | None
    started: str | None  # see `started`
    token: str = ""  # of its own
    slots: int | None = None  # trials at once
    begun: str = ""  # date and time
    beat: int = 0

    @property
    def process(self) -> str:
        """In words."""
        return f"process {self.pid} on {self.host}"

    def __str__(self) -> str:
        return f"the sweep that began {self.begun} on {self.host} (process {self.pid})"


def here() -> Holder:
    """This process."""
    return Holder(platform.node(), machine(), os.getpid(), started(os.getpid()))


def read(results: Folder) -> Holder | None:
    """Who holds the folder; None where nobody does, or the file says nothing that can be read.
    Raises Refused, and Damaged where there is no file in its place.
    """
    return parsed(results.get(FILE))


def write(results: Folder, holder: Holder) -> None:
    """Say who holds the folder. Raises Refused."""
    results.put(packed(holder), FILE)


def remove(results: Folder) -> None:
    """Say that nobody holds the folder. Raises Refused."""
    results.remove(FILE)


def modified(results: Folder) -> datetime | None:
    """When the holder last beat, by the clock of the filesystem, where that tells it."""
    found: datetime | None = results.filesystem.get_file_info(results.path(FILE)).mtime
    return found


def alone(results: Folder, seconds: float) -> AbstractContextManager[object]:
    """Look and write while no other process does, waited for so long; in a store nothing can
    promise that.
    """
    if not results.local:
        return nullcontext()
    return FileLock(results.path(f".{FILE}.lock"), timeout=seconds)


def packed(holder: Holder) -> bytes:
    """What stands in the file."""
    return seal.note(holder._asdict(), LENGTH)


def parsed(content: bytes | None) -> Holder | None:
    """What such a content says; None where it says nothing that can be read."""
    try:
        found = seal.noted(content) if content else None
    except ValueError:  # half a file, a damaged one, or that of another version
        return None
    if not found:
        return None
    return Holder(
        host=_text(found.get("host")),
        machine=_text(found.get("machine")),
        pid=_number(found.get("pid")),
        started=_text(found.get("started")) or None,
        token=_text(found.get("token")),
        slots=_number(found.get("slots")),
        begun=_text(found.get("begun")),
        beat=_number(found.get("beat")) or 0,
    )


def _text(value: Any) -> str:
    letters = value[:LONGEST] if isinstance(value, str) else ""
    return "".join(letter for letter in letters if letter.isprintable())


def _number(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def alive(holder: Holder) -> bool | None:
    """Whether this process lives; None where it cannot be looked for from here."""
    if machine() and holder.machine == machine():
        begun = started(holder.pid)
        return begun is not None and begun == holder.started
    return None


def machine() -> str:
    """What processes that can look for each other have in common; empty where none can.

    Sources: random(4), pid_namespaces(7).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def started(pid: int | None) -> str | None:
    """When a living process began, in ticks of this machine's uptime, which tells it from a later
    one of the same id; None of a dead one. Source: proc(5), state and starttime of stat.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else fields[18]
