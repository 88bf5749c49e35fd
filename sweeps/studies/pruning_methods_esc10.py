"""Pruning methods beside the dense network of as many weights: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_EVERY_MICROPHONE
from sweeps.studies.pruning_methods import Epochs, claims, methods
from sweeps.study import product

QUESTION = "Does any pruning method beat a dense network with the same number of weights?"
SOURCE = "ours, at CPU scale on ESC-10; docs/pruning.md gives the sources of the methods"
WIDTHS = (2, 4, 8, 12)  # of W = 16: 2, 7, 26 and 57 % of its weights
WHEN = Epochs(start=5, slow=30, fast=10, period=15, rounds=2, early=6)
CLAIMS = tuple(claims(WIDTHS, WHEN.early))


def trials() -> Iterator[Trial]:
    """W = 16 dense and cut to four sizes by sixteen methods, beside the dense network of each
    size; five folds, each with the next one to choose by, all of 60 epochs.
    """
    own = {"network.initialization": "he", "network.width": 16}
    base = changed(ESC10_EVERY_MICROPHONE, {**own, "training.epochs": 60, "evaluation.every": 60})
    for fold in range(1, 6):
        held = {"split.fold": fold, "split.validation_fold": fold % 5 + 1}
        trial = changed(base, held)
        yield from product(trial, network__width=(*WIDTHS, 16))
        for width in WIDTHS:
            yield from methods(trial, width, WHEN)
