"""Ray session: one Ray for a sweep, or for several one after the other, as a start takes seconds.

On this machine it starts beside what else has to be done first, above all packing the clips. Its
workers start after both, as Ray 2.60 gives no actor a worker that has run something before. It
does give one that was started ahead, for a task that waits in the environment of Tune's actors. But
how many start for such tasks is chance (one to three where two were asked for, n = 5), and it seems
to end the oldest of more than there are cores. Contents: RaySession, `places`.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from scaling import interruption
from scaling.storage import shown
from sweeps.engine import cluster, local
from sweeps.engine.display import Display
from sweeps.launch import Recordings, Resources


class RaySession:
    """A Ray, until `stack` is closed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._own: Path | None = None
        self._wait: Callable[[], None] = _nothing

    def begin(self, resources: Resources, places: Sequence[str]) -> None:
        """Let Ray start here while the caller goes on, and say so; a cluster is joined later, as
        that takes no time. Arguments are those of cluster.session.
        """
        if self._own is None and resources.address is None:
            print("starting Ray", file=sys.stderr, flush=True)
            cluster.prepare_environment(resources)
            self._enter(resources, places)

    def started(self, resources: Resources, places: Sequence[str], display: Display) -> Path:
        """Its temporary folder, when it is there; the first call starts it, unless it was begun,
        which the display says. Arguments and errors are those of cluster.session.
        """
        if self._own is None:
            at = resources.address
            display.waiting(f"connecting to Ray at {shown(at)}" if at else "starting Ray")
            self._enter(resources, places)
        elif display.live:
            display.waiting("starting Ray")
        self._wait()
        assert self._own is not None
        return self._own

    def _enter(self, resources: Resources, places: Sequence[str]) -> None:
        self._stack.enter_context(interruption.handled())
        own = self._stack.enter_context(local.folder(sockets=resources.address is None))
        self._wait = self._stack.enter_context(cluster.session(resources, places, own))
        self._own = own


def places(results: str, recordings: Recordings) -> tuple[str, ...]:
    """The folders and URIs that trials read and write."""
    return results, recordings.root or "", os.environ.get("OVERHEAR_DATA", "")


def _nothing() -> None:
    """What there is to wait for before the session is entered."""
