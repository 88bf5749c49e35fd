"""Consistency learning against augmentation (Table 1): ESC-50, four transforms, five folds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import BATCHED, CONSISTENCY_ESC50, CONSISTENT, VIEWS
from sweeps.claimed import at_each
from sweeps.study import product, repeats

QUESTION = "Does consistency learning beat training on the same augmented copies without it?"
SOURCE = "Iqbal et al. 2021 (ICASSP, arXiv 2102.05151), Table 1"
TRANSFORMS = ("pitch", "reverb", "mask", "combination")
AGREED = {"objective.kind": "consistency", "objective.weight": CONSISTENT.weight}
VIEWED = {"objective.kind": "consistency", "objective.weight": BATCHED.weight}
STANDARD = {"objective.kind": "cross_entropy"}
# what Table 1 gains by consistency over batched augmentation, and by that over the standard one
AGREEING = {"pitch": 0.0088, "reverb": 0.0046, "mask": 0.0071, "combination": 0.0039}
BATCHING = {"pitch": 0.0025, "reverb": 0.0136, "mask": 0.0063, "combination": 0.0184}


def claims(
    text: str, better: Mapping[str, Any], worse: Mapping[str, Any], gains: Mapping[str, float]
) -> Iterator[Claim]:
    """A claim over all transforms, then with each, with the paper's effects."""
    source = "Iqbal et al. 2021, Table 1"
    claim = Claim(text, better, worse, on="test", source=source)
    mean = round(sum(gains.values()) / len(gains), 4)
    yield replace(claim, where={"augment.transform": TRANSFORMS}, published=mean)
    for each in at_each([claim], "augment.transform", TRANSFORMS):
        yield replace(each, published=gains[each.where["augment.transform"]])


CLAIMS = (
    *claims("consistency beats batched augmentation", AGREED, VIEWED, AGREEING),
    *claims("batched augmentation beats standard", VIEWED, STANDARD, BATCHING),
)


def models(trial: Trial, transforms: Sequence[str] = TRANSFORMS) -> Iterator[Trial]:
    """No augmentation; then each transform as augmentation (standard), as batched augmentation
    (BDA) and with the consistency objective (CL).

    All are given as many clips a step and as many steps an epoch: a batch of one view a clip is
    filled with other clips, in as many passes over them as the others have views. Two of three
    clips of a standard batch are transformed, as in the others. The paper does not say how it
    compared; its literal reading, one pass for all, is `--set training.passes=1`.
    """
    standard = changed(trial, {"training.passes": VIEWS})
    yield standard
    views = changed(trial, {"training.batch": trial.training.batch // VIEWS})
    for transform in transforms:
        alike = {"augment.transform": transform, "evaluation.disagreement": transform}
        yield changed(standard, {**alike, "augment.transform_share": 1 - 1 / VIEWS})
        for objective in (BATCHED, CONSISTENT):
            yield changed(views.model_copy(update={"objective": objective}), alike)


def trials() -> Iterator[Trial]:
    """Thirteen models on five folds, five seeds."""
    for trial in models(CONSISTENCY_ESC50):
        yield from repeats(product(trial, split__fold=(1, 2, 3, 4, 5)), 5)
