"""Width and depth together (Figures 1 and 17): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.claimed import base_and_damped
from sweeps.study import product, repeats

QUESTION = "Does scaling width and depth together beat width alone?"
SOURCE = "Koutini et al. 2021, Figures 1 and 17, on TAU Urban Acoustic Scenes 2020 Mobile"
CLAIMS = tuple(
    base_and_damped(
        Claim(
            "width and depth together beat width alone on unseen devices",
            better={"network.depth": (2, 3)},
            worse={"network.depth": 1},
            source="Koutini et al. 2021, Figures 1 and 17: on par with the best",
        )
    )
)


def trials() -> Iterator[Trial]:
    """Width alone, and five pairs of width and depth, base and damped, three seeds; the paper names
    none.
    """
    for width, depths in ((64, (1, 2)), (128, (1, 2, 3)), (256, (1, 2, 3))):
        changes = {"network__width": (width,), "network__depth": depths}
        yield from repeats(product(TAU2020, network__damping=(0.0, DAMPED), **changes), 3)
