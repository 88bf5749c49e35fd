"""Trainees: what scaling.training.capture replays, one trial alone or several side by side."""

# V views, B clips, F mel bands, N frames

from collections.abc import Hashable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from scaling.machine import Machine
from scaling.sound.batches import Uploaded
from scaling.training.handed import Handed
from scaling.training.steps import DrawnStep, Step, TakesSteps
from scaling.training.sums import Sums, Terms


class Single:
    """One trial; see capture.Trainee."""

    def __init__(self, session: TakesSteps) -> None:
        self.session, self.machine = session, session.machine
        self.optimizer = session.optimizer
        self.handed = Handed(session.model.network)

    def obstacle(self) -> str | None:
        """Own parts may do anything; masks that move within an epoch, stages that draw when they
        are applied, and what a PaSST is shown are decided by the host.
        """
        trial, views = self.session.trial, self.session.views
        read, augment = self.session.listener.clips.read, trial.augment
        if trial.own:
            return "parts of your own"
        if self.session.recomputes:
            return "activations that are recomputed"
        if trial.training.adversarial:
            return "training.adversarial"
        if trial.network.kind == "passt" and self.handed.modules:
            return "network.kind=passt"
        if self.session.pruner and not self.session.pruner.by_epoch:
            return f"pruning.kind={trial.pruning.kind}"
        if any(not stage.ahead for stage in views.stages):
            moved = augment.low_jitter + augment.high_jitter > 0
            return "moved bands" if moved else f"augment.transform={augment.transform}"
        if not isinstance(read, Uploaded) and self.session.listener.kept_BFN is None:
            return "clips that do not fit into the GPU's memory"
        return None

    def size(self) -> str:
        """See capture.Trainee."""
        network = self.session.trial.network
        return f"W{network.width}" if hasattr(network, "width") else network.kind

    def ahead(self) -> Iterator[tuple[DrawnStep, list[Tensor]]]:
        """What is drawn for the views of clips, and within the network."""
        for drawn in self.session.drawn():
            shape, network = _shape(self.session, drawn), self.session.model.network
            if self.handed.modules:
                self.handed.noted(shape, network, self.machine)
            yield drawn, self.handed.drawn(shape, network)

    def take(self, drawn: tuple[DrawnStep, list[Tensor]], sums: Sums) -> None:
        """See capture.Trainee."""
        step, own = drawn
        self.session.views.unseen_draws = True
        self.handed.hand(own, _shape(self.session, step))
        sums.setdefault((0,), Terms()).add(self.session.update(self.session.made(step)))

    def settle(self) -> None:
        """See capture.Trainee."""
        self.session.views.unseen_draws = False
        self.handed.back()
        _set_rates(self.session)

    def again(self) -> None:
        """See capture.Trainee."""
        self.session.reseed()

    def learned(self) -> list[Tensor]:
        """See capture.Trainee."""
        return [*self.session.model.parameters()]

    def state(self) -> list[Tensor]:
        """See capture.Trainee."""
        return [*self.session.model.buffers(), *_cut(self.session), *_moments(self.optimizer)]

    def stage(self) -> Hashable:
        """See capture.Trainee."""
        return _stage(self.session)


class TakesStepsTogether(Protocol):
    """Trials while they train side by side: scaling.training.stack.Stack, which replays its own."""

    machine: Machine
    optimizer: torch.optim.Optimizer
    flat_SP: Tensor  # all their weights

    @property
    def sessions(self) -> Sequence[TakesSteps]:
        """The trials."""

    def drawn(self, shape: Sequence[int]) -> list[Tensor]:
        """What their networks draw in a step of features of this shape."""

    def take(self, steps: Sequence[Step], draws: list[Tensor], sums: Sums) -> None:
        """Take a step of each."""

    def kept(self) -> list[Tensor]:
        """What else their steps read or change."""


class Several:
    """Trials side by side; see capture.Trainee."""

    def __init__(self, stack: TakesStepsTogether) -> None:
        self.stack, self.machine = stack, stack.machine
        self.optimizer = stack.optimizer

    def obstacle(self) -> str | None:
        """That of the first that has one."""
        found = (Single(each).obstacle() for each in self.stack.sessions)
        return next(filter(None, found), None)

    def size(self) -> str:
        """See capture.Trainee."""
        sessions = self.stack.sessions
        return f"{Single(sessions[0]).size()}, {len(sessions)} trials side by side"

    def ahead(self) -> Iterator[tuple[list[DrawnStep], list[Tensor]]]:
        """What each trial draws, and what their networks do, stacked."""
        each = [session.drawn() for session in self.stack.sessions]
        for steps in zip(*each, strict=True):
            shape = _shape(self.stack.sessions[0], steps[0])
            yield [*steps], self.stack.drawn(shape)

    def take(self, drawn: tuple[list[DrawnStep], list[Tensor]], sums: Sums) -> None:
        """See capture.Trainee."""
        steps = []
        for session, step in zip(self.stack.sessions, drawn[0], strict=True):
            session.views.unseen_draws = True
            steps.append(session.made(step))
        self.stack.take(steps, drawn[1], sums)

    def settle(self) -> None:
        """See capture.Trainee."""
        for session in self.stack.sessions:
            session.views.unseen_draws = False
            _set_rates(session)

    def again(self) -> None:
        """See capture.Trainee."""
        for session in self.stack.sessions:
            session.reseed()

    def learned(self) -> list[Tensor]:
        """See capture.Trainee."""
        return [self.stack.flat_SP]

    def state(self) -> list[Tensor]:
        """See capture.Trainee."""
        return [*self.stack.kept(), *_moments(self.optimizer)]

    def stage(self) -> Hashable:
        """See capture.Trainee."""
        return tuple(map(_stage, self.stack.sessions))


def _shape(session: TakesSteps, drawn: DrawnStep) -> tuple[int, int, int, int]:
    """Of what the network is given in a step: (V x B, 1, F, N)."""
    clips = sum(len(view.rows_B) for view in drawn.views)
    return clips, 1, *session.trial.sound.shape


def _stage(session: TakesSteps) -> Hashable:
    penalties = session.pruner.penalties(session.done) if session.pruner else ()
    return session.objective.stage(session.done), tuple(penalties)


def _set_rates(session: TakesSteps) -> None:
    """Of the optimizer, those of the last step, as numbers."""
    for group in session.optimizer.param_groups:
        group["lr"] = session.rate(session.count - 1) * group["factor"]


def _cut(session: TakesSteps) -> list[Tensor]:
    return [*session.pruner.vectors.values()] if session.pruner else []


def _moments(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    held = (value for state in optimizer.state.values() for value in state.values())
    return [value for value in held if isinstance(value, Tensor)]
