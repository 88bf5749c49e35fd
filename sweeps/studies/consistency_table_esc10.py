"""Consistency learning against augmentation, as in Table 1: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import CONSISTENCY_ESC10
from sweeps.studies import consistency_table
from sweeps.study import product

QUESTION = "Does consistency learning beat training on the same augmented copies without it?"
SOURCE = "Iqbal et al. 2021, Table 1, at CPU scale on ESC-10"
CLAIMS = consistency_table.CLAIMS


def trials() -> Iterator[Trial]:
    """Thirteen models on five folds."""
    for trial in consistency_table.models(CONSISTENCY_ESC10):
        yield from product(trial, split__fold=(1, 2, 3, 4, 5))
