"""Once: what networks that do not learn answer to views that repeat, computed once for each clip.

Views of training clips are the same in every epoch where nothing on their way is drawn: no roll,
transform, mask, moved band, patch, Freq-MixStyle or mixup, and no microphone or always the same
one. There, a student's teachers and a frozen encoder answer each clip before the first epoch, in
batches as large as those of a step, so that on a CPU a step reads the very bits that it would have
computed; on a GPU they are equal to rounding. A smaller last batch (training.partial) is still
answered in its step. Contents: `repeat`, `encodes`, `kept`, Once.
"""

# B clips of a step, N training clips, S rows of the store

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from scaling.settings import Trial, sizes
from scaling.training import stages
from scaling.training.inputs import through_one
from scaling.training.stages import COMPRESS, MICROPHONE, Draws
from scaling.training.views import DrawnView, Views

KEPT = 2**29  # bytes of answers that are kept: of teachers, and of an encoder
LOGITS_ONLY = ("cross_entropy", "distillation")  # objectives that read nothing but logits


def repeat(trial: Trial) -> bool:
    """Whether training gives the network the same view of a clip in every epoch."""
    if trial.sound.features.trainable != "none" or trial.augment.mixup > 0:
        return False
    fixed = [COMPRESS, *([MICROPHONE] if through_one(trial) else [])]
    return trial.objective.views == 1 and all(stage in fixed for stage in stages.used(trial))


def encodes(trial: Trial) -> bool:
    """Whether all of a trial's network but its last layer is a pretrained encoder that answers the
    same in every epoch.
    """
    frozen = trial.transfer.frozen and bool(trial.network.public)  # and so never pruned
    return frozen and trial.objective.kind in LOGITS_ONLY and repeat(trial)


def kept(trial: Trial, classes: int, clips: int, warns: bool = False) -> tuple[bool, bool]:
    """Whether the answers of its teachers, and of its frozen encoder, to so many training clips are
    kept: where they repeat and take at most KEPT bytes. Training, plans and forecasts all ask here.

    With `warns`, a warning names those that repeat but take more.
    """
    of_teachers = len(trial.objective.sources) * classes if repeat(trial) else 0
    # not every network states its layers
    of_encoder = sizes.network_layers(trial, classes)[-1].inputs if encodes(trial) else 0
    taught = _fit("teachers", of_teachers, clips, warns)
    return taught, _fit("frozen encoders", of_encoder, clips, warns)


def _fit(whose: str, each: int, clips: int, warns: bool) -> bool:
    """Whether there are answers, of `each` numbers to a clip, and few enough to be kept."""
    size = 4 * each * clips
    if warns and size > KEPT:
        warnings.warn(
            f"{whose} answer {clips:,} clips with {each:,} numbers each, {size:,} bytes, more than "
            f"the {KEPT:,} that are kept: computed in each step",
            stacklevel=3,
        )
    return 0 < size <= KEPT


class Once:
    """The answers to all training clips of one trial."""

    def __init__(self, views: Views, answer: Callable[[Tensor], Sequence[Tensor]]) -> None:
        """`answer` maps a view (B, F, N), standardized, to answers (B, ...)."""
        listener, trial = views.listener, views.trial
        train, self.device = listener.parts["train"], listener.device
        self.size = min(trial.training.batch, len(train) * trial.training.passes)
        rows_N = torch.from_numpy(listener.at[train])
        place_S = torch.zeros(int(rows_N.max()) + 1, dtype=torch.int64)
        place_S[rows_N] = torch.arange(len(train))
        self.place_S = place_S.to(self.device)
        found = []
        for at in range(0, len(train), self.size):
            clips = train[at : at + self.size]
            as_many = np.resize(clips, self.size)  # as in a step: other sizes may round otherwise
            view_BFN = views.augmented(as_many, Draws(trial.seed, 0, 0), 0.0)
            with torch.no_grad():
                found.append([each[: len(clips)] for each in answer(view_BFN)])
        self.kept = [torch.cat(each) for each in zip(*found, strict=True)]

    def of(self, view: DrawnView) -> list[Tensor] | None:
        """The answers to a step's view; None where it has fewer clips than others."""
        if len(view.rows_B) != self.size:
            return None
        rows_B = view.rows_B.to(self.device)
        places_B = rows_B if view.kept else self.place_S[rows_B]
        return [each.index_select(0, places_B) for each in self.kept]
