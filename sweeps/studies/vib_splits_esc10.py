"""The information bottleneck over all splits instead of three: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import VIB_ESC10
from sweeps.studies.vib_splits import QUESTION as QUESTION
from sweeps.studies.vib_splits import turned
from sweeps.studies.vib_table import at_fractions, claims, models
from sweeps.study import product

SOURCE = "as Hu et al. 2021, Table 3, at CPU scale on ESC-10"
FRACTIONS = (0.05, 0.1, 0.3, 1.0)
CLAIMS = tuple(
    claims(
        {0.05: 0.065, 0.1: 0.047, 0.3: 0.060, 1.0: 0.029},
        {0.05: 0.046, 0.1: 0.026, 0.3: 0.005, 1.0: 0.013},
        "Hu et al. 2021, Table 3, ESC-50",
    )
)


def trials() -> Iterator[Trial]:
    """Three baselines and four bottlenecks on four fractions, five folds, three seeds."""
    for trial in turned(VIB_ESC10, 5):
        every = at_fractions(models(trial, (20, 100), (2e-3, 2e-2)), FRACTIONS)
        for each in every:
            yield from product(each, seed=(0, 1, 2))
