"""Loss and accuracy over the epochs, with and without a bottleneck, as in Figure 2: ESC-10."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import BOTTLENECK, VIB_ESC10
from sweeps.studies import vib_curves
from sweeps.study import product

QUESTION = "Does the bottleneck keep the validation loss from rising late in training?"
SOURCE = "Hu et al. 2021, Figure 2, at CPU scale on ESC-10"
CLAIMS = vib_curves.CLAIMS


def trials() -> Iterator[Trial]:
    """The network plain and with a bottleneck, every second epoch scored, five folds."""
    scored = changed(VIB_ESC10, {"evaluation.training_clips": True, "evaluation.every": 2})
    bottleneck = scored.model_copy(update={"objective": BOTTLENECK})
    for fold in range(1, 6):
        for trial in (scored, bottleneck):
            yield from product(trial, split__fold=(fold,), split__validation_fold=(fold % 5 + 1,))
