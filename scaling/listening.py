"""Listening: what a trial hears, from clips of a store to features on the device, and from whom.

Training and the maps of a finished trial share it. Conventions: a microphone is its number in the
trial's own list, those of training first; RECORDED is none.
"""

# B clips, T samples, F mel bands, N frames

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from scaling.config import Trial
from scaling.machine import Machine
from scaling.sound import frontends, microphones, splits
from scaling.sound.microphones import RECORDED
from scaling.sound.store import Store


class Heard(NamedTuple):
    """What is scored under one name: every clip through every one of the microphones."""

    split: str
    clips: np.ndarray  # rows of the clip table
    through: tuple[int, ...]


class Listener:
    """One trial's clips, their classes, and the ways they are heard."""

    def __init__(self, trial: Trial, store: Store, machine: Machine) -> None:
        """Raises ValueError when trial and clips do not fit together."""
        if store.rate != trial.sound.rate:
            raise ValueError(f"sound.rate={trial.sound.rate}: this store holds {store.rate} Hz")
        self.trial, self.store, self.device = trial, store, machine.device
        self.table, self.labels = store.table, store.labels
        self.parts = splits.make(store.table, trial.split)
        train = splits.thinned(store.table, self.parts["train"], trial.split, trial.seed)
        self.parts["train"] = train
        self.targets = store.targets.copy()  # class indices, as taught
        self.targets[train] = splits.taught(store.table, train, trial.split, trial.seed)
        self.clips = store.resident(machine.device, trial.sound.samples)
        self.frontend = frontends.build(trial.sound.features, store.rate).to(machine.device)
        self.bank = microphones.build(trial.microphones, trial.sound).to(machine.device)

    def waves(self, clips: np.ndarray) -> Tensor:
        """The clips at these rows of the table, on the device: (B, T), full scale 1."""
        return self.full_scale(self.clips.batch(clips, self.trial.sound.samples))

    def full_scale(self, batch_BT: Tensor) -> Tensor:
        """int16 samples of a store as waves on the device, full scale 1."""
        return batch_BT.to(self.device, non_blocking=True).float().div_(32768)

    @torch.no_grad()
    def features(self, clips: np.ndarray, microphone: int = RECORDED) -> Tensor:
        """Their features through one microphone, neither augmented nor standardized: (B, F, N)."""
        waves_BT = self.waves(clips)
        if microphone != RECORDED:
            waves_BT = self.bank(waves_BT, torch.full((len(clips),), microphone))
        features_BFN: Tensor = self.frontend(waves_BT)
        return features_BFN

    def scored(self) -> Iterator[Heard]:
        """What is scored, name by name."""
        heard = self.trial.microphones
        trained = tuple(range(len(heard.train)))
        unseen = tuple(range(len(heard.train), len(heard.heard)))
        for split, clips in self.parts.items():
            if split == "train":
                if self.trial.evaluation.training_clips:
                    yield Heard("train_clean", clips, (RECORDED,))
            elif split == "test" and heard.heard:
                yield Heard("seen", clips, (RECORDED, *trained))
                if unseen:
                    yield Heard("unseen", clips, unseen)
            else:
                yield Heard(split, clips, (RECORDED,))

    def rows(self, clips: np.ndarray, microphone: int) -> pd.DataFrame:
        """Their rows of the clip table, with the device that was heard."""
        table = self.table.iloc[clips]
        if microphone == RECORDED:
            return table
        return table.assign(device=self.trial.microphones.heard[microphone])
