"""Damping through the paper's front end and through ours: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, ESC10_EVERY_MICROPHONE
from sweeps.arms import Arm, in_arm
from sweeps.claimed import at_each
from sweeps.study import product

QUESTION = "Does damping help through the paper's front end, if not through log-mel bands?"
SOURCE = "Koutini et al. 2021, section 5.1 and Figure 3, at CPU scale on ESC-10"
PERCEPTUAL = Arm(
    "perceptual",
    {"sound.features.kind": "perceptual"},
    "Koutini et al. 2021, appendix A: decibels weighted as the ear hears; ours is log-mel, "
    "ahead on validation clips",
)
ARMS = (PERCEPTUAL,)
WIDTHS = (4, 8, 32, 64)
FRONT_ENDS = {"log-mel": "log_mel", "perceptual": "perceptual"}
HELPS = Claim(
    "damping helps on unseen devices",
    {"network.damping": DAMPED},
    {"network.damping": 0.0},
    source="Koutini et al. 2021, section 5.1: in all width settings",
)


def claims() -> Iterator[Claim]:
    """Damping over all widths, then at each, by front end."""
    for claim in at_each([HELPS], "sound.features.kind", FRONT_ENDS):
        yield claim
        yield from at_each([claim], "network.width", WIDTHS, "width {}")


CLAIMS = tuple(claims())


def trials() -> Iterator[Trial]:
    """Four widths, base and damped, through both front ends; no microphone is trained on, and all
    twelve are heard. Five folds, three seeds.
    """
    every = {"seed": (0, 1, 2), "split__fold": (1, 2, 3, 4, 5)}
    both = {"network__damping": (0.0, DAMPED), "network__width": WIDTHS}
    ours = [*product(ESC10_EVERY_MICROPHONE, **every, **both)]
    yield from (*ours, *in_arm(PERCEPTUAL, ours))
