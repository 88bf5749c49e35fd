"""From which width on does a small network fit labels that mean nothing? CP-ResNet on ESC-10 with
random labels, base and damped, on five folds and three seeds.
"""

from collections.abc import Iterator
from typing import Any

from scaling.settings import Microphones, Trial, changed
from scaling.settings.recipes import DAMPED, ESC10_MICROPHONES
from sweeps.studies.random_labels import PLAIN, claims
from sweeps.study import product

QUESTION = "From which width on are random labels fitted?"
SOURCE = "as Koutini et al. 2021, section 4, at CPU scale on ESC-10"
WIDTHS = (4, 8, 16)
CLAIMS = tuple(claims(WIDTHS))


def trials() -> Iterator[Trial]:
    """Three widths, base and damped, random labels alone: 90 trials of 60 epochs."""
    recorded = ESC10_MICROPHONES.model_copy(update={"microphones": Microphones()})
    longer = {"training.epochs": 60, "evaluation.every": 60, "evaluation.last": 1}
    base = changed(recorded, {**PLAIN, **longer, "split.labels": "uniform"})
    for seed in (0, 1, 2):
        every: dict[str, Any] = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        yield from product(base, **every, network__damping=(0.0, DAMPED), network__width=WIDTHS)
