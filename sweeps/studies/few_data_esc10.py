"""Accuracy by training clips per class, without validation: five classes of ESC-10 at CPU scale."""

from collections.abc import Iterator, Mapping
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import BOTTLENECK, CONSISTENT, FEW_DATA_ESC10
from sweeps.studies.few_data import (
    NEIGHBOURS,
    REGULARIZED_VGG,
    SCRATCH,
    UNPENALIZED,
    claims,
    neighbours,
    prototypical,
    regularized,
)
from sweeps.study import product

QUESTION = "How few training clips are enough, and which method needs the fewest?"
SOURCE = "Pons et al. 2019, at CPU scale on ESC-10, with CP-ResNet, VIB and consistency added"
CLIPS = (1, 2, 5, 10, 20)
EPOCHS = 100  # half of what is published, for time
WIDTHS = {"sb_cnn": 12, "vgg5": 16, "timbre": 1}  # half of what is published, for time
# The classes by turns, in alphabetical order: those to pretrain on, and those that all are tested
# on, so that transfer has as much of a chance as the others.
SOURCES = ("chainsaw", "crackling_fire", "dog", "rain", "sea_waves")
TARGETS = ("clock_tick", "crying_baby", "helicopter", "rooster", "sneezing")

# ESC10's way of training, on whole clips.
WHOLE_CLIPS = {
    "sound.patch": 0,
    "evaluation.patch_hop": 0,
    "network.kind": "cp_resnet",
    "network.depth": 1,
    "network.pointwise": 1,
    "network.width": 16,
    "training.optimizer": "adam",
    "training.rate": 2e-3,
    "training.epochs": 60,
    "training.batch": 16,
    "training.warmup": 10,
    "training.final": 0.01,
    "training.stepping": "step",
    "augment.roll": 2.5,
    "augment.mixup": 0.3,
    **UNPENALIZED,
}
CP_RESNET = {
    "network.kind": "cp_resnet",
    "network.width": 16,
    "objective.kind": "cross_entropy",
}
TRANSFERRED = {"transfer.rate": 0.1}
FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "regularized networks": {**REGULARIZED_VGG, "network.kind": tuple(WIDTHS)},
    "prototypes": SCRATCH,
    "transferred prototypes": {**SCRATCH, **TRANSFERRED},
    "neighbours on MFCC": {"network.kind": "mfcc", "objective.kind": "neighbours"},
}
CLAIMS = (
    *claims(TRANSFERRED),
    *(
        Claim(
            f"CP-ResNet beats {name} at 1 to 20 clips a class",
            CP_RESNET,
            family,
            on="test",
            where={"split.clips_per_class": CLIPS},
        )
        for name, family in FAMILIES.items()
    ),
)


def pretrained(fold: int) -> Trial:
    """The VGG on all training clips of the other five classes."""
    return changed(FEW_DATA_ESC10, {"sound.classes": SOURCES, "split.fold": fold})


def models(fold: int) -> Iterator[Trial]:
    """Regularized, prototypical, transferred, neighbours; CP-ResNet by width, with a bottleneck and
    with consistency.
    """
    trial = changed(
        FEW_DATA_ESC10,
        {"sound.classes": TARGETS, "split.fold": fold, "training.epochs": EPOCHS},
    )
    patience = 20
    yield from regularized(trial, WIDTHS)
    yield prototypical(trial, len(TARGETS), 1, patience)
    taken = changed(trial, {"transfer.trial": pretrained(fold).id, "transfer.rate": 0.1})
    yield taken
    yield prototypical(taken, len(TARGETS), 1, patience)
    yield from neighbours(trial)
    yield changed(taken, {**NEIGHBOURS, "transfer.rate": 1.0, "evaluation.patch_votes": "votes"})
    whole = changed(trial, WHOLE_CLIPS)
    yield from product(whole, network__width=(4, 16))
    yield whole.model_copy(update={"objective": BOTTLENECK})
    views = whole.model_copy(update={"objective": CONSISTENT})
    yield changed(views, {"augment.transform": "combination"})


def trials() -> Iterator[Trial]:
    """Twelve models, five numbers of clips per class, five folds, each with a draw of its own."""
    for fold in range(1, 6):
        yield pretrained(fold)
        for trial in models(fold):
            yield from product(trial, split__clips_per_class=CLIPS)
