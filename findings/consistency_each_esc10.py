"""Do consistency and batched augmentation gain with each transform by itself? Pitch shifts,
reverberation and masks, at equal steps, on five folds.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import CONSISTENCY_ESC10, VIEWS
from sweeps.claimed import at_each
from sweeps.studies.consistency_as_published import AGREED
from sweeps.studies.consistency_table import STANDARD, VIEWED, models
from sweeps.study import product

QUESTION = "Do consistency and batched augmentation gain with each transform?"
SOURCE = "as Iqbal et al. 2021, Table 1, at CPU scale on ESC-10"
TRANSFORMS = ("pitch", "reverb", "mask")
BATCHES: dict[str, Any] = {**VIEWED, "objective.copies": VIEWS - 1}
THRICE: dict[str, Any] = {**STANDARD, "training.passes": VIEWS}
GAINS = (
    Claim("consistency beats batched augmentation", AGREED, BATCHES, on="test"),
    Claim("batched beats standard augmentation, at equal steps", BATCHES, THRICE, on="test"),
)
CLAIMS = (
    *(replace(each, where={"augment.transform": TRANSFORMS}) for each in GAINS),
    *at_each(GAINS, "augment.transform", TRANSFORMS),
)


def trials() -> Iterator[Trial]:
    """Standard in three passes, batched, consistency, each with three transforms, seeds outermost:
    135 trials of 20 epochs.
    """
    short = {"training.epochs": 20, "evaluation.every": 20, "evaluation.training_clips": False}
    ours = changed(CONSISTENCY_ESC10, short)
    _, *transformed = models(ours, TRANSFORMS)
    for seed in (0, 1, 2):
        for trial in transformed:
            plain = changed(trial, {"evaluation.disagreement": "none"})
            yield from product(plain, seed=(seed,), split__fold=(1, 2, 3, 4, 5))
