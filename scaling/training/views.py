"""Views: copies of clips as the network is given them in training, each augmented by its own draws.

The way of a copy: the recording (or its pitch-shifted copy) -> room -> microphone -> roll -> front
end -> standardize -> patch -> masks. Each step is a Stage that says whether it changes the wave or
the features: where no stage changes the wave, features are computed once and kept, unless the
front end learns. Mixup follows,
in scaling.training.loop, as it mixes what clips are taught too. Sources: Koutini et al. 2021
(roll), Iqbal et al. 2021 (pitch, rooms, masks), Pons et al. 2019 (patches). Contents: Draws, Stage
and STAGES, `as_recorded`, Views.
"""

# B clips, T samples, F mel bands, N frames (of the clip, or of a patch of it)

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scaling.seeds import stream
from scaling.settings import Trial
from scaling.sound import augment
from scaling.sound.augment import ROOMS, UNCHANGED, Kind, Transform
from scaling.sound.pitch import pitched
from scaling.sound.rooms import reverberate, rooms
from scaling.training.inputs import Listener


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


class Copy(NamedTuple):
    """One augmented copy of a batch of clips, while it is made."""

    clips: np.ndarray  # rows of the clip table
    draws: Draws
    change: Transform  # drawn already: its parts belong to several stages


class Stage(NamedTuple):
    """A step on the way of a copy; a new augmentation is one of these, in its place in STAGES."""

    changes: Literal["wave", "features"]
    used: Callable[[Trial], bool]  # whether it can change any training clip of this trial
    # (views, (B, T) or (B, F, N), copy) -> the same, changed
    apply: Callable[["Views", Tensor, Copy], Tensor]


def _shift_pitch(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    shifted = (copy.change.pitch_B != UNCHANGED).numpy()
    if shifted.any():
        assert views.pitched is not None
        samples = views.trial.sound.samples
        recorded = views.listener.at[copy.clips[shifted]]
        copies = views.pitched.batch(recorded, copy.change.pitch_B.numpy()[shifted], samples)
        rows = torch.from_numpy(np.flatnonzero(shifted)).to(waves_BT.device)
        waves_BT[rows] = views.listener.full_scale(copies)
    return waves_BT


def _reverberate(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    if views.rooms is None:
        return waves_BT
    return reverberate(waves_BT, views.rooms, copy.change.room_B)


def _hear_through(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    heard, draws = views.trial.microphones, copy.draws.microphone
    which_B = augment.draw_microphone(draws, len(copy.clips), heard.share, len(heard.train))
    through_BT: Tensor = views.listener.bank(waves_BT, which_B)
    return through_BT


def _roll(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    limit = _roll_limit(views.trial)
    return augment.roll(waves_BT, augment.draw_roll(copy.draws.roll, len(copy.clips), limit))


def _roll_limit(trial: Trial) -> int:
    """In samples."""
    return round(trial.augment.roll * trial.sound.rate)


def _cut_patch(views: "Views", view_BFN: Tensor, copy: Copy) -> Tensor:
    size = views.trial.sound.patch
    starts_B = augment.draw_patch(copy.draws.patch, len(view_BFN), view_BFN.shape[2] - size)
    return augment.patch(view_BFN, starts_B, size)


def _mask(views: "Views", view_BFN: Tensor, copy: Copy) -> Tensor:
    del views
    if not copy.change.masked_B.any():
        return view_BFN
    masks = augment.draw_masks(copy.draws.mask, *view_BFN.shape)
    return augment.mask(view_BFN, masks, where_B=copy.change.masked_B)


# In the order of the way. Copies to be agreed on go through TRANSFORMS, PATCH and MASK only.
TRANSFORMS = (
    Stage("wave", lambda trial: "pitch" in augment.kinds(trial.augment.transform), _shift_pitch),
    Stage("wave", lambda trial: "reverb" in augment.kinds(trial.augment.transform), _reverberate),
)
RECORDING = (
    Stage("wave", lambda trial: trial.microphones.share > 0, _hear_through),
    Stage("wave", lambda trial: _roll_limit(trial) > 0, _roll),
)
PATCH = Stage("features", lambda trial: trial.sound.patch > 0, _cut_patch)
MASK = Stage("features", lambda trial: "mask" in augment.kinds(trial.augment.transform), _mask)
STAGES = (*TRANSFORMS, *RECORDING, PATCH, MASK)


def as_recorded(trial: Trial) -> bool:
    """Whether training hears every clip as it was recorded, through a front end that stays as it
    is, so that its features never change.
    """
    if trial.sound.features.trainable != "none":
        return False
    return not any(stage.changes == "wave" and stage.used(trial) for stage in STAGES)


class Views:
    """Makes the views of one trial's clips; pitch copies and rooms are those of the cache."""

    def __init__(self, listener: Listener, standardize: Callable[[Tensor], Tensor]) -> None:
        self.listener, self.standardize = listener, standardize
        self.trial, device = listener.trial, listener.device
        self.learns = self.trial.sound.features.trainable != "none"
        kinds = augment.kinds(self.trial.augment.transform, self.trial.evaluation.disagreement)
        if as_recorded(self.trial):
            listener.keep()
        self.pitched = self.rooms = None
        if "pitch" in kinds:
            copies = pitched(listener.store, progress=False)
            self.pitched = listener.read(copies)
        if "reverb" in kinds:
            self.rooms = self._pool().to(device)

    def _pool(self) -> Tensor:
        store = self.listener.store
        return rooms(store.rate, cache=store.folder.parent, progress=False).responses_MK

    def augmented(self, clips: np.ndarray, draws: Draws, share: float) -> Tensor:
        """One augmented copy of the clips, `share` of them transformed; standardized: (B, F, N).

        With a gradient to the filters of a front end that learns.
        """
        copy = self._copy(clips, draws, self.trial.augment.transform, share)
        with torch.set_grad_enabled(self.learns):
            return self._made(copy, [stage for stage in STAGES if stage.used(self.trial)])

    @torch.no_grad()
    def transformed(self, clips: np.ndarray, draws: Draws, share: float) -> Tensor:
        """A copy to be agreed on: `share` of the clips as evaluation.disagreement changes them, and
        nothing else done to them.
        """
        copy = self._copy(clips, draws, self.trial.evaluation.disagreement, share)
        patch = [PATCH] if PATCH.used(self.trial) else []
        return self._made(copy, [*TRANSFORMS, *patch, MASK])

    def _copy(self, clips: np.ndarray, draws: Draws, kind: Kind, share: float) -> Copy:
        count = ROOMS if self.rooms is None else len(self.rooms)
        drawn = augment.draw_transform(draws.transform, len(clips), kind, share, count)
        return Copy(clips, draws, drawn)

    def _made(self, copy: Copy, stages: Sequence[Stage]) -> Tensor:
        """The copy after these stages, standardized before those that change features."""
        of_wave = [stage for stage in stages if stage.changes == "wave"]
        if of_wave or self.learns:
            waves_BT = self.listener.waves(copy.clips)
            for stage in of_wave:
                waves_BT = stage.apply(self, waves_BT, copy)
            features_BFN = self.listener.frontend(waves_BT)
        else:
            features_BFN = self.listener.features(copy.clips)
        view_BFN = self.standardize(features_BFN)
        for stage in stages:
            if stage.changes == "features":
                view_BFN = stage.apply(self, view_BFN, copy)
        return view_BFN
