"""The information bottleneck over all splits (Table 3): every fold is held out once.

Repeats on one split, as in vib_table, say nothing of another, and 200 test clips alone leave 3.5
points open.
"""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import VIB_ESC50
from sweeps.studies import vib_table
from sweeps.studies.vib_table import at_fractions, claims, models
from sweeps.study import product

QUESTION = "Does an information bottleneck help with few training clips, however they are split?"
SOURCE = vib_table.SOURCE
FRACTIONS = (0.05, 0.1, 0.3, 1.0)
CLAIMS = tuple(
    claims(
        {0.05: 0.065, 0.1: 0.047, 0.3: 0.060, 1.0: 0.029},
        {0.05: 0.046, 0.1: 0.026, 0.3: 0.005, 1.0: 0.013},
        "Hu et al. 2021, Table 3, ESC-50",
    )
)


def turned(trial: Trial, folds: int) -> Iterator[Trial]:
    """The trial with each fold held out, and the next one to choose by."""
    for fold in range(1, folds + 1):
        both = {"split__fold": (fold,), "split__validation_fold": (fold % folds + 1,)}
        yield from product(trial, **both)


def trials() -> Iterator[Trial]:
    """Three baselines and sixteen bottlenecks on four fractions of ESC-50, ten folds."""
    for trial in turned(VIB_ESC50, 10):
        yield from at_fractions(models(trial), FRACTIONS)
