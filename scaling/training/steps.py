"""Steps: what a step of training draws, what it is made of, and who takes steps.

Contents: DrawnStep, Step; TakesSteps, what scaling.training.trainees needs of a Session.
"""

# V views, B clips, D devices, F mel bands, N frames, Y classes, E numbers of an embedding

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from scaling.machine import Machine
from scaling.objectives.modules.losses import Loss
from scaling.objectives.objective import Objective
from scaling.pruning.pruner import Masked
from scaling.settings import Trial
from scaling.sound import augment
from scaling.training.classifier import Classifier
from scaling.training.inputs import Listener
from scaling.training.views import DrawnView, Views


class DrawnStep(NamedTuple):
    """What a step draws, and all else that it is told: numbers, and tensors on the CPU, or where
    they were uploaded to.
    """

    views: list[DrawnView]  # of each clip
    targets_BY: Tensor  # one-hot
    mix: augment.Mix | None
    rate: float
    heard: Sequence[Tensor] = ()  # who hears each view: scaling.training.adversary
    progress: float = 0.0  # the share of training that is done


class Step(NamedTuple):
    """What one step of training is made of."""

    views: list[Tensor]  # of each clip, standardized: (B, F, N)
    targets_BY: Tensor  # class probabilities
    rate: float  # or a tensor ()
    teachers: Sequence[Tensor] = ()  # logits of each, for the first view: (B, Y)
    embedding_BE: Tensor | None = None  # in place of views, where a frozen encoder's is known
    heard_BD: Tensor | None = None  # of all views, who hears them: scaling.training.adversary
    progress: float = 0.0  # the share of training that is done


class TakesSteps(Protocol):
    """One trial while it trains: scaling.training.session.Session, which replays its own steps."""

    trial: Trial
    listener: Listener
    machine: Machine
    objective: Objective
    model: Classifier
    views: Views
    optimizer: torch.optim.Optimizer
    pruner: Masked | None
    recomputes: bool  # activations: scaling.training.memory
    done: int  # epochs trained
    count: int  # steps of an epoch

    def drawn(self) -> Iterator[DrawnStep]:
        """What the steps of the next epoch draw."""

    def made(self, drawn: DrawnStep) -> Step:
        """A step, from what it draws."""

    def update(self, step: Step) -> Loss:
        """Take the step."""

    def rate(self, step: int) -> float:
        """The rate of a step of the next epoch."""

    def reseed(self) -> None:
        """Give what draws within the network the next epoch's streams."""
