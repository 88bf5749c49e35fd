"""Does width help on microphones that a network never heard as far as W = 64, and does damping help
there? As width_esc10, with networks sixteen times as wide as its narrowest.
"""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, ESC10_EVERY_MICROPHONE
from sweeps.study import product

QUESTION = "Do width and damping help on unseen microphones, up to W = 64?"
SOURCE = "the questions of Koutini et al. 2021, Figure 3, at CPU scale on ESC-10"
SHORT = changed(
    ESC10_EVERY_MICROPHONE, {"training.epochs": 20, "training.warmup": 4, "evaluation.every": 20}
)
BASE = {"network.damping": 0.0}
WIDE, NARROW = {"network.width": 64}, {"network.width": 4}
CLAIMS = (
    Claim("W = 64 over 4", WIDE, NARROW, where=BASE),
    Claim("W = 64 over 4, unseen more than seen", WIDE, NARROW, on="unseen - seen", where=BASE),
    Claim("damping helps, log-mel, W = 64", {"network.damping": DAMPED}, BASE, where=WIDE),
)


def trials() -> Iterator[Trial]:
    """W = 4 base, W = 64 base and damped, log-mel; 45 trials, seeds outermost."""
    for seed in (0, 1, 2):
        once = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        yield from product(SHORT, **once, network__width=(4, 64))
        yield from product(SHORT, **once, network__width=(64,), network__damping=(DAMPED,))
