"""Methods: how a trial comes to its epochs, by the training loop or by nearest neighbours."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from scaling.machine import Machine
from scaling.settings import Trial
from scaling.sound.store import Store
from scaling.training import loop, neighbours
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.teachers import Teacher


def run(
    trial: Trial,
    store: Store,
    machine: Machine,
    resume: Mapping[str, Any] | None = None,
    source: Mapping[str, Tensor] | None = None,
    teachers: Sequence[Teacher] = (),
) -> Iterator[Epoch]:
    """A trial's epochs from the start, or from the state of an earlier Epoch, each with its
    records. `source` is the state of the classifier that transfer takes over,
    `teachers` are those that its objective learns from.

    Raises ValueError when trial and clips do not fit together; see loop.run for the rest.
    """
    listener = Listener(trial, store, machine)
    if trial.objective.trains:
        yield from loop.run(trial, listener, machine, resume, source, teachers)
    else:
        yield neighbours.run(trial, listener, machine, source)
