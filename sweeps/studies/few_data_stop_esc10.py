"""When to stop without validation: prototypes by how their patience is counted, on ESC-10."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import FEW_DATA_ESC10
from sweeps.studies.few_data import prototypical
from sweeps.studies.few_data_esc10 import TARGETS
from sweeps.studies.few_data_stop import claims, stops
from sweeps.study import product

QUESTION = "Can training stop as soon as the training clips are fitted?"
SOURCE = "Pons et al. 2019, at CPU scale on five classes of ESC-10"
CLAIMS = claims(20, 100)


def trials() -> Iterator[Trial]:
    """Four ways to stop, three numbers of clips per class, five folds."""
    for fold in range(1, 6):
        trial = changed(FEW_DATA_ESC10, {"sound.classes": TARGETS, "split.fold": fold})
        patient = prototypical(trial, len(TARGETS), 1, 20)
        for stop in stops(patient, (20, 100)):
            yield from product(stop, split__clips_per_class=(2, 5, 20))
