"""Depth, base and damped (Figure 4): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.study import product, repeats

QUESTION = "Does depth, which widens the receptive field, hurt on devices that were never heard?"
SOURCE = "Koutini et al. 2021, Figure 4, on TAU Urban Acoustic Scenes 2020 Mobile"


def trials() -> Iterator[Trial]:
    """Five depths at W = 32, base and damped, three seeds; the paper names none."""
    varied = product(TAU2020, network__damping=(0.0, DAMPED), network__depth=(1, 2, 3, 4, 5))
    yield from repeats(varied, 3)
