"""Capture: the steps of an epoch, replayed on a GPU from what lies in its memory.

What the steps of an epoch draw is drawn at its start, from the same streams, and uploaded at once.
A step reads its row by a counter on the device, is made, updates, and adds to sums that are read
once the epoch has ended: nothing comes from the host, nothing goes there, no shape changes. So,
after a few steps that warm up, one is captured as a CUDA graph, and all others are replayed, each
by one call. Graphs are captured by hand: torch.compile (mode reduce-overhead) takes tens of seconds
for each shape and process, and leaves a stack's steps uncaptured, as they change running
statistics, while launches alone are what a small network's step waits for (W = 32, batch 10: 1,405
clips a second, 1,532 compiled, 3,273 compiled and captured).
A graph holds addresses: one that was captured for other tensors, or another stage of the loss, is
captured again. It is believed once it did what an uncaptured step did from the same state, to what
rounding may change. Whatever fails is one warning; training continues uncaptured.
Contents: Trainee, Replay with `of`, `recorded`; `places`, `warn` and `said`.
"""

import gc
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from scaling import awaited
from scaling.machine import Machine, short
from scaling.training.drawn_rows import Rows, uploaded
from scaling.training.sums import Sums

WARM = 3  # steps before the first capture: libraries choose and allocate
ALIKE = 0.02  # how far terms of the loss of a captured and of an uncaptured step may be apart
# and the steps of their weights: Adam follows rounding where a gradient is nothing else
MOVED = 0.5


class Trainee(Protocol):
    """What trains: one trial, or several side by side."""

    machine: Machine
    optimizer: torch.optim.Optimizer

    def obstacle(self) -> str | None:
        """Why its steps cannot be captured, in a few words."""

    def size(self) -> str:
        """What its steps depend on most, in a few words."""

    def ahead(self) -> Iterator[Any]:
        """What the steps of the next epoch draw: tensors and numbers, nested."""

    def take(self, drawn: Any, sums: Sums) -> None:
        """Take a step, from what lies on the device."""

    def settle(self) -> None:
        """After an epoch's last step: be what training uncaptured would have left."""

    def again(self) -> None:
        """Before an epoch's first step: draw what `ahead` has drawn once more."""

    def learned(self) -> list[Tensor]:
        """Its weights."""

    def state(self) -> list[Tensor]:
        """All else that its steps read or change."""

    def stage(self) -> Hashable:
        """Numbers that its next epoch's steps compute with."""


class Replay:
    """The epochs of one trainee."""

    def __init__(self, trainee: Trainee) -> None:
        self.trainee, self.machine = trainee, trainee.machine
        self.rows = Rows(self.machine.device)
        self.sums: Sums = {}
        self.call: Callable[[], None] | None = None
        self.key: Hashable = None
        self.warm = 0
        self.broken = False

    def epoch(self) -> Sums | None:
        """Train the next epoch; None, with nothing done, where it cannot be drawn ahead."""
        if self.warm == 0:
            awaited.say(f"compiling {self.trainee.size()}")
        try:
            steps = [*self.trainee.ahead()]
            alike = self.rows.fill(steps)
        except Exception as error:  # noqa: BLE001
            # of memory, of a shape: should it be of the trial, its steps raise it, too
            self._give_up(said(error))
            self.trainee.settle()
            self.trainee.again()
            return None
        if self.call is None or self.key != self._key():
            self.call, self.sums = None, {}
            self.warm = min(self.warm, WARM - 1)  # a step, that what is made once is not captured
        for terms in self.sums.values():
            for value in terms.values.values():
                value.zero_()
        try:
            for step, chosen in zip(steps, alike, strict=True):
                if chosen:
                    self._next()
                else:
                    self.trainee.take(uploaded(step, self.machine.device), self.sums)
        finally:
            self.trainee.settle()
        return self.sums

    def _next(self) -> None:
        """Take the next alike step."""
        if self.call is not None:
            self.call()
        elif self.warm < WARM:
            self.warm += 1
            with _aside(self.machine.device):
                self._step()
        elif self.broken or not self._capture():
            self._step()

    def _step(self) -> None:
        self.trainee.take(self.rows.row(), self.sums)

    def _capture(self) -> bool:
        """Capture the next step, and take it uncaptured, too, which counts; whether it was taken.

        The graph is kept where both did the same.
        """
        weights = self.trainee.learned()
        terms = [term for each in self.sums.values() for term in each.values.values()]
        changed = [*weights, *self.trainee.state(), *terms, self.rows.at_1]
        before: list[Tensor] = []
        try:
            before = _copied(changed)
            with _capturable(self.trainee.optimizer):
                call = recorded(self._step, self.machine)
            call()
            captured = _copied([*weights, *terms])
        except Exception as error:  # noqa: BLE001
            # of CUDA, of a library, of memory: should it be of the trial, the next step has it, too
            self._give_up(said(error))
            taken = False
        else:
            taken = True
        _restore(changed, before)
        if not taken:
            return False
        try:
            self._step()
        except Exception as error:
            if not short(error):
                raise
            # beside the graph, which is let go of
            self._give_up(said(error))
            del call
            _restore(changed, before)
            return False
        count = len(weights)
        begun = before[:count], before[-1 - len(terms) : -1]
        if unlike(captured[:count], weights, begun[0], MOVED):
            self._give_up("a captured step moved the weights elsewhere")
        elif unlike(captured[count:], terms, begun[1], ALIKE):
            self._give_up("a captured step had another loss")
        else:
            self.call, self.key = call, self._key()
        return True

    def _give_up(self, reason: str) -> None:
        self.broken = True
        warn(reason)

    def _key(self) -> Hashable:
        """All that a graph has in it."""
        held = [*self.trainee.learned(), *self.trainee.state(), *self.rows.buffers.values()]
        return self.trainee.stage(), places(held), self.rows.shape


def of(trainee: Trainee) -> Replay | None:
    """How a trainee's epochs are replayed; None where they are not, with a warning where they could
    be but for what it is.
    """
    if not trainee.machine.captures:
        return None
    if reason := trainee.obstacle():
        warn(reason)
        return None
    return Replay(trainee)


def warn(reason: str, what: str = "training steps") -> None:
    """Say in one line why something is not captured."""
    warnings.warn(f"{reason}: {what} are not captured", stacklevel=3)


def said(error: Exception) -> str:
    """What an error says, in one line."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:200]


def places(held: Sequence[Tensor]) -> Hashable:
    """Where tensors lie, and how: what a graph has of them."""
    return tuple((each.data_ptr(), each.shape, each.stride()) for each in held)


def recorded(step: Callable[[], None], machine: Machine) -> Callable[[], None]:
    """What does on the device, each time it is called, what the step does there; the step is only
    captured. Elsewhere than on a GPU, the step itself.
    """
    if machine.device.type != "cuda":
        return step
    graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    with torch.cuda.device(machine.device):
        main = torch.cuda.current_stream()
        # cuBLAS keeps its memory by stream, and torch frees it with any graph of that stream (from
        # 2.12 on, pytorch issue 193402): so, each graph takes some of its own
        torch._C._cuda_clearCublasWorkspaces()
        try:
            with _uncollected(), torch.cuda.graph(graph, pool=pool):
                step()
        except BaseException:
            # torch leaves the stream of a capture that failed current, and its allocator capturing,
            # which then frees nothing where memory is short
            torch.cuda.set_stream(main)
            with suppress(AttributeError, RuntimeError):
                torch._C._cuda_endAllocateToPool(main.device_index, pool)
            raise
        finally:
            torch._C._cuda_clearCublasWorkspaces()
    return graph.replay


@contextmanager
def _uncollected() -> Iterator[None]:
    """While entered, no garbage is collected: a graph in it must not go while another is captured
    (pytorch pull request 161037).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@cache
def _side(device: torch.device) -> torch.cuda.Stream:
    """One for all warm-up steps, as libraries keep memory for each stream."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def _aside(device: torch.device) -> Iterator[None]:
    """On a stream of its own, as a graph is captured, where there are streams."""
    if device.type != "cuda":
        yield
        return
    main, side = torch.cuda.current_stream(device), _side(device)
    side.wait_stream(main)
    with torch.cuda.stream(side):
        yield
    main.wait_stream(side)


@contextmanager
def _capturable(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """While entered, the optimizer takes steps of tensors; its state always is one."""
    groups = [group for group in optimizer.param_groups if "capturable" in group]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in groups:
            group["capturable"] = False


def _copied(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [each.detach().clone() for each in tensors]


@torch.no_grad()
def _restore(tensors: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Give tensors these values, if there are any."""
    for each, value in zip(tensors, values, strict=bool(values)):
        each.copy_(value)


def unlike(
    ones: Sequence[Tensor], others: Sequence[Tensor], before: Sequence[Tensor], share: float
) -> bool:
    """Whether what tensors became is further apart than a share of how far the others went; of
    others that are not finite, as of a trial that diverged, nothing is asked.
    """
    one, other, begun = (
        torch.cat([each.detach().reshape(-1).double() for each in tensors])
        for tensors in (ones, others, before)
    )
    asked = other.isfinite()
    apart = torch.where(asked, one - other, 0.0).norm()
    went = torch.where(asked, other - begun, 0.0).norm()
    return not float(apart) <= share * float(went)  # NaN is unlike
