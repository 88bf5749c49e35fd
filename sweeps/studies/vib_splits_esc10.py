"""The information bottleneck over all splits instead of three: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import VIB_ESC10
from sweeps.studies import vib_splits
from sweeps.studies.vib_splits import FRACTIONS, turned
from sweeps.studies.vib_table import at_fractions, models
from sweeps.study import product

QUESTION = vib_splits.QUESTION
SOURCE = "Hu et al. 2021, Table 3, at CPU scale on ESC-10"
CLAIMS = vib_splits.CLAIMS


def trials() -> Iterator[Trial]:
    """Three baselines and four bottlenecks on four fractions, five folds, three seeds."""
    for trial in turned(VIB_ESC10, 5):
        every = at_fractions(models(trial, (20, 100), (2e-3, 2e-2)), FRACTIONS)
        for each in every:
            yield from product(each, seed=(0, 1, 2))
