"""The training loop: `run` trains one network and yields an epoch's records as they happen.

What an epoch does is in scaling.training.session.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from scaling.machine import Machine
from scaling.settings import Trial
from scaling.training import memory
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.session import Session
from scaling.training.teachers import Teacher


def run(
    trial: Trial,
    listener: Listener,
    machine: Machine,
    resume: Mapping[str, Any] | None = None,
    source: Mapping[str, Tensor] | None = None,
    teachers: Sequence[Teacher] = (),
) -> Iterator[Epoch]:
    """Train one network from the start, or from the state of an earlier Epoch, and yield each
    epoch's records. `source` is the state of the classifier that transfer takes over.

    On a CPU the records (but for those that a clock measured) do not depend on where training was
    cut and resumed. Raises ValueError when trial and clips do not fit together, Misfit when the
    state is none of this trial's, Diverged when the loss is no longer finite.
    """
    session = Session(trial, listener, machine, resume, source, teachers)
    if machine.device.type == "cuda":
        session.recomputes = memory.fit(session)
    for _ in range(session.done, trial.training.epochs):
        epoch = session.epoch()
        yield epoch
        if epoch.last:
            return
