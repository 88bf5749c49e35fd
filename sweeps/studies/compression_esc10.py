"""What the gap to unseen microphones owes to compression alone: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.results.claims import GAP, Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, ESC10_EVERY_MICROPHONE
from sweeps.arms import Arm, in_arm
from sweeps.study import product

QUESTION = "How much of the gap is due to the microphone, and how much to the compression after it?"
SOURCE = "ours; with the network of Koutini et al. 2021"
ALIKE = Arm(
    "only the microphone differs",
    {"microphones.compress_recorded": True},
    "ours: unseen clips are compressed as TAU's simulated devices are, seen ones are as recorded; "
    "here all are compressed, in training too",
)
ARMS = (ALIKE,)
WIDTHS = (8, 32)
USUAL = {"microphones.compress_recorded": False}
WIDE, NARROW = ({"network.width": width} for width in reversed(WIDTHS))
DAMPING = {"network.damping": DAMPED}, {"network.damping": 0.0}
CLAIMS = (
    Claim("without the difference in compression the gap is smaller", ALIKE.changes, USUAL, GAP),
    Claim("width helps where only the microphone differs", WIDE, NARROW, where=ALIKE.changes),
    Claim(
        "width helps unseen more than seen where only the microphone differs",
        WIDE,
        NARROW,
        GAP,
        where=ALIKE.changes,
    ),
    Claim("damping helps where only the microphone differs", *DAMPING, where=ALIKE.changes),
)


def trials() -> Iterator[Trial]:
    """Two widths, base and damped, with seen clips as recorded and compressed; five folds, three
    seeds.
    """
    every = {"seed": (0, 1, 2), "split__fold": (1, 2, 3, 4, 5)}
    both = {"network__damping": (0.0, DAMPED), "network__width": WIDTHS}
    for trial in product(ESC10_EVERY_MICROPHONE, **every, **both):
        yield trial
        yield from in_arm(ALIKE, [trial])
