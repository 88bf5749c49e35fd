"""Learning rate by width on ESC-10, on validation clips; bad rates are stopped early."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10
from sweeps.adaptive.early_stopping import Asha
from sweeps.study import product

QUESTION = "Does a wider network need a lower learning rate?"
SOURCE = "ours; early stopping as in Li et al. 2020, separately for each width"
# The first rung lies behind the warm-up, in which all rates are alike.
STOPPING = Asha(first=7, factor=2)


def trials() -> Iterator[Trial]:
    """Three widths at six rates; half the epochs of the recipe."""
    halved = {"training.epochs": 30, "training.warmup": 5}
    yield from product(
        changed(ESC10, {"split.validation_fold": 2, **halved}),
        network__width=(8, 16, 32),
        training__rate=(5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2),
    )
