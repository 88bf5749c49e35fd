"""Disagreement between copies of a clip over the epochs, as in Figure 1: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import CONSISTENCY_ESC10
from sweeps.studies.consistency_table import models
from sweeps.study import product

QUESTION = (
    "Do predictions for copies of a clip converge, with and without training for consistency?"
)
SOURCE = "Iqbal et al. 2021, Figure 1, at CPU scale on ESC-10"


def trials() -> Iterator[Trial]:
    """None, and pitch or reverberation as augmentation, batched, and with consistency."""
    for trial in models(CONSISTENCY_ESC10, ("combination",)):
        yield from product(trial, split__fold=(1, 2, 3, 4, 5))
