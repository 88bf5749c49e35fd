"""Stages: what may happen to a copy of a clip on its way to the network, in their order.

The way of a copy: the recording -> transforms of the wave (pitch, room) -> microphone -> roll ->
front end, its bands perhaps moved -> standardize -> patch -> Freq-MixStyle -> band mask ->
transforms of features (masks). Each step is a Stage that says whether it changes the wave, makes
features of it, or changes those. A stage first draws, on the CPU, then is applied on the device, so
that the draws of a whole epoch can be made and uploaded before it. A new one is its functions and a
line in STAGES. Sources: Koutini et al. 2021 (roll), Iqbal et al. 2021 (pitch, rooms, masks), Pons
et al. 2019 (patches). Contents: Draws, Copy, StageContext, Stage and STAGES, `used`, `as_recorded`.
"""

# B clips, T samples, F mel bands, N frames (of the clip, or of a patch of it)

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from scaling.own.names import is_own
from scaling.seeds import stream
from scaling.settings import Trial
from scaling.settings.transforms import named
from scaling.sound import augment, transforms
from scaling.sound.augment import freq_mixstyle, jitter
from scaling.sound.microphones import RECORDED
from scaling.sound.transforms import TRANSFORMS
from scaling.sound.transforms.mask import Masks, draw_masks, mask
from scaling.sound.transforms.transform import UNCHANGED, Batch
from scaling.training.inputs import Listener


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


class StageContext(Protocol):
    """What stages know of the views that they make (scaling.training.views)."""

    trial: Trial
    listener: Listener
    transforms: dict[str, Any]  # by name, what applies them
    # what was drawn lies on the device: the same is computed whatever it is
    unseen_draws: bool


class Stage(NamedTuple):
    """A step on the way of a copy, in its place in STAGES."""

    changes: Literal["wave", "frontend", "features"]
    used: Callable[[Trial], bool]  # whether it can change any training clip of this trial
    # (views, (B, T) or (B, F, N), drawn) -> the same, changed; of `frontend` waves to features
    apply: Callable[[StageContext, Tensor, Any], Tensor]
    # tensors of fixed shapes; without, `apply` is given the copy, and draws from its streams
    draw: Callable[[StageContext, Copy], Any] | None = None

    @property
    def ahead(self) -> bool:
        """Whether it draws before it is applied."""
        return self.draw is not None


def _transform(name: str, views: StageContext, x_B: Tensor, copy: Copy) -> Tensor:
    if name not in copy.variants:
        return x_B
    rows_B = views.listener.at[copy.clips]
    batch = Batch(rows_B, copy.variants[name], copy.draws[name])
    return views.transforms[name].apply(x_B, batch) if batch.chosen_B.any() else x_B


def _draw_mask(views: StageContext, copy: Copy) -> tuple[Tensor, Masks] | None:
    if "mask" not in copy.variants:
        return None
    chosen_B = copy.variants["mask"] != UNCHANGED
    draws = copy.draws["mask"] if chosen_B.any() else np.random.default_rng(0)  # of no effect
    return chosen_B, draw_masks(draws, len(chosen_B), *views.trial.sound.shape)


def _mask(views: StageContext, view_BFN: Tensor, drawn: tuple[Tensor, Masks] | None) -> Tensor:
    if drawn is None or not (views.unseen_draws or drawn[0].any()):
        return view_BFN
    return mask(view_BFN, drawn[1], where_B=drawn[0])


def _of_transforms(changes: Literal["wave", "features"]) -> tuple[Stage, ...]:
    def stage(name: str) -> Stage:
        def used(trial: Trial) -> bool:
            return name in named(trial.augment.transform)

        if name == "mask":
            return Stage(changes, used, _mask, _draw_mask)
        return Stage(changes, used, partial(_transform, name))

    return tuple(stage(name) for name, each in TRANSFORMS.items() if each.changes == changes)


def _own(changes: Literal["wave", "features"]) -> Stage:
    """The stage of a person's own transform."""

    def used(trial: Trial) -> bool:
        names = filter(is_own, named(trial.augment.transform))
        return any(transforms.of(trial, name).changes == changes for name in names)

    def apply(views: StageContext, x_B: Tensor, copy: Copy) -> Tensor:
        for name in filter(is_own, copy.variants):
            if views.transforms[name].changes == changes:
                x_B = _transform(name, views, x_B, copy)
        return x_B

    return Stage(changes, used, apply)


def _draw_nothing(_: StageContext, copy: Copy) -> Tensor:
    """Heard through no microphone, but compressed."""
    return torch.full((len(copy.clips),), RECORDED)


def _draw_microphone(_: StageContext, copy: Copy) -> Tensor:
    return copy.microphones_B


def _hear_through(views: StageContext, waves_BT: Tensor, which_B: Tensor) -> Tensor:
    bank = views.listener.bank
    if views.unseen_draws:
        return bank.all_through(waves_BT, which_B)
    through_BT: Tensor = bank(waves_BT, which_B)
    return through_BT


def _draw_roll(views: StageContext, copy: Copy) -> Tensor:
    return augment.draw_roll(copy.draws["roll"], len(copy.clips), _roll_limit(views.trial))


def _roll(_: StageContext, waves_BT: Tensor, shifts_B: Tensor) -> Tensor:
    return augment.roll(waves_BT, shifts_B)


def _roll_limit(trial: Trial) -> int:
    """In samples."""
    return round(trial.augment.roll * trial.sound.rate)


def _draw_patch(views: StageContext, copy: Copy) -> Tensor:
    sound = views.trial.sound
    return augment.draw_patch(copy.draws["patch"], len(copy.clips), sound.frames - sound.patch)


def _cut_patch(views: StageContext, view_BFN: Tensor, starts_B: Tensor) -> Tensor:
    return augment.patch(view_BFN, starts_B, views.trial.sound.patch)


def _move_bands(views: StageContext, waves_BT: Tensor, copy: Copy) -> Tensor:
    augment, features = views.trial.augment, views.trial.sound.features
    limits = augment.low_jitter, augment.high_jitter
    moved = jitter.draw(copy.draws["range"], features, views.trial.sound.rate, *limits)
    features_BFN: Tensor = jitter.moved(views.listener.frontend, moved)(waves_BT)
    return features_BFN


class _Styles(NamedTuple):
    """What Freq-MixStyle draws for a batch."""

    mixed: Tensor  # whether any: (), bool
    mix: freq_mixstyle.StyleMix


def _draw_styles(views: StageContext, copy: Copy) -> _Styles:
    augment, clips = views.trial.augment, len(copy.clips)
    mix = freq_mixstyle.draw(
        copy.draws["freq_mixstyle"],
        clips,
        augment.freq_mixstyle,
        augment.freq_mixstyle_alpha,
        augment.freq_mixstyle_weights == "batch",
    )
    nothing = freq_mixstyle.StyleMix(torch.ones(clips), torch.arange(clips))
    return _Styles(torch.tensor(mix is not None), mix or nothing)


def _mix_styles(views: StageContext, view_BFN: Tensor, drawn: _Styles) -> Tensor:
    if views.unseen_draws:
        return torch.where(drawn.mixed, freq_mixstyle.mixed(view_BFN, drawn.mix), view_BFN)
    return freq_mixstyle.mixed(view_BFN, drawn.mix) if drawn.mixed else view_BFN


def _draw_band_masks(views: StageContext, copy: Copy) -> Masks:
    widest, (bands, frames) = views.trial.augment.band_mask, views.trial.sound.shape
    return draw_masks(copy.draws["band_mask"], len(copy.clips), bands, frames, 1, 0, widest)


def _mask_bands(_: StageContext, view_BFN: Tensor, masks: Masks) -> Tensor:
    return mask(view_BFN, masks)


# In the order of the way. Copies to be agreed on go through transforms, COMPRESS and PATCH only.
WAVE = (*_of_transforms("wave"), _own("wave"))
FEATURES = (*_of_transforms("features"), _own("features"))
COMPRESS = Stage(
    "wave",
    lambda trial: trial.microphones.compress_recorded and not trial.microphones.share,
    _hear_through,
    _draw_nothing,
)
MICROPHONE = Stage(
    "wave", lambda trial: trial.microphones.share > 0, _hear_through, _draw_microphone
)
RECORDING = (
    MICROPHONE,
    COMPRESS,
    Stage("wave", lambda trial: _roll_limit(trial) > 0, _roll, _draw_roll),
)
PATCH = Stage("features", lambda trial: trial.sound.patch > 0, _cut_patch, _draw_patch)
FRONTEND = Stage(
    "frontend", lambda trial: trial.augment.low_jitter + trial.augment.high_jitter > 0, _move_bands
)
DEVICES = (
    Stage("features", lambda trial: trial.augment.freq_mixstyle > 0, _mix_styles, _draw_styles),
    Stage("features", lambda trial: trial.augment.band_mask > 0, _mask_bands, _draw_band_masks),
)
STAGES = (*WAVE, *RECORDING, FRONTEND, PATCH, *DEVICES, *FEATURES)


def used(trial: Trial) -> list[Stage]:
    """The stages that can change a training clip of this trial, in their order."""
    return [stage for stage in STAGES if stage.used(trial)]


def as_recorded(trial: Trial) -> bool:
    """Whether training hears every clip as it was recorded, through a front end that stays as it
    is, so that its features never change.
    """
    if trial.sound.features.trainable != "none":
        return False
    return all(stage.changes == "features" for stage in used(trial))
