"""Do damping and width move the effective receptive field as published? Over the recordings as
they are, of the networks of width_esc10 with log-mel features, on five folds and three seeds.
"""

from collections.abc import Iterator

from width_esc10 import trials as networks

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED
from sweeps.claimed import at_each

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
    yield from (trial for trial in networks() if trial.sound.features.kind == "log_mel")
