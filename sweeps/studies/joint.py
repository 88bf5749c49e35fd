"""Width and depth together (Figures 1 and 17): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.study import product, repeats

QUESTION = "Does scaling width and depth together beat width alone?"
SOURCE = "Koutini et al. 2021, Figures 1 and 17, on TAU Urban Acoustic Scenes 2020 Mobile"


def trials() -> Iterator[Trial]:
    """Five pairs of width and depth, base and damped, three seeds; the paper names none."""
    for width, depth in ((64, 2), (128, 2), (128, 3), (256, 2), (256, 3)):
        changes = {"network__width": (width,), "network__depth": (depth,)}
        yield from repeats(product(TAU2020, network__damping=(0.0, DAMPED), **changes), 3)
