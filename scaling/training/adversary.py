"""Adversary: a head that tells devices apart, whose gradient the network gets reversed.

The head reads what the network makes of a training clip before its last layer and learns which
device, through which microphone, the clip was heard by. The network gets -lambda times its
gradient, so it learns to keep that from the head. With p the share of training that is done,
lambda = training.adversarial x (2 / (1 + exp(-10 p)) - 1). The head has one hidden layer of 100
units; it is no part of the network, has an optimizer of its own, and is kept in checkpoints only.
Sources: Ganin and Lempitsky 2015; Ganin et al. 2016. Contents: `strength`, `against`, `ways`,
`check`, DeviceHead, Adversary.
"""

# B clips, E dimensions of an embedding, D devices through microphones, V views

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.machine import Machine
from scaling.networks.modules.output import Output, described
from scaling.networks.modules.state import Misfit
from scaling.objectives.modules.losses import Loss
from scaling.seeds import torch_stream
from scaling.settings import Trial
from scaling.training import optimizer
from scaling.training.classifier import Classifier
from scaling.training.inputs import Listener, through_one
from scaling.training.resume import take_up
from scaling.training.stages import Copy

HIDDEN = 100  # units, as for digits in Ganin et al. 2016
STEEPNESS = 10.0  # of the schedule: gamma there


def strength(progress: float) -> float:
    """The share of lambda after this share of training: from 0 to almost 1."""
    return 2 / (1 + math.exp(-STEEPNESS * progress)) - 1


class _Against(torch.autograd.Function):
    """The identity, whose gradient is reversed and scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradients[0], None


def against(x: Tensor, scale: float) -> Tensor:
    """The same numbers, whose gradient is -scale times what arrives."""
    reversed_: Tensor = _Against.apply(x, scale)
    return reversed_


def ways(trial: Trial) -> int:
    """How many ways a training clip may be heard: as recorded, and through each microphone."""
    heard = trial.microphones
    if through_one(trial):
        return 1
    return len(heard.train) + (heard.share < 1)


def check(trial: Trial, table: pd.DataFrame) -> None:
    """Raises ValueError where a trial has an adversary, but hears all of its training clips, the
    rows of a clip table, by one device.
    """
    if trial.training.adversarial and table["device"].nunique() * ways(trial) < 2:
        raise ValueError(
            f"training.adversarial={trial.training.adversarial:g}: all training clips are of "
            "one device, so there is nothing to tell apart: name microphones.train with a share, "
            "train on several devices, or leave it at 0"
        )


class DeviceHead(nn.Sequential):
    """An embedding (B, E) to logits of who heard it (B, D)."""

    def __init__(self, size: int, devices: int, generator: torch.Generator) -> None:
        layers = nn.Linear(size, HIDDEN), nn.Linear(HIDDEN, devices)
        super().__init__(layers[0], nn.ReLU(), layers[1])
        for layer in layers:
            bound = layer.in_features**-0.5
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.zeros_(layer.bias)


class Adversary:
    """The head of one trial, its optimizer, and who hears the trial's training clips."""

    def __init__(
        self,
        trial: Trial,
        listener: Listener,
        model: Classifier,
        machine: Machine,
        resume: Mapping[str, Any] | None,
    ) -> None:
        """`resume` is the state of a trial that resumes. Raises Misfit where that is of another,
        ValueError as `check` does, and for a network that shows no last map.
        """
        self.trial, self.machine = trial, machine
        check(trial, listener.table.iloc[listener.parts["train"]])
        names = listener.table["device"].to_numpy(dtype=str)
        known = np.unique(names[listener.parts["train"]])
        self.device_N = np.searchsorted(known, names).clip(max=len(known) - 1)
        self.ways, self.count = ways(trial), len(known) * ways(trial)
        generator = torch_stream(trial.seed, "adversary")
        size = _embedding(trial, model, machine)
        self.head = DeviceHead(size, self.count, generator).to(machine.device)
        self.optimizer = optimizer.build(self.head, trial.training)
        if resume:
            if not resume.get("adversary"):
                raise Misfit("it has no adversary")
            take_up(resume["adversary"], self.head, self.optimizer)

    def heard(self, copy: Copy) -> Tensor:
        """Who hears the clips of a copy, as probabilities: (B, D)."""
        recorded = self.trial.microphones.share < 1
        way_B = copy.microphones_B + recorded  # RECORDED is -1
        which_B = torch.from_numpy(self.device_N[copy.clips]) * self.ways + way_B
        return functional.one_hot(which_B, self.count).float().to(self.machine.device)

    def add_to(self, loss: Loss, outputs: Sequence[Output], heard_BD: Tensor, done: float) -> None:
        """Add the head's part to a loss, and how often it is right. `heard_BD` is of all views, one
        after the other; `done` the share of training that is.
        """
        self.optimizer.zero_grad(set_to_none=True)
        embedding_BE = torch.cat([described(output).float() for output in outputs])
        scale = self.trial.training.adversarial * strength(done)
        logits_BD = self.head(against(embedding_BE, scale))
        loss.parts["adversary"] = functional.cross_entropy(logits_BD, heard_BD)
        right_B = logits_BD.detach().argmax(dim=1) == heard_BD.argmax(dim=1)
        loss.measured["device_accuracy"] = right_B.float().mean()

    def step(self, rate: float) -> None:
        """Move the head by the gradients of the last loss that it was added to."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()

    @property
    def state(self) -> dict[str, Any]:
        """What a trial that resumes needs of it."""
        return {"model": self.head.state_dict(), "optimizer": self.optimizer.state_dict()}


@torch.no_grad()
def _embedding(trial: Trial, model: Classifier, machine: Machine) -> int:
    """How many numbers a trial's network makes of a clip before its last layer."""
    output = model.eval().network_on(torch.zeros(2, *trial.sound.shape, device=machine.device))
    if output.embedding_BE is None and output.features_BCFN is None:
        raise ValueError(
            f"training.adversarial={trial.training.adversarial:g}: network.kind="
            f"{trial.network.kind} puts out logits alone: return (logits, last map), which the "
            "head reads"
        )
    return described(output).shape[1]
