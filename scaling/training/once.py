"""Once: what networks that do not learn answer to views that repeat, computed once for each clip.

Views of training clips are the same in every epoch where nothing on their way is drawn: no roll,
transform, mask, moved band, patch, Freq-MixStyle or mixup, and no microphone or always the same
one. There, a student's teachers and a frozen encoder answer each clip before the first epoch, in
batches as large as those of a step, so that on a CPU a step reads the very bits that it would have
computed; on a GPU they are equal to rounding. A smaller last batch (training.partial) is still
answered in its step. Contents: `repeat`, `encodes`, `numbers`, `kept`, `fits`; Once with
`of_views`.
"""

# B clips of a step, N training clips, S rows of the store

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from scaling.settings import Trial, sizes
from scaling.training.inputs import through_one
from scaling.training.views import COMPRESS, MICROPHONE, STAGES, DrawnView, Draws, Views

KEPT = 2**29  # bytes of answers that are kept: of teachers, and of an encoder
LOGITS_ONLY = ("cross_entropy", "distillation")  # objectives that read nothing but logits


def repeat(trial: Trial) -> bool:
    """Whether training gives the network the same view of a clip in every epoch."""
    if trial.sound.features.trainable != "none" or trial.augment.mixup > 0:
        return False
    fixed = [COMPRESS, *([MICROPHONE] if through_one(trial) else [])]
    drawn = [stage for stage in STAGES if stage not in fixed]
    return trial.objective.views == 1 and not any(stage.used(trial) for stage in drawn)


def encodes(trial: Trial) -> bool:
    """Whether all of a trial's network but its last layer is a pretrained encoder that answers the
    same in every epoch.
    """
    frozen = trial.transfer.frozen and bool(trial.network.public)  # and so never pruned
    return frozen and trial.objective.kind in LOGITS_ONLY and repeat(trial)


def numbers(trial: Trial, classes: int) -> tuple[int, int]:
    """How many numbers a clip's answers are: those of all teachers, and those of the encoder (0
    where none is kept: not every network states its layers).
    """
    encoder = sizes.network_layers(trial, classes)[-1].inputs if encodes(trial) else 0
    return len(trial.objective.sources) * classes, encoder


def kept(trial: Trial, classes: int, clips: int) -> tuple[bool, bool]:
    """Whether what its teachers, and its encoder, answer to so many training clips is kept."""
    of_teachers, of_encoder = numbers(trial, classes)
    taught = bool(trial.objective.sources) and repeat(trial) and fits(of_teachers, clips)
    return taught, encodes(trial) and fits(of_encoder, clips)


def fits(each: int, clips: int) -> bool:
    """Whether answers of so many numbers to so many clips are few enough to be kept."""
    return 4 * each * clips <= KEPT


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

    @classmethod
    def of_views(
        cls, views: Views, whose: str, each: int, answer: Callable[[Tensor], Sequence[Tensor]]
    ) -> "Once | None":
        """None where answers of so many numbers are too many to be kept, which is said in a line
        that names `whose` they are.
        """
        clips = len(views.listener.parts["train"])
        if fits(each, clips):
            return cls(views, answer)
        warnings.warn(
            f"{whose} answer {clips:,} clips with {each:,} numbers each, {4 * each * clips:,} "
            f"bytes, more than the {KEPT:,} that are kept: computed in each step",
            stacklevel=3,
        )
        return None

    def of(self, view: DrawnView) -> list[Tensor] | None:
        """The answers to a step's view; None where it has fewer clips than others."""
        if len(view.rows_B) != self.size:
            return None
        rows_B = view.rows_B.to(self.device)
        places_B = rows_B if view.kept else self.place_S[rows_B]
        return [each.index_select(0, places_B) for each in self.kept]
