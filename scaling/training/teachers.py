"""Teachers: trained networks that answer, in each step, to the very view that their student hears.

A view is standardized for the student: that is undone, and each teacher standardizes for itself.
"""

# B clips, F mel bands, N frames, Y classes

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scaling.machine import Machine
from scaling.settings import Trial
from scaling.sound.frontends import Standardize
from scaling.training import classifier
from scaling.training.classifier import Classifier
from scaling.training.inputs import Listener


class Teacher(NamedTuple):
    """A trained network, which hears the student's features and knows its classes."""

    trial: Trial
    state: Mapping[str, Tensor]  # of its classifier


class Teachers:
    """The teachers of one student. They learn nothing and draw nothing."""

    def __init__(
        self,
        teachers: Sequence[Teacher],
        student: Standardize,
        listener: Listener,
        machine: Machine,
    ) -> None:
        """Raises ValueError where a state is another network's."""
        self.student = student
        self.models = [_restored(each, listener, machine) for each in teachers]

    @torch.no_grad()
    def __call__(self, view_BFN: Tensor) -> list[Tensor]:
        """The logits of each teacher, for a view that is standardized for the student: (B, Y)."""
        if not self.models:
            return []
        features_BFN = view_BFN * self.student.std_F + self.student.mean_F
        return [model(features_BFN).logits_BY.float() for model in self.models]


def _restored(teacher: Teacher, listener: Listener, machine: Machine) -> Classifier:
    trial, classes = teacher.trial, len(listener.labels)
    model = classifier.untrained(trial, classes, listener.frontend, machine)
    try:
        model.load_state_dict(teacher.state)
    except RuntimeError:
        raise ValueError(
            f"objective.teachers={trial.id}: its weights are another network's: remove them and "
            "train it again"
        ) from None
    model = classifier.in_use(model, trial, classes)
    model.to(machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval().requires_grad_(False)
