"""1x1 blocks, base and damped (Figure 5): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.study import product, repeats

QUESTION = "Does depth that leaves the receptive field as it is help?"
SOURCE = "Koutini et al. 2021, Figure 5, on TAU Urban Acoustic Scenes 2020 Mobile"


def trials() -> Iterator[Trial]:
    """Six numbers of blocks at W = 32, base and damped, three seeds; the paper names none."""
    blocks = (0, 1, 2, 3, 4, 5)
    varied = product(TAU2020, network__damping=(0.0, DAMPED), network__pointwise=blocks)
    yield from repeats(varied, 3)
