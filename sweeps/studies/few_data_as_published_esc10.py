"""Few data, each open point of prototypes and normalization an arm beside ours: ESC-10."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import FEW_DATA_ESC10
from sweeps.arms import in_arm
from sweeps.studies import few_data_as_published as published
from sweeps.studies.few_data import prototypical
from sweeps.studies.few_data_as_published import FIVE, SOONER
from sweeps.studies.few_data_esc10 import EPOCHS, TARGETS, TRANSFERRED, pretrained
from sweeps.study import product

QUESTION = published.QUESTION
SOURCE = "Pons et al. 2019, at CPU scale on five classes of ESC-10"
ARMS = (FIVE, SOONER)
CLAIMS = (
    *published.claims(),
    published.PROTOTYPES,
    published.transfer(TRANSFERRED, published.MOMENTUM),
)
PATIENCE = 20


def models(fold: int) -> Iterator[Trial]:
    """The regularized VGG and its prototypes, ours and in each arm; transferred prototypes of five
    queries.
    """
    own = {"sound.classes": TARGETS, "split.fold": fold, "training.epochs": EPOCHS}
    trial = changed(FEW_DATA_ESC10, own)
    yield from (trial, *in_arm(SOONER, [trial]))
    ours = prototypical(trial, len(TARGETS), 1, PATIENCE)
    five = [*in_arm(FIVE, [ours])]
    yield from (ours, *five, *in_arm(SOONER, five))
    taken = {"transfer.trial": pretrained(fold).id, **TRANSFERRED}
    yield from (changed(each, taken) for each in five)


def trials() -> Iterator[Trial]:
    """Six models, three numbers of clips per class, five folds, each with three draws."""
    for fold in range(1, 6):
        yield pretrained(fold)
        for trial in models(fold):
            yield from product(trial, split__clips_per_class=(1, 2, 20), seed=(0, 1, 2))
