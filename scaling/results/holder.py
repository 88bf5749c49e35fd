"""Who holds a results folder: what a sweep says of itself in `sweep.json`, and whether it lives.

A process of this machine can be looked for; one of another machine can only be watched, by whether
the number `beat` in its file grows. A pid alone does not name a process, because the system gives
it again: a pid and the moment at which its process began do. Contents: FILE, BEAT, STILL, Said,
`said`, `word`, `lives`, `machine`, `started`. No torch, no Ray.
"""

from pathlib import Path
from typing import Any

from scaling.results import seal

FILE = "sweep.json"
BEAT = 5.0  # seconds from a beat to the next
STILL = 90.0  # seconds without a beat: NFS may show a file as it was 60 s ago (its acdirmax)

Said = dict[str, Any]  # host, machine, pid, started, token, slots, begun, beat


def said(content: bytes | None) -> Said | None:
    """What the content of a holder's file says; None where it says nothing that can be read."""
    try:
        return seal.noted(content) if content else None
    except ValueError:  # half a file, a damaged one, or that of another version
        return None


def word(value: Any) -> str:
    """One of the things said, as it may be printed: others can write that file, too."""
    return "".join(each for each in str(value)[:80] if each.isprintable())


def lives(found: Said) -> bool | None:
    """Whether the process that said this lives; None where it cannot be looked for from here."""
    if machine() and found.get("machine") == machine():
        begun = started(found.get("pid"))
        return begun is not None and begun == found.get("started")
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


def started(pid: Any) -> str | None:
    """When a living process began, in ticks of this machine's uptime, which tells it from a later
    one of the same id; None of a dead one. Source: proc(5), state and starttime of stat.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in "ZX" else fields[18]
