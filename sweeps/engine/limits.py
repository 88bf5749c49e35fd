"""Limits: the memory that a trial may hold, watched from within its worker. Knows no Ray.

A worker whose trial holds too much ends itself, so that neither the kernel ends Ray's own processes
nor Ray's memory monitor the sweep (Ray 2.60: its kill of one trial ends all). The reason is left
beside the trial's checkpoint, where every driver and every node finds it. Conventions: sizes in
bytes, of pages that only this process has: those of mapped clips are shared by all workers.
Contents: `memory_per_trial`, Limit, `watched`, `monitored`, `control_groups`, `occupied`.
"""

import ctypes
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Event, Thread, Timer
from typing import NamedTuple

import psutil

from scaling.byte_size import byte_size, memory_size
from scaling.results import memory
from scaling.results.records import Results

INTERVAL = 0.2  # seconds between looks at the memory
LOOKS = 2  # in a row: a worker that has just ended takes a moment to give its memory back
LAST_WORDS = 10  # seconds to write the note in, while memory may still grow
EXIT = 137  # as of a process that the kernel ended for its memory
WORKER = 400 * 2**20  # bytes of a worker before its trial begins; measured: 420 MiB
MONITOR = "RAY_memory_monitor_refresh_ms"  # of a Ray as it is started; 0: its monitor is off


class Limit(NamedTuple):
    """How much memory may be held."""

    trial: int | None = None  # bytes, by one trial's worker; None: what its node has
    node: float = 0.95  # share of a node's memory above which its largest trial is ended


def memory_per_trial(text: str) -> int:
    """The bytes that --memory-per-trial names. Raises ValueError for what no trial can run in."""
    try:
        asked = byte_size(text)
    except ValueError as error:
        raise ValueError(f"--memory-per-trial {error}") from None
    if asked <= WORKER:
        raise ValueError(
            f"--memory-per-trial {text}: a worker holds {memory_size(WORKER)} before its trial "
            "begins: ask for more"
        )
    return asked


@contextmanager
def watched(trial: str, results: Results, limit: Limit) -> Iterator[None]:
    """End this process while the block runs and more is held than may be."""
    with suppress(AttributeError):  # of other C libraries than glibc, which keeps what is freed
        ctypes.CDLL(None).malloc_trim(0)  # measured, after a wide network: 1.3 to 0.5 GiB in 31 ms
    over = Event()
    thread = Thread(target=_watch, args=(trial, results, limit, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def monitored() -> bool:
    """Whether the Ray that started this worker ends workers itself when memory is short."""
    try:
        parent = psutil.Process().parent()
        return bool(parent and parent.environ().get(MONITOR) != "0")
    except psutil.Error:  # of another user, as where a container starts the workers
        return False


def _watch(trial: str, results: Results, limit: Limit, over: Event) -> None:
    """Look until it is over; leave a note and end the process when too much is held."""
    own, groups = psutil.Process(), control_groups()
    others = _held(own) - _fresh()
    seen = 0
    while not over.wait(INTERVAL):
        reason = _too_much(own, others, groups, limit)
        seen = seen + 1 if reason else 0
        if seen >= LOOKS:
            Timer(LAST_WORDS, os._exit, [EXIT]).start()
            with suppress(OSError, ValueError):
                memory.add(trial, results, reason)
            os._exit(EXIT)


def _too_much(own: psutil.Process, others: int, groups: Sequence[Path], limit: Limit) -> str:
    """Why this process must end, or nothing. Earlier trials in this worker left `others` bytes,
    which are not held against this one.
    """
    held = _held(own)
    if limit.trial and held - others > limit.trial:
        most = memory_size(limit.trial)
        return f"held {memory_size(held - others)}, more than --memory-per-trial {most}"
    share = occupied(groups, limit.node)
    if share > limit.node and _largest(own, held):
        return (
            f"held {memory_size(held)}, the most of the trials on {platform.node()}, whose memory "
            f"was {share:.0%} full (--memory-per-trial runs fewer at once)"
        )
    return ""


def _held(process: psutil.Process) -> int:
    """Bytes resident in a process and in no other (on systems that say so; else all resident)."""
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


@cache
def _fresh() -> int:
    """Bytes held when this process came to its first trial."""
    return _held(psutil.Process())


def _largest(own: psutil.Process, held: int) -> bool:
    """Whether no other worker of trials on this node, which have one parent, holds more."""
    parent = own.parent()
    for other in parent.children() if parent else []:
        with suppress(psutil.Error, IndexError):
            rival = other.pid != own.pid and _kind(other) == _kind(own)
            if rival and (_held(other), other.pid) > (held, own.pid):
                return False
    return True


def _kind(process: psutil.Process) -> str:
    """A process's title without what it is doing: Ray writes `ray::ImplicitFunc.train`."""
    return str(process.cmdline()[0]).partition(".")[0]


def control_groups(system: Path = Path("/")) -> list[Path]:
    """The control groups that bound this process's memory: its own and those that it lies in.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
    """
    found = []
    with suppress(OSError):  # other systems have none
        for line in (system / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root = system / "sys/fs/cgroup" / ("memory" if controllers else "")
            group = root / path.lstrip("/")
            found += [each for each in (group, *group.parents) if each.is_relative_to(root)]
    return [group for group in found if group.is_dir()]


def occupied(groups: Iterable[Path], enough: float) -> float:
    """The share of this node's memory that is in use and cannot be had back: of the machine, or of
    the control group that has least left. What is not above `enough` may be said too high.
    """
    machine = psutil.virtual_memory()
    used = 1 - float(machine.available / machine.total)
    return max([used, *(_share(group, enough) for group in groups)])


def _share(group: Path, enough: float) -> float:
    """The share of a control group's memory that is in use; 0 where it has no limit.

    Pages of files, which the kernel drops when it needs them, count as free.
    """
    current, most, prefix = "memory.current", "memory.max", ""  # of version 2
    if not (group / current).exists():
        current, most, prefix = "memory.usage_in_bytes", "memory.limit_in_bytes", "total_"
    try:
        used, limit = int((group / current).read_text()), float((group / most).read_text())
        if used <= enough * limit:
            return used / limit
        facts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no limit: a group without these files, or with "max" in one
        return 0.0
    files = sum(int(facts.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
    return float(used - files) / limit
