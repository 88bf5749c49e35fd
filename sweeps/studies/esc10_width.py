"""Width on real recordings: ESC-10, five-fold cross-validation by the official folds."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import ESC10
from sweeps.study import product

QUESTION = "How much does width improve accuracy on ten classes of real recordings?"
SOURCE = "ESC-10 (Piczak 2015) with the network of Koutini et al. 2021"
CLAIMS = (Claim("width helps", {"network.width": 32}, {"network.width": 8}, on="test"),)


def trials() -> Iterator[Trial]:
    """Three widths, each tested on each of the five folds."""
    yield from product(ESC10, network__width=(8, 16, 32), split__fold=(1, 2, 3, 4, 5))
