"""Profile: where the time of one epoch of training goes, by phase and by layer.

torch's profiler watches the second epoch of a trial (the first one warms caches up); this module
names the ranges that it sees, and adds them up. What a backward pass computes is traced to the
layer whose forward pass asked for it, by autograd's sequence numbers. Times are those of a clock on
a CPU, and those of kernels on a GPU. Nothing of a trial is changed, and nothing recorded.
Contents: `profile`, which returns a Profile of Phases and LayerTimes; `ceiling`.
"""

import gzip
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, record_function

from scaling.machine import Machine
from scaling.networks.cost import LayerCost
from scaling.settings import Trial
from scaling.sound.store import Store
from scaling.training.inputs import Listener
from scaling.training.session import Session

STEPS = 100  # of an epoch, at most: a trace of more is too long to look at
SIDE = {"cpu": 1024, "cuda": 8192}  # of the matrices whose product is the ceiling
MARK = "overhear: "  # before the names of our ranges
BACKWARD = "autograd::engine::evaluate_function: "
OPTIMIZER = "Optimizer.step#"
PASSES = 3  # forward, and backward to the inputs and to the weights: multiply-adds of each

P = ParamSpec("P")
R = TypeVar("R")


class Phase(NamedTuple):
    """One part of what every step of training does."""

    name: str
    seconds: float  # of all steps
    network: bool  # forward, backward or update, and not what is around them


class LayerTimes(NamedTuple):
    """One layer, over all steps."""

    name: str
    forward_seconds: float
    backward_seconds: float
    flops: float  # of both passes: twice the multiply-adds


class Profile(NamedTuple):
    """Where the time of so many steps went."""

    steps: int
    of: int  # steps of a whole epoch
    clips: int
    seconds: float  # of a clock, for these steps
    phases: list[Phase]
    layers: list[LayerTimes]
    ceiling: float  # operations a second of a large matrix product here, in this precision
    trace: bytes  # Chrome's JSON, gzip

    @property
    def around(self) -> float:
        """The share of the time that is neither forward, nor backward, nor update."""
        return sum(each.seconds for each in self.phases if not each.network) / self.seconds

    @property
    def flops(self) -> float:
        """Of all layers."""
        return sum(each.flops for each in self.layers)


def profile(trial: Trial, store: Store, machine: Machine, parts: Sequence[LayerCost]) -> Profile:
    """Train one epoch of a trial, then watch at most STEPS steps of the second.

    `parts` are the layers of its network with their multiply-adds for a clip's forward pass. Raises
    ValueError for a trial that no gradient trains, and where trial and clips do not fit together.
    """
    if not trial.objective.trains:
        raise ValueError(
            f"objective.kind={trial.objective.kind} trains nothing: there is no epoch to profile"
        )
    machine.reset()
    session = Session(trial, Listener(trial, store, machine), machine, None, None)
    session.begin()
    _steps(session, session.count)
    session.done += 1
    session.begin()
    count = min(session.count, STEPS)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its own messages tell a user nothing
    activities = [ProfilerActivity.CPU]
    if machine.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with (
        _named(session, [part.name for part in parts]),
        torch.profiler.profile(activities=activities) as watched,
    ):
        begun = perf_counter()
        _steps(session, count)
        seconds = perf_counter() - begun
    events = watched.events() or []
    clips = count * trial.training.batch
    passed = clips * session.objective.views * PASSES * 2
    return Profile(
        count,
        session.count,
        clips,
        seconds,
        _phases(events, seconds),
        _layers(events, {part.name: part.macs * passed for part in parts}),
        ceiling(machine),
        _trace(watched),
    )


def ceiling(machine: Machine) -> float:
    """Operations a second of a product of two large matrices, two for each multiply-add: the
    fastest of five.
    """
    side = SIDE[machine.device.type]
    one = torch.ones(side, side, dtype=machine.precision, device=machine.device)
    shortest = float("inf")
    for _ in range(5):
        begun = perf_counter()
        one @ one
        machine.wait()
        shortest = min(shortest, perf_counter() - begun)
    return 2 * side**3 / shortest


def _steps(session: Session, count: int) -> None:
    """The next steps of training, and nothing of their sums."""
    steps = session.steps()
    for _ in range(count):
        with _range("step"):
            step = next(steps)
        with _range("update"):
            session.update(step)
    session.machine.wait()


def _range(name: str) -> AbstractContextManager[Any]:
    return record_function(MARK + name)


@contextmanager
def _named(session: Session, layers: Iterable[str]) -> Iterator[None]:
    """Name what a step is made of, until the end of the block."""
    listener, model = session.listener, session.model
    modules = {"standardize": model.standardize, "network": model.network}
    modules |= {"front end": listener.frontend, "microphones": listener.bank}
    known = {"frontend": listener.frontend, **dict(model.network.named_modules())}
    modules |= {f"layer {name}": known[name] for name in layers if name in known}
    waves = listener.waves_at
    with ExitStack() as until:
        for name, module in modules.items():
            until.enter_context(_watched(module, name))
        listener.waves_at = _within("clips", waves)  # type: ignore[method-assign]
        until.callback(setattr, listener, "waves_at", waves)
        yield


@contextmanager
def _watched(module: nn.Module, name: str) -> Iterator[None]:
    """A range for each forward pass of a module."""
    entered: list[AbstractContextManager[Any]] = []

    def enter(*_: object) -> None:
        entered.append(_range(name))
        entered[-1].__enter__()

    def leave(*_: object) -> None:
        entered.pop().__exit__(None, None, None)

    hooks = [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _within(name: str, call: Callable[P, R]) -> Callable[P, R]:
    @wraps(call)
    def ranged(*args: P.args, **kwargs: P.kwargs) -> R:
        with _range(name):
            return call(*args, **kwargs)

    return ranged


def _phases(events: Sequence[FunctionEvent], seconds: float) -> list[Phase]:
    """What the ranges took; of a step and an update, what no range within them names."""
    took: dict[str, float] = defaultdict(float)
    for event in events:
        if event.name.startswith(MARK):
            took[event.name.removeprefix(MARK)] += _seconds(event)
        elif event.name.startswith(BACKWARD):
            took["backward"] += _seconds(event)
        elif event.name.startswith(OPTIMIZER):
            took["optimizer"] += _seconds(event)
    inputs = ["clips", "microphones", "front end", "standardize"]
    updates = {"network": "forward", "backward": "backward", "optimizer": "optimizer"}
    found = [Phase(name, took[name], network=False) for name in inputs]
    rest = took["step"] - sum(took[name] for name in inputs)
    found.append(Phase("augmentation", max(0.0, rest), network=False))
    found += [Phase(name, took[range_], network=True) for range_, name in updates.items()]
    rest = took["update"] - sum(took[name] for name in updates)
    found.append(Phase("loss and gradients", max(0.0, rest), network=True))
    rest = seconds - sum(each.seconds for each in found)
    return [*found, Phase("between", max(0.0, rest), network=False)]


def _layers(events: Sequence[FunctionEvent], flops: dict[str, float]) -> list[LayerTimes]:
    """What each layer took, forward and backward."""
    forward: dict[str, float] = defaultdict(float)
    backward: dict[str, float] = defaultdict(float)
    asked: dict[int, str] = {}  # sequence number: the layer of the last operation that had it
    layer = f"{MARK}layer "
    for event in sorted(events, key=lambda event: event.time_range.start):
        if event.name.startswith(layer):
            forward[event.name.removeprefix(layer)] += _seconds(event)
        elif event.sequence_nr >= 0 and not _of_backward(event):
            asked[event.sequence_nr] = _inside(event, layer).removeprefix(layer)
    for event in events:
        if event.name.startswith(BACKWARD) and event.sequence_nr >= 0:
            backward[asked.get(event.sequence_nr, "")] += _seconds(event)
    return [LayerTimes(name, forward[name], backward[name], flops[name]) for name in flops]


def _of_backward(event: FunctionEvent) -> bool:
    return event.name.startswith(BACKWARD) or bool(_inside(event, BACKWARD))


def _inside(event: FunctionEvent, beginning: str) -> str:
    """The name of the nearest range around an event that begins so; empty where none does."""
    around = event.cpu_parent
    while around is not None and not around.name.startswith(beginning):
        around = around.cpu_parent
    return around.name if around else ""


def _seconds(event: FunctionEvent) -> float:
    """Of kernels, where there are any, else of a clock."""
    microseconds = event.device_time_total or event.time_range.end - event.time_range.start
    return float(microseconds) / 1e6


def _trace(watched: torch.profiler.profile) -> bytes:
    """The timeline that ui.perfetto.dev opens."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        watched.export_chrome_trace(str(path))
        return gzip.compress(path.read_bytes(), mtime=0)
