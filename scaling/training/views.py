"""Views: copies of clips as the network is given them in training, each augmented by its own draws.

The way of a copy: the recording -> transforms of the wave (pitch, room) -> microphone -> roll ->
front end, its bands perhaps moved -> standardize -> patch -> Freq-MixStyle -> band mask ->
transforms of features (masks). Each step is a Stage that says whether it changes the wave, makes
features of it, or changes those: where all stages change features, they are computed once and kept,
unless the front end learns. Mixup follows, in scaling.training.loop, as it mixes
what clips are taught too. Sources: Koutini et al. 2021 (roll), Iqbal et al. 2021 (pitch, rooms,
masks), Pons et al. 2019 (patches). Contents: Draws, Stage and STAGES, `as_recorded`, Views.
"""

# B clips, T samples, F mel bands, N frames (of the clip, or of a patch of it)

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scaling.own.names import is_own
from scaling.seeds import stream
from scaling.settings import Trial
from scaling.settings.transforms import named
from scaling.sound import augment, freq_mixstyle, jitter, transforms
from scaling.sound.microphones import RECORDED
from scaling.sound.transforms import TRANSFORMS
from scaling.sound.transforms.mask import draw_masks, mask
from scaling.sound.transforms.transform import Batch
from scaling.training.inputs import Listener, own_microphone, through_one


class Draws(dict[str, np.random.Generator]):
    """The random streams of one view of an epoch's clips, by purpose, each made when it is used."""

    def __init__(self, seed: int, epoch: int, view: int) -> None:
        self.of = seed, epoch, view

    def __missing__(self, purpose: str) -> np.random.Generator:
        seed, epoch, view = self.of
        return self.setdefault(purpose, stream(seed, purpose, epoch, view))


class Copy(NamedTuple):
    """One augmented copy of a batch of clips, while it is made."""

    clips: np.ndarray  # rows of the clip table
    draws: Draws
    variants: Mapping[str, Tensor]  # by transform, which variant of each clip: transforms.draw
    microphones_B: Tensor  # which microphone each is heard through, or RECORDED


class Stage(NamedTuple):
    """A step on the way of a copy, in its place in STAGES."""

    changes: Literal["wave", "frontend", "features"]
    used: Callable[[Trial], bool]  # whether it can change any training clip of this trial
    # (views, (B, T) or (B, F, N), copy) -> the same, changed; of `frontend` waves to features
    apply: Callable[["Views", Tensor, Copy], Tensor]


def _transform(name: str, views: "Views", x_B: Tensor, copy: Copy) -> Tensor:
    if name not in copy.variants:
        return x_B
    rows_B = views.listener.at[copy.clips]
    batch = Batch(rows_B, copy.variants[name], copy.draws[name])
    return views.transforms[name].apply(x_B, batch) if batch.chosen_B.any() else x_B


def _of_transforms(changes: Literal["wave", "features"]) -> tuple[Stage, ...]:
    def stage(name: str) -> Stage:
        def used(trial: Trial) -> bool:
            return name in named(trial.augment.transform)

        return Stage(changes, used, partial(_transform, name))

    return tuple(stage(name) for name, each in TRANSFORMS.items() if each.changes == changes)


def _own(changes: Literal["wave", "features"]) -> Stage:
    """The stage of a person's own transform."""

    def used(trial: Trial) -> bool:
        names = filter(is_own, named(trial.augment.transform))
        return any(transforms.of(trial, name).changes == changes for name in names)

    def apply(views: "Views", x_B: Tensor, copy: Copy) -> Tensor:
        for name in filter(is_own, copy.variants):
            if views.transforms[name].changes == changes:
                x_B = _transform(name, views, x_B, copy)
        return x_B

    return Stage(changes, used, apply)


def _compress(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    """Heard through no microphone, but compressed."""
    compressed_BT: Tensor = views.listener.bank(waves_BT, torch.full((len(copy.clips),), RECORDED))
    return compressed_BT


def _hear_through(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    through_BT: Tensor = views.listener.bank(waves_BT, copy.microphones_B)
    return through_BT


def _roll(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    limit = _roll_limit(views.trial)
    return augment.roll(waves_BT, augment.draw_roll(copy.draws["roll"], len(copy.clips), limit))


def _roll_limit(trial: Trial) -> int:
    """In samples."""
    return round(trial.augment.roll * trial.sound.rate)


def _cut_patch(views: "Views", view_BFN: Tensor, copy: Copy) -> Tensor:
    size = views.trial.sound.patch
    starts_B = augment.draw_patch(copy.draws["patch"], len(view_BFN), view_BFN.shape[2] - size)
    return augment.patch(view_BFN, starts_B, size)


def _move_bands(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    augment, features = views.trial.augment, views.trial.sound.features
    limits = augment.low_jitter, augment.high_jitter
    moved = jitter.draw(copy.draws["range"], features, views.trial.sound.rate, *limits)
    features_BFN: Tensor = jitter.moved(views.listener.frontend, moved)(waves_BT)
    return features_BFN


def _mix_styles(views: "Views", view_BFN: Tensor, copy: Copy) -> Tensor:
    augment = views.trial.augment
    mix = freq_mixstyle.draw(
        copy.draws["freq_mixstyle"],
        len(view_BFN),
        augment.freq_mixstyle,
        augment.freq_mixstyle_alpha,
        augment.freq_mixstyle_weights == "batch",
    )
    return view_BFN if mix is None else freq_mixstyle.mixed(view_BFN, mix)


def _mask_bands(views: "Views", view_BFN: Tensor, copy: Copy) -> Tensor:
    widest, bands, frames = views.trial.augment.band_mask, *view_BFN.shape[1:]
    masks = draw_masks(copy.draws["band_mask"], len(view_BFN), bands, frames, 1, 0, widest)
    return mask(view_BFN, masks)


# In the order of the way. Copies to be agreed on go through transforms, COMPRESS and PATCH only.
WAVE = (*_of_transforms("wave"), _own("wave"))
FEATURES = (*_of_transforms("features"), _own("features"))
COMPRESS = Stage(
    "wave",
    lambda trial: trial.microphones.compress_recorded and not trial.microphones.share,
    _compress,
)
RECORDING = (
    Stage("wave", lambda trial: trial.microphones.share > 0, _hear_through),
    COMPRESS,
    Stage("wave", lambda trial: _roll_limit(trial) > 0, _roll),
)
PATCH = Stage("features", lambda trial: trial.sound.patch > 0, _cut_patch)
FRONTEND = Stage(
    "frontend", lambda trial: trial.augment.low_jitter + trial.augment.high_jitter > 0, _move_bands
)
DEVICES = (
    Stage("features", lambda trial: trial.augment.freq_mixstyle > 0, _mix_styles),
    Stage("features", lambda trial: trial.augment.band_mask > 0, _mask_bands),
)
STAGES = (*WAVE, *RECORDING, FRONTEND, PATCH, *DEVICES, *FEATURES)


def as_recorded(trial: Trial) -> bool:
    """Whether training hears every clip as it was recorded, through a front end that stays as it
    is, so that its features never change.
    """
    if trial.sound.features.trainable != "none":
        return False
    return not any(stage.changes != "features" and stage.used(trial) for stage in STAGES)


class Views:
    """Makes the views of one trial's clips; what its transforms need is in the cache."""

    def __init__(self, listener: Listener, standardize: Callable[[Tensor], Tensor]) -> None:
        self.listener, self.standardize = listener, standardize
        self.trial = listener.trial
        self.learns = self.trial.sound.features.trainable != "none"
        if as_recorded(self.trial):
            listener.keep()
        self.transforms = {
            name: transforms.of(self.trial, name)(listener.store, self.trial.sound, listener.device)
            for name in self.trial.transforms
        }

    def augmented(self, clips: np.ndarray, draws: Draws, share: float) -> Tensor:
        """One augmented copy of the clips, `share` of them transformed; standardized: (B, F, N).

        With a gradient to the filters of a front end that learns.
        """
        return self.made(self.copy(clips, draws, share))

    def copy(self, clips: np.ndarray, draws: Draws, share: float) -> Copy:
        """What is drawn for the copy that `augmented` makes."""
        copy = self._copy(clips, draws, self.trial.augment.transform, share)
        heard = self.trial.microphones
        if heard.share == 0:
            return copy
        if through_one(self.trial):
            one = own_microphone(self.trial)
            return copy._replace(microphones_B=torch.full((len(clips),), one))
        which_B = augment.draw_microphone(
            draws["microphone"], len(clips), heard.share, len(heard.train)
        )
        return copy._replace(microphones_B=which_B)

    def made(self, copy: Copy) -> Tensor:
        """See `augmented`."""
        with torch.set_grad_enabled(self.learns):
            return self._made(copy, [stage for stage in STAGES if stage.used(self.trial)])

    @torch.no_grad()
    def transformed(self, clips: np.ndarray, draws: Draws, share: float) -> Tensor:
        """A copy to be agreed on: `share` of the clips as evaluation.disagreement changes them, and
        nothing else done to them.
        """
        copy = self._copy(clips, draws, self.trial.evaluation.disagreement, share)
        compress = [COMPRESS] if self.trial.microphones.compress_recorded else []
        patch = [PATCH] if PATCH.used(self.trial) else []
        return self._made(copy, [*WAVE, *compress, *patch, *FEATURES])

    def _copy(self, clips: np.ndarray, draws: Draws, which: str, share: float) -> Copy:
        counts = {name: each.variants for name, each in self.transforms.items()}
        drawn = transforms.draw(draws["transform"], len(clips), which, share, counts)
        return Copy(clips, draws, drawn, torch.full((len(clips),), RECORDED))

    def _made(self, copy: Copy, stages: Sequence[Stage]) -> Tensor:
        """The copy after these stages, standardized before those that change features."""
        before = [stage for stage in stages if stage.changes != "features"]
        if before or self.learns:
            x = self.listener.waves(copy.clips)
            for stage in before:
                x = stage.apply(self, x, copy)
            moved = bool(before) and before[-1].changes == "frontend"
            features_BFN = x if moved else self.listener.frontend(x)
        else:
            features_BFN = self.listener.features(copy.clips)
        view_BFN = self.standardize(features_BFN)
        for stage in stages:
            if stage.changes == "features":
                view_BFN = stage.apply(self, view_BFN, copy)
        return view_BFN
