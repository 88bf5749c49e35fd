"""Does pruning move the effective receptive field? Over the recordings as they are, of networks of
pruning_esc10 that did not collapse, on five folds and three seeds.
"""

from collections.abc import Iterator

from sparse_esc10 import DENSE, FIXED, PRUNED
from sparse_esc10 import trials as networks

from scaling.results.claims import Claim
from scaling.settings import Trial

QUESTION = "Does pruning move the effective receptive field?"
SOURCE = "the question of Koutini et al. 2021, Figures 13 to 16, at CPU scale on ESC-10"
CLAIMS = (
    Claim("pruning while training narrows it", FIXED, PRUNED, "seen", "sigma_f"),
    Claim("a fixed mask widens it", FIXED, DENSE, "seen", "sigma_f"),
    Claim("pruning while training focuses it", FIXED, PRUNED, "seen", "area50"),
)


def trials() -> Iterator[Trial]:
    """A fixed mask, magnitude pruning and the dense network: 45 trials, all of pruning_esc10."""
    yield from (trial for trial in networks() if trial.network.initialization == "he")
