"""Does consistency gain over batched augmentation, and that over standard augmentation? At equal
steps and with one pass, one transform (the combination), on five folds and three seeds.
"""

from collections.abc import Iterator
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import CONSISTENCY_ESC10, VIEWS
from sweeps.studies.consistency_as_published import AGREED, ONCE, models
from sweeps.studies.consistency_table import STANDARD, VIEWED
from sweeps.study import product

QUESTION = "Do batched augmentation and consistency gain over standard augmentation?"
SOURCE = "as Iqbal et al. 2021, Table 1, at CPU scale on ESC-10"
BATCHES: dict[str, Any] = {**VIEWED, "objective.copies": VIEWS - 1}
THRICE: dict[str, Any] = {**STANDARD, "training.passes": VIEWS}
CLAIMS = (
    Claim("consistency beats batched augmentation", AGREED, BATCHES, on="test"),
    Claim("batched beats standard augmentation, at equal steps", BATCHES, THRICE, on="test"),
    Claim("batched beats standard augmentation, in one pass", BATCHES, ONCE, on="test"),
    Claim("consistency beats standard augmentation, at equal steps", AGREED, THRICE, on="test"),
)


def trials() -> Iterator[Trial]:
    """Standard in one pass and in three, batched, consistency: 60 trials of 20 epochs."""
    short = {"training.epochs": 20, "evaluation.every": 20, "evaluation.training_clips": False}
    ours = changed(CONSISTENCY_ESC10, short)
    for seed in (0, 1, 2):
        for trial in list(models(ours, ("combination",)))[:4]:
            every = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
            plain = changed(trial, {"evaluation.disagreement": "none"})
            yield from product(plain, **every)
