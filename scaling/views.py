"""Views: copies of clips as the network is given them in training, each augmented by its own draws.

The way of a copy: the recording (or its pitch-shifted copy) -> room -> microphone -> roll -> front
end -> standardize -> patch -> masks. Sources: Koutini et al. 2021 (roll), Iqbal et al. 2021 (pitch,
rooms, masks), Pons et al. 2019 (patches).
"""

# B clips, T samples, F mel bands, N frames (of the clip, or of a patch of it)

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from scaling.config import Trial
from scaling.listening import Listener
from scaling.seeds import stream
from scaling.sound import augment
from scaling.sound.augment import ROOMS, UNCHANGED, Kind, Transform
from scaling.sound.pitch import pitched
from scaling.sound.rooms import reverberate, rooms


class Draws(NamedTuple):
    """The random streams of one view of an epoch's clips."""

    transform: np.random.Generator
    microphone: np.random.Generator
    roll: np.random.Generator
    mask: np.random.Generator
    patch: np.random.Generator

    @classmethod
    def of(cls, seed: int, epoch: int, view: int) -> "Draws":
        """Fresh ones, each named by its purpose."""
        return cls(*(stream(seed, purpose, epoch, view) for purpose in cls._fields))


def as_recorded(trial: Trial) -> bool:
    """Whether training hears every clip as it was recorded, so that its features never change."""
    settings = trial.augment
    unchanged = settings.roll == 0 and settings.transform in ("none", "mask")
    return unchanged and trial.microphones.share == 0


class Views:
    """Makes the views of one trial's clips; pitch copies and rooms are those of the cache."""

    def __init__(self, listener: Listener, standardize: Callable[[Tensor], Tensor]) -> None:
        self.listener, self.standardize = listener, standardize
        self.trial, device = listener.trial, listener.device
        kinds = {self.trial.augment.transform, self.trial.evaluation.disagreement}
        self.as_recorded = as_recorded(self.trial)
        if self.as_recorded:
            listener.keep()
        self.pitched = self.rooms = None
        if kinds & {"pitch", "combination"}:
            copies = pitched(listener.store, progress=False)
            self.pitched = listener.read(copies)
        if kinds & {"reverb", "combination"}:
            self.rooms = self._pool().to(device)

    def _pool(self) -> Tensor:
        store = self.listener.store
        return rooms(store.rate, cache=store.folder.parent, progress=False).responses_MK

    @torch.no_grad()
    def augmented(self, clips: np.ndarray, draws: Draws, share: float) -> Tensor:
        """One augmented copy of the clips, `share` of them transformed; standardized: (B, F, N)."""
        trial, batch = self.trial, len(clips)
        change = self._drawn(draws, batch, trial.augment.transform, share)
        if self.as_recorded:
            return self._seen(self.listener.features(clips), change, draws)
        waves_BT = self._changed(clips, change)
        heard = trial.microphones
        if heard.share > 0:
            which_B = augment.draw_microphone(
                draws.microphone, batch, heard.share, len(heard.train)
            )
            waves_BT = self.listener.bank(waves_BT, which_B)
        limit = round(trial.augment.roll * trial.sound.rate)
        if limit:
            waves_BT = augment.roll(waves_BT, augment.draw_roll(draws.roll, batch, limit))
        return self._seen(self.listener.frontend(waves_BT), change, draws)

    @torch.no_grad()
    def transformed(self, clips: np.ndarray, draws: Draws, share: float) -> Tensor:
        """A copy to be agreed on: `share` of the clips as evaluation.disagreement changes them, and
        nothing else done to them.
        """
        change = self._drawn(draws, len(clips), self.trial.evaluation.disagreement, share)
        waves_BT = self._changed(clips, change)
        return self._seen(self.listener.frontend(waves_BT), change, draws)

    def _drawn(self, draws: Draws, batch: int, kind: Kind, share: float) -> Transform:
        count = ROOMS if self.rooms is None else len(self.rooms)
        return augment.draw_transform(draws.transform, batch, kind, share, count)

    def _changed(self, clips: np.ndarray, change: Transform) -> Tensor:
        """The clips as recorded, shifted, or in a room: (B, T)."""
        waves_BT = self.listener.waves(clips)
        shifted = (change.pitch_B != UNCHANGED).numpy()
        if shifted.any():
            assert self.pitched is not None
            samples = self.trial.sound.samples
            recorded = self.listener.at[clips[shifted]]
            copies = self.pitched.batch(recorded, change.pitch_B.numpy()[shifted], samples)
            rows = torch.from_numpy(np.flatnonzero(shifted)).to(waves_BT.device)
            waves_BT[rows] = self.listener.full_scale(copies)
        if self.rooms is not None:
            waves_BT = reverberate(waves_BT, self.rooms, change.room_B)
        return waves_BT

    def _seen(self, features_BFN: Tensor, change: Transform, draws: Draws) -> Tensor:
        """Features standardized, a patch of them, those of masked clips masked: (B, F, N)."""
        view_BFN = self.standardize(features_BFN)
        if size := self.trial.sound.patch:
            starts_B = augment.draw_patch(draws.patch, len(view_BFN), view_BFN.shape[2] - size)
            view_BFN = augment.patch(view_BFN, starts_B, size)
        if change.masked_B.any():
            masks = augment.draw_masks(draws.mask, *view_BFN.shape)
            view_BFN = augment.mask(view_BFN, masks, where_B=change.masked_B)
        return view_BFN
