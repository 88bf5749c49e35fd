"""1x1 blocks, base and damped, as in Figure 5: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, ESC10_EVERY_MICROPHONE
from sweeps.studies.pointwise import claims
from sweeps.study import product

QUESTION = "Does depth help if it leaves the receptive field unchanged?"
SOURCE = "Koutini et al. 2021, Figure 5, at CPU scale on ESC-10 through microphones"
CLAIMS = tuple(claims(4))


def trials() -> Iterator[Trial]:
    """Four numbers of blocks at W = 16, base and damped, each on five folds."""
    yield from product(
        ESC10_EVERY_MICROPHONE,
        split__fold=(1, 2, 3, 4, 5),
        network__damping=(0.0, DAMPED),
        network__pointwise=(0, 1, 2, 4),
    )
