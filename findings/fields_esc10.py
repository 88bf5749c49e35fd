"""Do damping and width move the effective receptive field as published? Over the recordings as
they are, of the networks of width_esc10 with log-mel features, on five folds and three seeds.
"""

from collections.abc import Iterator
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import (
    DAMPED,
    ESC10_MICROPHONES,
    TRAINING_MICROPHONES,
    UNSEEN_MICROPHONES,
)
from sweeps.claimed import at_each
from sweeps.study import product

QUESTION = "Do damping and width move the effective receptive field?"
SOURCE = "the questions of Koutini et al. 2021, appendix C, at CPU scale on ESC-10"
BASE, NARROWER = {"network.damping": 0.0}, {"network.damping": DAMPED}
SAME = 2.0  # frames
W = "network.width"
CLAIMS = (
    *at_each(
        (
            Claim("damping narrows the field along frequency", BASE, NARROWER, "seen", "sigma_f"),
            Claim(
                "damping leaves it along time",
                NARROWER,
                BASE,
                on="seen",
                metric="sigma_t",
                within=SAME,
            ),
        ),
        W,
        (4, 8, 16),
        "W = {}",
    ),
    Claim("width focuses it: W = 4 over 32", {W: 4}, {W: 32}, "seen", "area50", where=BASE),
    Claim("width focuses it: W = 4 over 16", {W: 4}, {W: 16}, "seen", "area50", where=NARROWER),
)


def trials() -> Iterator[Trial]:
    """Base at four widths, damped at three: 105 trials, all of width_esc10."""
    microphones = (*UNSEEN_MICROPHONES, *TRAINING_MICROPHONES, "Beyer_M260", "Reslo_RV")
    small: dict[str, Any] = {"training.epochs": 20, "training.warmup": 4, "evaluation.last": 1}
    small |= {"evaluation.every": 20, "microphones.test": microphones}
    base = changed(ESC10_MICROPHONES, small)
    for seed in (0, 1, 2):
        once = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        for damping, widths in ((0.0, (4, 8, 16, 32)), (DAMPED, (4, 8, 16))):
            yield from product(base, **once, network__damping=(damping,), network__width=widths)
