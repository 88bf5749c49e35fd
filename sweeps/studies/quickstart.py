"""Width and damping on the embedded dataset, in minutes on two cores."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, QUICKSTART
from sweeps.study import product, repeats

QUESTION = "Is a wider network, or a damped one, better on devices it was not trained on?"
SOURCE = "the question of Koutini et al. 2021 (Figure 3), on ten synthetic scenes"
CLAIMS = (Claim("width helps on unseen devices", {"network.width": 16}, {"network.width": 4}),)


def trials() -> Iterator[Trial]:
    """Three widths, base and damped, two seeds."""
    varied = product(QUICKSTART, network__width=(4, 8, 16), network__damping=(0.0, DAMPED))
    yield from repeats(varied, 2)
