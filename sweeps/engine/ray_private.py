"""Ray's private parts: what of Ray is replaced while this process joins it or starts one here.

No option of ray.init, environment variable or system config has the same effect in Ray 2.60:
include_dashboard=False still starts the process of the dashboard, and the two other processes are
left out only by `ray start`, which leaves its Ray to whoever comes next. Each part is replaced only
if it is as expected; otherwise it stays as Ray has it, and a warning names it. Contents:
`undisturbed`.
"""

import importlib
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

from scaling import interruption


class _Part(NamedTuple):
    """A function or class of Ray's, and what takes its place."""

    module: str  # of ray._private
    name: str  # in it, dotted
    parameter: str  # that it takes, if it is what we know
    instead: Callable[[Any], Any]  # from what stands there to what takes its place

    def place(self) -> tuple[Any, str, Any] | None:
        """Its owner, its name there and itself; None if it is not as expected."""
        *owners, name = self.name.split(".")
        try:
            owner: Any = importlib.import_module(f"ray._private.{self.module}")
            for each in owners:
                owner = getattr(owner, each)
            found = getattr(owner, name)
            known = self.parameter in inspect.signature(found).parameters
        except (ImportError, AttributeError, TypeError, ValueError):
            return None
        return (owner, name, found) if known else None


def _nothing(_: Any) -> Callable[..., None]:
    return lambda *_, **__: None


# This process keeps its own answer to SIGTERM.
JOINING = (_Part("utils", "set_sigterm_handler", "sigterm_handler", _nothing),)
# Processes have sessions of their own, so that a signal to the sweep's group reaches the sweep
# alone; the node's address stays the loopback one; and three processes are not started, each a
# Python: of a dashboard that shows nothing, of logs for a driver that prints none, and of nodes
# that could be added.
STARTING = (
    *JOINING,
    _Part(
        "services",
        "ConsolePopen",
        "start_new_session",
        lambda popen: partial(popen, start_new_session=True),
    ),
    _Part("services", "resolve_ip_for_localhost", "host", lambda _: lambda host: host),
    _Part("node", "Node.start_api_server", "include_dashboard", _nothing),
    _Part("node", "Node.start_log_monitor", "self", _nothing),
    _Part("node", "Node.start_monitor", "self", _nothing),
)


@contextmanager
def undisturbed(here: bool) -> Iterator[None]:
    """A block in which this process joins Ray, or starts one `here`: it keeps its answer to
    signals, which is given after the block, and Ray starts no more than a sweep needs.
    """
    missing = []
    with ExitStack() as undo:
        for part in STARTING if here else JOINING:
            if found := part.place():
                owner, name, value = found
                undo.callback(setattr, owner, name, value)
                setattr(owner, name, part.instead(value))
            else:
                missing.append(f"{part.module}.{part.name}")
        if missing:
            warnings.warn(
                f"Ray {_version()} is not as expected ({', '.join(missing)}): what Overhear "
                "changes there is left as it is; please report this",
                stacklevel=3,
            )
        with interruption.deferred():
            yield


def _version() -> str:
    import ray

    return str(ray.__version__)
