"""When to stop without validation: prototypes by how their patience is counted."""

from collections.abc import Iterator, Sequence

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from sweeps.studies.few_data import PATCHES, datasets, drawn, prototypical

QUESTION = "Can training stop as soon as the training clips are fitted?"
SOURCE = "Pons et al. 2019, whose public code counts every epoch without improvement"
JUST_FIT = {"training.patience_counts": "all"}


def claims(patience: int, longest: int) -> tuple[Claim, ...]:
    """The public code's way of stopping against the usual one, and against training for long."""
    usual = {"training.patience_counts": "consecutive", "training.patience": patience}
    long = {"training.patience": 0, "training.epochs": longest}
    best = "counting patience from the best epoch beats counting all epochs"
    fit = f"stopping once training clips are fit beats {longest:,} epochs"
    return Claim(best, usual, JUST_FIT, on="test"), Claim(fit, JUST_FIT, long, on="test")


CLAIMS = claims(200, 1000)


def stops(trial: Trial, epochs: Sequence[int]) -> Iterator[Trial]:
    """By all epochs that were no better, by those since the last that was, and after a fixed
    number of epochs.
    """
    yield trial
    yield changed(trial, {"training.patience_counts": "consecutive"})
    for number in epochs:
        never = {"training.patience": 0, "training.patience_counts": "consecutive"}
        yield changed(trial, {**never, "training.epochs": number})


def trials() -> Iterator[Trial]:
    """Five ways to stop, seven numbers of clips per class, on both datasets."""
    for trial, classes in datasets():
        wide = {"network.width": 128, "network.input_norm": "time", "evaluation.patch_hop": 42}
        long = {"evaluation.every": 10_000, "training.epochs": 10_000}
        passes = PATCHES[trial.sound.dataset]
        patient = prototypical(changed(trial, {**wide, **long}), classes, passes, 200)
        yield from drawn(stops(patient, (50, 200, 1000)))
