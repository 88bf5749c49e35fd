"""Effective receptive fields, as in Figures 7 to 16: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import ESC10_EVERY_MICROPHONE
from sweeps.studies.erf import claims, models
from sweeps.study import product

QUESTION = "How do damping, width, depth and pruning change the effective receptive field?"
SOURCE = "Koutini et al. 2021, Figures 7 to 16, at CPU scale on ESC-10 through microphones"
CLAIMS = tuple(claims((8, 16, 32), 1))


def trials() -> Iterator[Trial]:
    """Like models, narrower, on five folds, with one 1x1 block where it does not vary: most
    are trials of the other studies too. Then `overhear erf`.
    """
    cut = {"pruning.target_width": 8}
    timed = {"pruning.start": 5, "pruning.length": 10, "pruning.score": "kernel"}
    for trial in models(ESC10_EVERY_MICROPHONE, (8, 16, 32), 1, cut, timed):
        yield from product(trial, split__fold=(1, 2, 3, 4, 5))
