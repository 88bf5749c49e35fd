"""Agreement: whether an exported file answers as PyTorch does, on the clips that a trial never saw.

Every clip is answered alone and in a batch of seven. The clips are the held-out ones of the trial,
as it heard them: through each of its microphones. Where its recordings are not here, noise and
tones of fixed seeds stand in for them. Contents: Heard, `heard_out`, `held_out`,
`through`, `listening`, `synthetic`; Agreement, `agree`.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from scaling.machine import Machine
from scaling.results import trained_on
from scaling.results.records import Results
from scaling.shipping.export import Runner, Waves
from scaling.shipping.model import Model
from scaling.sound import datasets
from scaling.sound.datasets.reading import AS_IT_IS, Reading
from scaling.training.inputs import EvaluationSet, Listener

# B clips, T samples, Y classes

BATCHES = (1, 7)
MOST = 1e-3  # difference of a logit
STAND_INS = 42  # clips of noise and tones: a multiple of 7
NOT_HELD_OUT = ("train_clean", "validation")


class Heard(NamedTuple):
    """Clips that a file is checked on."""

    what: str  # as `80 held-out clips`
    reason: str  # why it is none of the trial's own; "" where it is
    batches: Iterator[Waves]  # (B, samples), as large as comes
    listener: Listener | None = None  # of the trial's own clips; None: they are not here


class Agreement(NamedTuple):
    """How a file's answers compare with PyTorch's."""

    clips: int
    largest: float  # difference of a logit
    other: int  # clips with another answer

    @property
    def holds(self) -> bool:
        """Whether the file may be used in PyTorch's place."""
        return self.largest <= MOST and not self.other


def heard_out(
    results: Results,
    model: Model,
    machine: Machine,
    root: str | Path | None = None,
    reading: Reading = AS_IT_IS,
) -> Heard:
    """The held-out clips of a trial, through each of its microphones; where its dataset is not
    here, and no root is named, `synthetic` ones.

    Raises ValueError for a named root that does not hold them, and for other clips than those that
    the trial was trained on.
    """
    try:
        listener = listening(results, model, machine, root, reading)
    except datasets.Missing:
        if root is not None:
            raise
        return synthetic(model, f"{model.trial.sound.dataset} was not found")
    sets = held_out(listener)
    count = sum(len(each.clips) * len(each.through) for each in sets)
    names = " and ".join(each.split for each in sets)
    batches = (waves_BT for *_, waves_BT in through(listener, sets, 7 * 8))
    return Heard(f"all {count:,} held-out clips ({names})", "", batches, listener)


def through(
    listener: Listener, sets: Iterable[EvaluationSet], size: int
) -> Iterator[tuple[str, int, np.ndarray, Waves]]:
    """Split, microphone, rows and waves (B, T), at most `size` of them, of these clips."""
    for each in sets:
        for microphone in each.through:
            for at in range(0, len(each.clips), size):
                rows = each.clips[at : at + size]
                yield each.split, microphone, rows, listener.heard(rows, microphone).cpu().numpy()


def held_out(listener: Listener) -> list[EvaluationSet]:
    """All clips that a trial never learnt from, through each of its microphones."""
    return [each for each in listener.scored() if each.split not in NOT_HELD_OUT]


def listening(
    results: Results,
    model: Model,
    machine: Machine,
    root: str | Path | None = None,
    reading: Reading = AS_IT_IS,
) -> Listener:
    """The clips of a trial, as it heard them. Raises datasets.Missing, a ValueError, where they are
    not here, and ValueError for other clips than those that it was trained on.
    """
    trial = model.trial
    store = trained_on.stored(results, [trial], root, reading)(trial)
    return Listener(trial, store, machine)


def synthetic(model: Model, reason: str) -> Heard:
    """White noise and tones, from silence to full scale, the same for every model of a length."""
    generator = np.random.default_rng(15)
    time_T = np.arange(model.samples) / model.rate

    def batches() -> Iterator[Waves]:
        for _ in range(STAND_INS // 7):
            level_B1 = 10 ** generator.uniform(-5, 0, (7, 1))
            pitch_B1 = np.exp(generator.uniform(np.log(30), np.log(model.rate / 2), (7, 1)))
            waves_BT = np.sin(2 * np.pi * pitch_B1 * time_T)
            waves_BT[::2] = generator.standard_normal(waves_BT[::2].shape) / 4
            waves_BT[0, model.samples // 2 :] = 0
            yield (level_B1 * waves_BT).clip(-1, 1).astype(np.float32)

    return Heard(f"{STAND_INS} clips of noise and tones", reason, batches())


@torch.no_grad()
def agree(run: Runner, model: Model, heard: Heard) -> Agreement:
    """Compare a file's answers with the model's, at each of BATCHES."""
    count, largest, other = 0, 0.0, set[int]()
    device = next(model.classifier.parameters()).device
    for waves_BT in heard.batches:
        wanted_BY = model(torch.from_numpy(waves_BT).to(device)).cpu().numpy()
        for size in BATCHES:
            starts = range(0, len(waves_BT), size)
            parts = [run(waves_BT[at : at + size])[1] for at in starts]
            logits_BY = np.concatenate(parts)
            apart = np.abs(logits_BY - wanted_BY)
            # what is no number is as wrong as can be
            largest = max(largest, float(np.nan_to_num(apart, nan=np.inf).max()))
            wrong = logits_BY.argmax(axis=1) != wanted_BY.argmax(axis=1)
            other |= {count + int(row) for row in np.flatnonzero(wrong)}
        count += len(waves_BT)
    return Agreement(count, largest, len(other))
