"""The information bottleneck by training fraction, as in Table 3: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import VIB_ESC10
from sweeps.studies.vib_table import at_fractions, models
from sweeps.study import product

QUESTION = "Does an information bottleneck help where training clips are few?"
SOURCE = "as Hu et al. 2021, Table 3, at CPU scale on ESC-10"


def trials() -> Iterator[Trial]:
    """Three baselines and four bottlenecks on three fractions, three folds, two heads.

    With the paper's head on the whole map, a bottleneck multiplies the parameters; with the dense
    layer on the map's mean it adds next to none, and the comparison is one at equal parameters.
    """
    for fold in range(1, 4):
        turned = {"split__fold": (fold,), "split__validation_fold": (fold + 1,)}
        for trial in product(VIB_ESC10, **turned, network__flatten=(True, False)):
            yield from at_fractions(models(trial, (20, 100), (2e-3, 2e-2)), (0.1, 0.3, 1.0))
