"""Do depth and 1x1 blocks help or hurt a small network on microphones that it never heard?
CP-ResNet of width 8, base and damped, on five folds and three seeds.
"""

from collections.abc import Iterator
from typing import Any

from width_esc10 import SHORT

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED
from sweeps.claimed import base_and_damped
from sweeps.study import product

QUESTION = "Do depth and 1x1 blocks help or hurt on unseen microphones?"
SOURCE = "the questions of Koutini et al. 2021, Figures 4 and 5, at CPU scale on ESC-10"
D, K = "network.depth", "network.pointwise"
DEEP: dict[str, Any] = {D: 3, K: 1}
ONE: dict[str, Any] = {D: 1, K: 1}
CLAIMS = tuple(
    base_and_damped(
        Claim("depth hurts: D = 1 over 3", ONE, DEEP),
        Claim("1x1 blocks help: K = 4 over 1", {D: 1, K: 4}, ONE),
    )
)


def trials() -> Iterator[Trial]:
    """D = 1 and 3 at K = 1, and K = 4 at D = 1, base and damped: 90 trials of 20 epochs."""
    for seed in (0, 1, 2):
        every: dict[str, Any] = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        every |= {"network__width": (8,), "network__damping": (0.0, DAMPED)}
        yield from product(SHORT, **every, network__depth=(1, 3))
        yield from product(SHORT, **every, network__pointwise=(4,))
