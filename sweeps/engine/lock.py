"""One sweep at a time writes to a results folder: its file `sweep.json` says which.

Its holder counts a number in the file (see scaling.results.lock_file) up every few seconds. Where
its process can be looked for, a killed sweep is taken over without waiting; any other holder is
watched, by this machine's own clock, until it beats or has stood still for a while. Of two that
take over at once one gets it: where results are files, a file lock lets one look and write at a
time; in a store the last writer has it, which each finds out by reading it again a moment later.

Should two ever write, as when a holder was suspended for long, nothing is lost: what a trial
records does not depend on who runs it, and every file is written whole. Contents: `held`, Lock.
"""

import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from threading import Event, Thread
from time import monotonic, sleep

from scaling.interruption import interrupt
from scaling.results import lock_file
from scaling.results.lock_file import BEAT, STILL, Holder
from scaling.results.records import Results

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
            found = lock_file.read(self.results)
            if found and self._lives(found):
                raise ValueError(
                    f"results folder {self.results.where}: {found} writes to it: wait for "
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
        with suppress(OSError), lock_file.alone(self.results, STILL):
            if self._holds():
                lock_file.remove(self.results)

    def _holds(self) -> bool:
        found = lock_file.read(self.results)
        return found is not None and found.token == self._token

    def _lives(self, found: Holder) -> bool:
        """Whether a holder does; that of another machine is watched until it beats."""
        known = lock_file.alive(found)
        if known is not None:
            return known
        warnings.warn(
            f"results folder {self.results.where}: {found} wrote to it: checking for "
            f"{STILL:g} s whether it still does",
            stacklevel=2,
        )
        end = monotonic() + STILL
        while monotonic() < end:
            sleep(PAUSE)
            if (latest := lock_file.read(self.results)) != found:
                return latest is not None
        return False

    def _put(self, before: Holder | None) -> bool:
        """Write what this process says of itself in the place of what was there before; false where
        another was quicker.
        """
        own = lock_file.here()._replace(
            token=self._token, slots=self.slots, begun=self._begun, beat=self._beat
        )
        with lock_file.alone(self.results, STILL):
            if lock_file.read(self.results) != before:
                return False
            lock_file.write(self.results, own)
        if self.results.local or self._beat:
            return True
        sleep(SETTLE)
        return self._holds()

    def _beats(self) -> None:
        """Beat until it is over; when another has taken over, stop this process softly."""
        while not self._over.wait(BEAT):
            with suppress(OSError):  # a folder that is full stops the sweep, not its lock
                found = lock_file.read(self.results)
                if found and found.token != self._token:
                    self.taken = (
                        f"results folder {self.results.where}: {found} has taken it over, "
                        "as this one did not beat for long: this one stops"
                    )
                    interrupt()
                    return
                self._beat += 1
                self._put(found)


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
