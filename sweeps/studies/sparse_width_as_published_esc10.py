"""Width at equal numbers of weights as Figure 6 may have been made: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import ESC10_EVERY_MICROPHONE
from sweeps.studies import sparse_width_as_published as published

QUESTION = published.QUESTION
SOURCE = "Koutini et al. 2021, Figure 6, at CPU scale on ESC-10 through microphones"
ARMS = published.ARMS
WIDTHS = (16, 32)
CLAIMS = tuple(published.claims(8, WIDTHS, 1, WIDTHS))


def trials() -> Iterator[Trial]:
    """W = 16 and 32 cut to the weights of W = 8 in three arms, base and damped, five folds."""
    timed = {"pruning.start": 5, "pruning.length": 10}
    folds = (1, 2, 3, 4, 5)
    yield from published.models(ESC10_EVERY_MICROPHONE, 8, WIDTHS, timed, split__fold=folds)
