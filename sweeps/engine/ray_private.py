"""Ray's private parts: what of Ray is replaced while this process joins it or starts one here.

No option of ray.init, environment variable or system config has the same effect in Ray 2.60:
include_dashboard=False still starts the process of the dashboard, and the two other processes are
left out only by `ray start`, which leaves its Ray to whoever comes next. Each part is replaced only
if it is as expected; otherwise it stays as Ray has it, and a warning names it. Contents:
`undisturbed`.
"""

import importlib
import inspect
import os
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple


class _Part(NamedTuple):
    """A function or class of Ray's, and what takes its place."""

    module: str  # of ray._private
    name: str  # in it, dotted
    parameter: str  # that it takes, if it is what we know
    # from what stands there, and variables to be hidden from processes, to what takes its place
    instead: Callable[[Any, Collection[str]], Any]

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


def _nothing(_: Any, __: Collection[str]) -> Callable[..., None]:
    return lambda *_, **__: None


def _apart(popen: Any, hidden: Collection[str]) -> Callable[..., Any]:
    """Starts a process in a session of its own, without the variables that are hidden from it.

    This process keeps them: it may be reading them in another thread.
    """

    def start(*args: Any, env: Mapping[str, str] | None = None, **options: Any) -> Any:
        whole = os.environ if env is None else env
        kept = {name: value for name, value in whole.items() if name not in hidden}
        return popen(*args, env=kept, **{**options, "start_new_session": True})

    return start


# This process keeps its own answer to SIGTERM.
JOINING = (_Part("utils", "set_sigterm_handler", "sigterm_handler", _nothing),)
# Processes have sessions of their own, so that a signal to the sweep's group reaches the sweep
# alone; the node's address stays the loopback one; and three processes are not started, each a
# Python: of a dashboard that shows nothing, of logs for a driver that prints none, and of nodes
# that could be added.
STARTING = (
    *JOINING,
    _Part("services", "ConsolePopen", "start_new_session", _apart),
    _Part("services", "resolve_ip_for_localhost", "host", lambda _, __: lambda host: host),
    _Part("node", "Node.start_api_server", "include_dashboard", _nothing),
    _Part("node", "Node.start_log_monitor", "self", _nothing),
    _Part("node", "Node.start_monitor", "self", _nothing),
)


@contextmanager
def undisturbed(here: bool, hidden: Collection[str] = ()) -> Iterator[None]:
    """A block in which this process joins Ray, or starts one `here`: it keeps its answer to
    signals, and Ray starts no more than a sweep needs, without the `hidden` variables.
    """
    missing = []
    with ExitStack() as undo:
        for part in STARTING if here else JOINING:
            if found := part.place():
                owner, name, value = found
                undo.callback(setattr, owner, name, value)
                setattr(owner, name, part.instead(value, hidden))
            else:
                missing.append(f"{part.module}.{part.name}")
        if missing:
            warnings.warn(
                f"Ray {_version()} is not as expected ({', '.join(missing)}): what Overhear "
                "changes there is left as it is; please report this",
                stacklevel=3,
            )
        yield


def _version() -> str:
    import ray

    return str(ray.__version__)
