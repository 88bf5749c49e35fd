"""Disagreement between copies of a clip over the epochs (Figure 1): ESC-50, fold 1."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import CONSISTENCY_ESC50
from sweeps.studies.consistency_table import models
from sweeps.study import repeats

QUESTION = (
    "Do predictions for copies of a clip converge, with and without training for consistency?"
)
SOURCE = "Iqbal et al. 2021 (ICASSP, arXiv 2102.05151), Figure 1"


def trials() -> Iterator[Trial]:
    """Pitch or reverberation as augmentation, batched, and with consistency; five seeds."""
    scored = changed(CONSISTENCY_ESC50, {"evaluation.training_clips": True})
    _, *transformed = models(scored, ("combination",))
    yield from repeats(transformed, 5)
