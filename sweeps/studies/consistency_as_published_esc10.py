"""Consistency learning as Table 1 may have been made: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import CONSISTENCY_ESC10
from sweeps.studies import consistency_as_published as published
from sweeps.study import product

QUESTION = published.QUESTION
SOURCE = "Iqbal et al. 2021, Table 1, at CPU scale on ESC-10"
ARMS = published.ARMS
TRANSFORMS = ("combination",)
CLAIMS = tuple(published.claims(TRANSFORMS))


def trials() -> Iterator[Trial]:
    """One transform and four arms on five folds."""
    for trial in published.models(CONSISTENCY_ESC10, TRANSFORMS):
        yield from product(trial, split__fold=(1, 2, 3, 4, 5))
