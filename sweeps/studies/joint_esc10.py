"""Width and depth together, as in Figures 1 and 17: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, ESC10_EVERY_MICROPHONE
from sweeps.studies import joint
from sweeps.study import product

QUESTION = "Does scaling width and depth together beat width alone?"
SOURCE = "Koutini et al. 2021, Figures 1 and 17, at CPU scale on ESC-10 through microphones"
CLAIMS = joint.CLAIMS


def trials() -> Iterator[Trial]:
    """Width raised from (16, 1) alone, and with depth, base and damped, each on five folds."""
    yield from product(
        ESC10_EVERY_MICROPHONE,
        split__fold=(1, 2, 3, 4, 5),
        network__damping=(0.0, DAMPED),
        network__width=(32,),
        network__depth=(1, 2),
    )
