"""The weight of the information bottleneck, as in Figure 3: ESC-10 at CPU scale."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import BOTTLENECK, VIB_ESC10
from sweeps.studies import vib_beta
from sweeps.study import product

QUESTION = (
    "Which weight of the bottleneck avoids both overfitting and the loss of class information?"
)
SOURCE = "Hu et al. 2021, Figure 3, at CPU scale on ESC-10"
CLAIMS = vib_beta.CLAIMS


def trials() -> Iterator[Trial]:
    """Seven weights, K = 20, five folds; training clips are scored too."""
    bottleneck = VIB_ESC10.model_copy(update={"objective": BOTTLENECK})
    for fold in range(1, 6):
        yield from product(
            bottleneck,
            split__fold=(fold,),
            split__validation_fold=(fold % 5 + 1,),
            evaluation__training_clips=(True,),
            objective__beta=(0.0, 1e-4, 1e-3, 5e-3, 2e-2, 0.1, 1.0),
        )
