"""Consistency learning against augmentation (Table 1): ESC-50, four transforms, five folds."""

from collections.abc import Iterator, Sequence

from scaling.settings import Trial, changed
from scaling.settings.recipes import BATCHED, CONSISTENCY_ESC50, CONSISTENT, VIEWS
from sweeps.study import product, repeats

QUESTION = "Is it better to be told that copies of a clip are one clip than to be given them?"
SOURCE = "Iqbal et al. 2021 (ICASSP, arXiv 2102.05151), Table 1"
TRANSFORMS = ("pitch", "reverb", "mask", "combination")


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
