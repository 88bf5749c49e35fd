"""Views: copies of clips as the network is given them in training, each augmented by its own draws.

The way of a copy: the recording -> transforms of the wave (pitch, room) -> microphone -> roll ->
front end, its bands perhaps moved -> standardize -> patch -> Freq-MixStyle -> band mask ->
transforms of features (masks). Each step is a Stage that says whether it changes the wave, makes
features of it, or changes those: where all stages change features, they are computed once and kept,
unless the front end learns. A stage first draws, on the CPU, then is applied on the device, so that
the draws of a whole epoch can be made and uploaded before it. Mixup follows, in
scaling.training.loop, as it mixes what clips are taught too. Sources: Koutini et al. 2021 (roll),
Iqbal et al. 2021 (pitch, rooms, masks), Pons et al. 2019 (patches). Contents: Draws, Stage and
STAGES, `as_recorded`, DrawnView, Views.
"""

# B clips, T samples, F mel bands, N frames (of the clip, or of a patch of it)

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

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
from scaling.sound.transforms.mask import Masks, draw_masks, mask
from scaling.sound.transforms.transform import UNCHANGED, Batch
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
    # (views, (B, T) or (B, F, N), drawn) -> the same, changed; of `frontend` waves to features
    apply: Callable[["Views", Tensor, Any], Tensor]
    # tensors of fixed shapes; without, `apply` is given the copy, and draws from its streams
    draw: Callable[["Views", Copy], Any] | None = None

    @property
    def ahead(self) -> bool:
        """Whether it draws before it is applied."""
        return self.draw is not None


def _transform(name: str, views: "Views", x_B: Tensor, copy: Copy) -> Tensor:
    if name not in copy.variants:
        return x_B
    rows_B = views.listener.at[copy.clips]
    batch = Batch(rows_B, copy.variants[name], copy.draws[name])
    return views.transforms[name].apply(x_B, batch) if batch.chosen_B.any() else x_B


def _draw_mask(views: "Views", copy: Copy) -> tuple[Tensor, Masks] | None:
    if "mask" not in copy.variants:
        return None
    chosen_B = copy.variants["mask"] != UNCHANGED
    draws = copy.draws["mask"] if chosen_B.any() else np.random.default_rng(0)  # of no effect
    return chosen_B, draw_masks(draws, len(chosen_B), *views.trial.sound.shape)


def _mask(views: "Views", view_BFN: Tensor, drawn: tuple[Tensor, Masks] | None) -> Tensor:
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

    def apply(views: "Views", x_B: Tensor, copy: Copy) -> Tensor:
        for name in filter(is_own, copy.variants):
            if views.transforms[name].changes == changes:
                x_B = _transform(name, views, x_B, copy)
        return x_B

    return Stage(changes, used, apply)


def _draw_nothing(_: "Views", copy: Copy) -> Tensor:
    """Heard through no microphone, but compressed."""
    return torch.full((len(copy.clips),), RECORDED)


def _draw_microphone(_: "Views", copy: Copy) -> Tensor:
    return copy.microphones_B


def _hear_through(views: "Views", waves_BT: Tensor, which_B: Tensor) -> Tensor:
    bank = views.listener.bank
    if views.unseen_draws:
        return bank.all_through(waves_BT, which_B)
    through_BT: Tensor = bank(waves_BT, which_B)
    return through_BT


def _draw_roll(views: "Views", copy: Copy) -> Tensor:
    return augment.draw_roll(copy.draws["roll"], len(copy.clips), _roll_limit(views.trial))


def _roll(_: "Views", waves_BT: Tensor, shifts_B: Tensor) -> Tensor:
    return augment.roll(waves_BT, shifts_B)


def _roll_limit(trial: Trial) -> int:
    """In samples."""
    return round(trial.augment.roll * trial.sound.rate)


def _draw_patch(views: "Views", copy: Copy) -> Tensor:
    sound = views.trial.sound
    return augment.draw_patch(copy.draws["patch"], len(copy.clips), sound.frames - sound.patch)


def _cut_patch(views: "Views", view_BFN: Tensor, starts_B: Tensor) -> Tensor:
    return augment.patch(view_BFN, starts_B, views.trial.sound.patch)


def _move_bands(views: "Views", waves_BT: Tensor, copy: Copy) -> Tensor:
    augment, features = views.trial.augment, views.trial.sound.features
    limits = augment.low_jitter, augment.high_jitter
    moved = jitter.draw(copy.draws["range"], features, views.trial.sound.rate, *limits)
    features_BFN: Tensor = jitter.moved(views.listener.frontend, moved)(waves_BT)
    return features_BFN


class _Styles(NamedTuple):
    """What Freq-MixStyle draws for a batch."""

    mixed: Tensor  # whether any: (), bool
    mix: freq_mixstyle.StyleMix


def _draw_styles(views: "Views", copy: Copy) -> _Styles:
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


def _mix_styles(views: "Views", view_BFN: Tensor, drawn: _Styles) -> Tensor:
    if views.unseen_draws:
        return torch.where(drawn.mixed, freq_mixstyle.mixed(view_BFN, drawn.mix), view_BFN)
    return freq_mixstyle.mixed(view_BFN, drawn.mix) if drawn.mixed else view_BFN


def _draw_band_masks(views: "Views", copy: Copy) -> Masks:
    widest, (bands, frames) = views.trial.augment.band_mask, views.trial.sound.shape
    return draw_masks(copy.draws["band_mask"], len(copy.clips), bands, frames, 1, 0, widest)


def _mask_bands(_: "Views", view_BFN: Tensor, masks: Masks) -> Tensor:
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


def as_recorded(trial: Trial) -> bool:
    """Whether training hears every clip as it was recorded, through a front end that stays as it
    is, so that its features never change.
    """
    if trial.sound.features.trainable != "none":
        return False
    return not any(stage.changes != "features" and stage.used(trial) for stage in STAGES)


class DrawnView(NamedTuple):
    """One augmented copy of a batch of clips before it is made: what is heard, and its draws."""

    kept: bool  # whether rows are of the features that are kept, else of the store
    rows_B: Tensor  # int64
    stages: list[Any]  # what each stage has drawn


class Views:
    """Makes the views of one trial's clips; what its transforms need is in the cache."""

    def __init__(self, listener: Listener, standardize: Callable[[Tensor], Tensor]) -> None:
        self.listener, self.standardize = listener, standardize
        self.trial = listener.trial
        self.stages = [stage for stage in STAGES if stage.used(self.trial)]
        # what was drawn lies on the device: the same is computed whatever it is
        self.unseen_draws = False
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
        return self.made(self.drawn(self.copy(clips, draws, share)))

    def copy(self, clips: np.ndarray, draws: Draws, share: float) -> Copy:
        """The copy that `augmented` makes, by whom it is heard."""
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

    def drawn(self, copy: Copy) -> DrawnView:
        """What a copy is made of. Streams of a stage that has no `draw` are read when it is
        made.
        """
        return self._drawn(copy, self.stages)

    def made(self, view: DrawnView) -> Tensor:
        """The copy: see `augmented`."""
        with torch.set_grad_enabled(self.learns):
            return self._made(view, self.stages)

    @torch.no_grad()
    def transformed(self, clips: np.ndarray, draws: Draws, share: float) -> Tensor:
        """A copy to be agreed on: `share` of the clips as evaluation.disagreement changes them, and
        nothing else done to them.
        """
        copy = self._copy(clips, draws, self.trial.evaluation.disagreement, share)
        compress = [COMPRESS] if self.trial.microphones.compress_recorded else []
        patch = [PATCH] if PATCH.used(self.trial) else []
        stages = [*WAVE, *compress, *patch, *FEATURES]
        return self._made(self._drawn(copy, stages), stages)

    def _copy(self, clips: np.ndarray, draws: Draws, which: str, share: float) -> Copy:
        counts = {name: each.variants for name, each in self.transforms.items()}
        drawn = transforms.draw(draws["transform"], len(clips), which, share, counts)
        return Copy(clips, draws, drawn, torch.full((len(clips),), RECORDED))

    def _drawn(self, copy: Copy, stages: Sequence[Stage]) -> DrawnView:
        changed = self.learns or any(stage.changes != "features" for stage in stages)
        kept_B = None if changed else self.listener.kept_rows(copy.clips)
        rows_B = torch.from_numpy(self.listener.at[copy.clips]) if kept_B is None else kept_B
        drawn = [stage.draw(self, copy) if stage.draw else copy for stage in stages]
        return DrawnView(kept_B is not None, rows_B, drawn)

    def _made(self, view: DrawnView, stages: Sequence[Stage]) -> Tensor:
        """The copy after these stages, standardized before those that change features."""
        drawn = [*zip(stages, view.stages, strict=True)]
        before = [each for each in drawn if each[0].changes != "features"]
        if view.kept:
            features_BFN = self.listener.kept_at(view.rows_B)
        else:
            x = self.listener.waves_at(view.rows_B)
            for stage, own in before:
                x = stage.apply(self, x, own)
            moved = bool(before) and before[-1][0].changes == "frontend"
            features_BFN = x if moved else self.listener.frontend(x)
        view_BFN = self.standardize(features_BFN)
        for stage, own in drawn:
            if stage.changes == "features":
                view_BFN = stage.apply(self, view_BFN, own)
        return view_BFN
