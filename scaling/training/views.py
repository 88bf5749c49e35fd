"""Views: copies of clips as the network is given them in training, each augmented by its own draws.

A copy goes through the stages that its trial uses (scaling.training.stages); its features are
standardized before those that change features. Where all stages change features, these are computed
once and kept, unless the front end learns. Mixup follows, in scaling.training.session, as it mixes
what clips are taught too. Contents: DrawnView, Views.
"""

# B clips, F mel bands, N frames (of the clip, or of a patch of it)

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scaling.sound import augment, transforms
from scaling.sound.microphones import RECORDED
from scaling.training.inputs import Listener, own_microphone, through_one
from scaling.training.stages import (
    COMPRESS,
    FEATURES,
    PATCH,
    WAVE,
    Copy,
    Draws,
    Stage,
    as_recorded,
    used,
)


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
        self.stages = used(self.trial)
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
