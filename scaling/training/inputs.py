"""Listening: what a trial hears, from clips of a store to features on the device, and from whom.

Training, the maps of a finished trial and models in use share it. Conventions: a microphone is its
number in the trial's own list, those of training first; RECORDED is none. A clip is its row in
`table`, which holds the trial's classes only; `at` says which row of the store that is.
"""

# B clips, T samples, F mel bands, N frames, P patches of a clip

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from scaling.machine import Machine
from scaling.settings import Trial
from scaling.settings.microphones import RECORDED_AS
from scaling.sound import frontends, microphones, splits, training_clips
from scaling.sound.batches import Mapped, Uploaded, full_scale
from scaling.sound.microphones import RECORDED
from scaling.sound.store import Store, ready
from scaling.training.evaluation import BATCH


class EvaluationSet(NamedTuple):
    """What is scored under one name: every clip through every one of the microphones."""

    split: str
    clips: np.ndarray  # rows of the clip table
    through: tuple[int, ...]


def parts(trial: Trial, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The parts of a trial's clips, rows of the clip table: those of its split, of transfer.device
    but for unseen devices, and of training clips those that are trained on.

    Raises ValueError as scaling.sound.splits does.
    """
    found = splits.make(table, trial.split)
    if trial.transfer.device and not through_one(trial):
        found = splits.of_device(table, found, trial.transfer.device)
    train = training_clips.thinned(table, found["train"], trial.split, trial.seed)
    return found | {"train": train}


def through_one(trial: Trial) -> bool:
    """Whether all of a trial's clips, but those of unseen devices, are heard through one of its
    microphones, or through none.
    """
    train = trial.microphones.train
    return bool(train) and trial.transfer.device in (*train, RECORDED_AS)


def own_microphone(trial: Trial) -> int:
    """That microphone; RECORDED where there is no such one."""
    device, train = trial.transfer.device, trial.microphones.train
    return train.index(device) if device in train else RECORDED


def seen_through(trial: Trial) -> tuple[int, ...]:
    """The microphones through which seen devices are tested, RECORDED among them."""
    if trial.transfer.device:
        return (own_microphone(trial),)
    return (RECORDED, *range(len(trial.microphones.train)))


KEPT = 2**29  # bytes of features that are kept, where training clips are heard as recorded


def fits(trial: Trial, clips: int) -> bool:
    """Whether the features of so many clips are few enough to be kept."""
    return 4 * clips * trial.sound.features.mels * trial.sound.frames <= KEPT


def scored(trial: Trial, parts: Mapping[str, np.ndarray]) -> Iterator[EvaluationSet]:
    """What of the parts of a trial's clips is scored, name by name."""
    heard, own = trial.microphones, own_microphone(trial)
    unseen = tuple(range(len(heard.train), len(heard.heard)))
    for split, clips in parts.items():
        if split == "train":
            if trial.evaluation.training_clips:
                yield EvaluationSet("train_clean", clips, (own,))
        elif split == "test" and heard.heard:
            yield EvaluationSet("seen", clips, seen_through(trial))
            if unseen:
                yield EvaluationSet("unseen", clips, unseen)
        else:
            yield EvaluationSet(split, clips, (RECORDED if split == "unseen" else own,))


def classes(trial: Trial, store: Store) -> tuple[str, ...]:
    """The names of a trial's classes, in the order of its logits."""
    return tuple(sorted(trial.sound.classes)) or store.labels


def patches(trial: Trial, features_BFN: Tensor) -> Tensor:
    """All patches of each clip, evaluation.patch_hop frames apart: (B, P, F, patch).

    What is left after the last whole one is left out. Without sound.patch, the clip is one.
    """
    size = trial.sound.patch or features_BFN.shape[2]
    return features_BFN.unfold(2, size, trial.evaluation.patch_hop or size).transpose(1, 2)


class Listener:
    """One trial's clips, their classes, and the ways they are heard."""

    def __init__(self, trial: Trial, store: Store, machine: Machine) -> None:
        """Raises ValueError when trial and clips do not fit together."""
        if store.rate != trial.sound.rate:
            raise ValueError(f"sound.rate={trial.sound.rate}: this store holds {store.rate} Hz")
        self.trial, self.store, self.device = trial, store, machine.device
        self.at = splits.of_classes(store.table, trial.sound.classes)
        self.table = store.table.iloc[self.at].reset_index(drop=True)
        self.labels = classes(trial, store)
        self.parts = parts(trial, self.table)
        train = self.parts["train"]
        _, targets = np.unique(store.targets[self.at], return_inverse=True)
        self.targets = targets.astype(np.int64)  # class indices, as taught
        self.targets[train] = training_clips.taught(self.table, train, trial.split, trial.seed)
        self.clips = ready(store, trial.sound, self.device)
        front = frontends.build(trial.sound.features, store.rate, machine.frontend)
        self.frontend = front.to(machine.device)
        self.bank = microphones.build(trial.microphones, trial.sound).to(machine.device)
        self.kept_BFN: Tensor | None = None  # features of the training clips

    def lengths(self, clips: np.ndarray) -> np.ndarray:
        """How many samples of what `waves` gives are the clips' own: (B,)."""
        assert isinstance(self.store.read, Mapped), "the packed clips themselves, on no GPU"
        lengths_B: np.ndarray = self.store.read.lengths_N[self.at[clips]]
        return lengths_B.clip(max=self.trial.sound.samples)

    def waves(self, clips: np.ndarray) -> Tensor:
        """The clips at these rows of the table, on the device: (B, T), full scale 1."""
        return self.waves_at(torch.from_numpy(self.at[clips]))

    def waves_at(self, rows_B: Tensor) -> Tensor:
        """The same, by their rows of the store, which may lie on the device."""
        read, samples = self.clips.read, self.trial.sound.samples
        if isinstance(read, Uploaded):
            return full_scale(read.rows(rows_B, samples), self.device)
        return full_scale(self.clips.batch(rows_B.numpy(), samples), self.device)

    @torch.no_grad()
    def features(self, clips: np.ndarray, microphone: int = RECORDED) -> Tensor:
        """Their features through one microphone, neither augmented nor standardized: (B, F, N)."""
        if microphone == RECORDED and (rows_B := self.kept_rows(clips)) is not None:
            return self.kept_at(rows_B)
        features_BFN: Tensor = self.frontend(self.heard(clips, microphone))
        return features_BFN

    def kept_rows(self, clips: np.ndarray) -> Tensor | None:
        """Where the features of these clips are kept: (B,) int64; None where some are not."""
        if self.kept_BFN is None or (self.place[clips] < 0).any():
            return None
        return torch.from_numpy(self.place[clips])

    def kept_at(self, rows_B: Tensor) -> Tensor:
        """Features that are kept: (B, F, N)."""
        assert self.kept_BFN is not None
        return self.kept_BFN.index_select(0, rows_B.to(self.device))

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the training clips' features, each (F,): frontends.statistics."""
        return frontends.statistics(map(self.features, self._batches()))

    def _batches(self) -> Iterator[np.ndarray]:
        """The training clips, a few at once."""
        train = self.parts["train"]
        return (train[at : at + BATCH] for at in range(0, len(train), BATCH))

    def keep(self) -> None:
        """Compute the training clips' features once, where they are few enough.

        For a trial that hears them as recorded, epoch by epoch. The front end gives a clip the same
        bits in any batch, so that nothing but time depends on it.
        """
        train = self.parts["train"]
        if not fits(self.trial, len(train)):
            return
        self.place = np.full(len(self.table), -1)
        self.place[train] = np.arange(len(train))
        self.kept_BFN = torch.cat([*map(self.features, self._batches())])

    @torch.no_grad()
    def heard(self, clips: np.ndarray, microphone: int = RECORDED) -> Tensor:
        """The clips through one microphone: (B, T), full scale 1."""
        waves_BT = self.waves(clips)
        if microphone == RECORDED and not self.trial.microphones.compress_recorded:
            return waves_BT
        through_BT: Tensor = self.bank(waves_BT, torch.full((len(clips),), microphone))
        return through_BT

    def patches(self, features_BFN: Tensor) -> Tensor:
        """See the function of this name."""
        return patches(self.trial, features_BFN)

    def scored(self) -> Iterator[EvaluationSet]:
        """What is scored, name by name."""
        return scored(self.trial, self.parts)

    def rows(self, clips: np.ndarray, microphone: int) -> pd.DataFrame:
        """Their rows of the clip table, with the device that was heard."""
        table = self.table.iloc[clips]
        if microphone == RECORDED:
            return table
        return table.assign(device=self.trial.microphones.heard[microphone])
