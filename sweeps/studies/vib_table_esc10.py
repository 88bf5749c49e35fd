"""The information bottleneck by training fraction, as in Table 3: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import VIB_ESC10
from sweeps.studies.vib_table import BASELINE, BOTTLENECKED, CHOSEN, at_fractions, claims, models
from sweeps.study import product

QUESTION = "Does an information bottleneck help with few training clips?"
SOURCE = "Hu et al. 2021, Table 3, at CPU scale on ESC-10"
CLAIMS = (
    *claims(
        {0.1: 0.047, 0.3: 0.060, 1.0: 0.029},
        {0.1: 0.026, 0.3: 0.005, 1.0: 0.013},
        "Hu et al. 2021, Table 3, ESC-50",
    ),
    Claim(
        "a bottleneck beats the best CNN at equal parameters",
        BOTTLENECKED,
        BASELINE,
        on="test",
        where={"network.flatten": False},
        choose=CHOSEN,
    ),
)


def trials() -> Iterator[Trial]:
    """Three baselines and four bottlenecks on three fractions, five folds, two heads.

    With the paper's head on the whole map, a bottleneck multiplies the parameters; with the dense
    layer on the map's mean it adds next to none, and the comparison is one at equal parameters.
    """
    for fold in range(1, 6):
        turned = {"split__fold": (fold,), "split__validation_fold": (fold % 5 + 1,)}
        for trial in product(VIB_ESC10, **turned, network__flatten=(True, False)):
            yield from at_fractions(models(trial, (20, 100), (2e-3, 2e-2)), (0.1, 0.3, 1.0))
