"""Width, base and damped (Figure 3): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.study import product, repeats

QUESTION = "Does width help on devices that were never heard, more than on those that were?"
SOURCE = "Koutini et al. 2021, Figure 3, on TAU Urban Acoustic Scenes 2020 Mobile"


def trials() -> Iterator[Trial]:
    """Seven widths, base and damped, three seeds."""
    varied = product(
        TAU2020, network__damping=(0.0, DAMPED), network__width=(32, 64, 128, 192, 256, 384, 512)
    )
    yield from repeats(varied, 3)
