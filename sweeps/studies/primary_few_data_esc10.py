"""Which kind of network needs the fewest clips, at equal updates: five classes of ESC-10.

CP-ResNet's recipe is quickstart's, chosen on synthetic scenes: it saw no clip of ESC-10. In
few_data_esc10 it was chosen on clips that others are tested by, and made four times the updates.
"""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import FEW_DATA_ESC10, PROTOTYPES, QUICKSTART
from sweeps.studies.few_data import neighbours, regularized
from sweeps.studies.few_data_esc10 import (
    CLIPS,
    CP_RESNET,
    EPOCHS,
    FAMILIES,
    TARGETS,
    TRANSFERRED,
    WHOLE_CLIPS,
    WIDTHS,
    pretrained,
)
from sweeps.study import product

QUESTION = "How few training clips are enough, and which method needs the fewest?"
SOURCE = "Pons et al. 2019, at CPU scale on ESC-10, with CP-ResNet, at equal updates"
CLAIMS = tuple(
    Claim(
        f"CP-ResNet leads at 1 to 20 clips a class and equal updates, against {name}",
        CP_RESNET,
        family,
        on="test",
        where={"split.clips_per_class": CLIPS},
    )
    for name, family in FAMILIES.items()
)
# one update an epoch for all: a batch holds all clips there are
ONE_BATCH = {"training.batch": FEW_DATA_ESC10.training.batch, "training.partial": True}
UNTUNED = {
    **WHOLE_CLIPS,
    **ONE_BATCH,
    "training.epochs": EPOCHS,
    "training.rate": QUICKSTART.training.rate,
    "training.warmup": EPOCHS * QUICKSTART.training.warmup / QUICKSTART.training.epochs,
    "training.stepping": QUICKSTART.training.stepping,
}


def models(fold: int) -> Iterator[Trial]:
    """Regularized, prototypical and transferred networks, neighbours, and CP-ResNet."""
    own = {"sound.classes": TARGETS, "split.fold": fold, "training.epochs": EPOCHS}
    trial = changed(FEW_DATA_ESC10, own)
    yield from regularized(trial, WIDTHS)
    votes = {"training.penalty": 0.0, "evaluation.patch_votes": "logarithms"}
    prototypical = changed(trial.model_copy(update={"objective": PROTOTYPES}), votes)
    yield prototypical
    yield changed(prototypical, {"transfer.trial": pretrained(fold).id, **TRANSFERRED})
    yield from neighbours(trial)
    yield changed(trial, UNTUNED)


def trials() -> Iterator[Trial]:
    """Seven models, five numbers of clips per class, five folds, each with three draws."""
    for fold in range(1, 6):
        yield pretrained(fold)
        for trial in models(fold):
            yield from product(trial, split__clips_per_class=CLIPS, seed=(0, 1, 2))
