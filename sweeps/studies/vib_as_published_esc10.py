"""The information bottleneck as Table 3 may have been made: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import VIB_ESC10
from sweeps.studies import vib_as_published as published
from sweeps.studies.vib_splits import turned
from sweeps.studies.vib_table import models

QUESTION = published.QUESTION
SOURCE = "Hu et al. 2021, Table 3, at CPU scale on ESC-10"
FOLDS = 5
ARMS = (
    *(published.KERAS, published.BY_CHANCE),
    *(published.leaking(FOLDS), published.as_published(FOLDS)),
)
CLAIMS = tuple(
    published.claims(
        "folds",
        {0.1: 0.047, 1.0: 0.029},
        {0.1: 0.026, 1.0: 0.013},
        "Hu et al. 2021, Table 3, ESC-50",
    )
)


def trials() -> Iterator[Trial]:
    """The table as published on two fractions, and each arm alone, five folds."""
    fractions = (0.1, 1.0)
    for trial in turned(VIB_ESC10, FOLDS):
        table = [*models(trial, (20, 100), (2e-3, 2e-2))]
        yield from published.literal(table, FOLDS, fractions)
        yield from published.arms(trial, FOLDS, fractions)
