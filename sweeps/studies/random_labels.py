"""Capacity (section 4): what network fits labels that mean nothing."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.study import product, repeats

QUESTION = "From which width on does a network fit random labels?"
SOURCE = "Koutini et al. 2021, section 4, on TAU Urban Acoustic Scenes 2020 Mobile"
PLAIN = {"augment.roll": 0.0, "augment.mixup": 0.0, "evaluation.training_clips": True}


def trials() -> Iterator[Trial]:
    """Three widths, true and random labels, base and damped, three seeds; no augmentation."""
    base = changed(TAU2020, {**PLAIN, "evaluation.every": 50, "evaluation.last": 1})
    varied = product(
        base,
        network__damping=(0.0, DAMPED),
        network__width=(16, 32, 64),
        split__labels=("true", "uniform"),
    )
    yield from repeats(varied, 3)
