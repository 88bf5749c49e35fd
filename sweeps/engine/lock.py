"""One sweep at a time writes to a results folder: its file `sweep.json` says which.

The file holds host, machine, pid, started, token, slots, begun, beat; its holder counts `beat` up
every few seconds. Whether a holder still lives is known at once where its process can be looked for
(a killed sweep is taken over without waiting); any other is watched, by this machine's own clock,
until it beats or has stood still for a while. Of two that take over at once one gets it: where
results are files, a file lock lets one look and write at a time; in a store the last writer has it,
which each finds out by reading it again a moment later.

Should two ever write, as when a holder was suspended for long, nothing is lost: what a trial
records does not depend on who runs it, and every file is written whole. Contents: `held`, Lock.
"""

import os
import platform
import uuid
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

from filelock import FileLock

from scaling.interruption import interrupt
from scaling.results import seal
from scaling.results.holder import BEAT, FILE, STILL, lives, machine, said, started, word
from scaling.results.records import Results

LENGTH = 1000  # bytes; several times what it holds
SETTLE = 2.0  # seconds in which a write to a store is seen, whoever wrote it
PAUSE = 1.0  # seconds from a look at a beat to the next


class Lock:
    """What this process says of itself in the results folder.

    `slots`, the number of trials at once, is written with the next beat. `taken` is one line once
    another sweep has taken the folder over, else empty.
    """

    def __init__(self, results: Results) -> None:
        self.results = Results(results.address, patience=0)
        self.slots: int | None = None
        self.taken = ""
        self._token = uuid.uuid4().hex
        self._begun = datetime.now(UTC).isoformat(timespec="seconds")
        self._beat = 0
        self._over = Event()
        self._beating = Thread(target=self._beats, daemon=True)

    def take(self) -> None:
        """Become the holder. Raises ValueError, which names the holder, while another lives."""
        while True:
            found = self._holder()
            if found and self._lives(found):
                raise ValueError(
                    f"results folder {self.results.where}: {_named(found)} writes to it: wait for "
                    "its end, stop it, or choose another folder with --out"
                )
            if self._put(found):
                break
        self._beating.start()

    def release(self) -> None:
        """Let others have the folder."""
        self._over.set()
        if self._beating.is_alive():
            self._beating.join()
        with suppress(OSError), self._alone():
            if self._holds(self._holder()):
                self.results.remove(FILE)

    def _holder(self) -> dict[str, Any] | None:
        """What the holder says of itself; None where there is none."""
        return said(self.results.get(FILE))

    def _holds(self, found: dict[str, Any] | None) -> bool:
        return found is not None and found.get("token") == self._token

    def _lives(self, found: dict[str, Any]) -> bool:
        """Whether a holder does; that of another machine is watched until it beats."""
        known = lives(found)
        if known is not None:
            return known
        warnings.warn(
            f"results folder {self.results.where}: {_named(found)} wrote to it: checking for "
            f"{STILL:g} s whether it still does",
            stacklevel=2,
        )
        end = monotonic() + STILL
        while monotonic() < end:
            sleep(PAUSE)
            if (latest := self._holder()) != found:
                return latest is not None
        return False

    def _put(self, before: dict[str, Any] | None) -> bool:
        """Write what this process says of itself in the place of what was there before; false where
        another was quicker.
        """
        own = {
            "host": platform.node(),
            "machine": machine(),
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "token": self._token,
            "slots": self.slots,
            "begun": self._begun,
            "beat": self._beat,
        }
        with self._alone():
            if self._holder() != before:
                return False
            # always as long: of an object that changes its length meanwhile, Arrow reads a part
            self.results.put(seal.note(own, LENGTH), FILE)
        if self.results.local or self._beat:
            return True
        sleep(SETTLE)
        return self._holds(self._holder())

    def _beats(self) -> None:
        """Beat until it is over; when another has taken over, stop this process softly."""
        while not self._over.wait(BEAT):
            with suppress(OSError):  # a folder that is full stops the sweep, not its lock
                found = self._holder()
                if found and not self._holds(found):
                    self.taken = (
                        f"results folder {self.results.where}: {_named(found)} has taken it over, "
                        "as this one did not beat for long: this one stops"
                    )
                    interrupt()
                    return
                self._beat += 1
                self._put(found)

    def _alone(self) -> AbstractContextManager[object]:
        """Look and write while no other does; in a store nothing can promise that."""
        if not self.results.local:
            return nullcontext()
        return FileLock(self.results.path(f".{FILE}.lock"), timeout=STILL)


@contextmanager
def held(results: Results) -> Iterator[Lock]:
    """While this process is the one that sweeps into a results folder, which is there.

    Raises ValueError, which names the other one, when another does.
    """
    lock = Lock(results)
    lock.take()
    try:
        yield lock
    finally:
        lock.release()


def _named(holder: dict[str, Any]) -> str:
    return (
        f"the sweep that began {word(holder.get('begun'))} on {word(holder.get('host'))} "
        f"(process {word(holder.get('pid'))})"
    )
