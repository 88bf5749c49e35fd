"""Capacity, as in the paper's section 4: ESC-10 with labels that mean nothing."""

from collections.abc import Iterator

from scaling.settings import Microphones, Trial, changed
from scaling.settings.recipes import DAMPED, ESC10_MICROPHONES
from sweeps.studies.random_labels import PLAIN, claims
from sweeps.study import product

QUESTION = "How wide must a network be to fit random labels?"
SOURCE = "Koutini et al. 2021, section 4, at CPU scale on ESC-10 through microphones"
WIDTHS = (2, 4, 8, 16)
CLAIMS = tuple(claims(WIDTHS))


def trials() -> Iterator[Trial]:
    """Four widths, true and random labels, base and damped, three seeds; no augmentation."""
    recorded = ESC10_MICROPHONES.model_copy(update={"microphones": Microphones()})
    longer = {"training.epochs": 60, "evaluation.every": 20, "evaluation.last": 1}
    base = changed(recorded, {**PLAIN, **longer})
    yield from product(
        base,
        seed=(0, 1, 2),
        network__damping=(0.0, DAMPED),
        network__width=WIDTHS,
        split__labels=("true", "uniform"),
    )
