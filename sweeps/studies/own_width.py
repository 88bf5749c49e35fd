"""Width on recordings of your own, cross-validated by folds made from them."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import OWN
from sweeps.study import product

QUESTION = "How much does width improve accuracy on my own recordings?"
SOURCE = "your recordings (--root), with the network of Koutini et al. 2021"
CLAIMS = (Claim("width helps", {"network.width": 32}, {"network.width": 8}, on="test"),)


def trials() -> Iterator[Trial]:
    """Three widths, each tested on each of five folds and chosen by the fold after it."""
    for fold in (1, 2, 3, 4, 5):
        folds = {"split.fold": fold, "split.validation_fold": fold % 5 + 1}
        yield from product(changed(OWN, folds), network__width=(8, 16, 32))
