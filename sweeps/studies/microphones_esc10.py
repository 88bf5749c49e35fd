"""Training through other microphones: does it close the gap to those that were never heard?"""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import (
    DAMPED,
    ESC10_UNHEARD_MICROPHONES,
    TRAINING_MICROPHONES,
)
from sweeps.claimed import at_each
from sweeps.study import product

QUESTION = "Does training through some microphones help on others, at every width?"
SOURCE = "ours; device augmentation on ESC-10, with the network of Koutini et al. 2021"
WIDTHS = (8, 16, 32)
HELPS = "training through microphones helps on others"
HEARD, RECORDED = {"microphones.share": 0.5}, {"microphones.share": 0.0}
CLAIMS = (
    *at_each([Claim(HELPS, HEARD, RECORDED)], "network.width", WIDTHS, "width {}"),
    Claim("training through microphones closes the gap", HEARD, RECORDED, on="unseen - seen"),
)


def trials() -> Iterator[Trial]:
    """Three widths, base and damped, on five folds: trained as recorded, or half of each epoch's
    clips through a random training microphone.
    """
    heard = {"microphones.train": TRAINING_MICROPHONES, "microphones.share": 0.5}
    for base in (ESC10_UNHEARD_MICROPHONES, changed(ESC10_UNHEARD_MICROPHONES, heard)):
        yield from product(
            base,
            split__fold=(1, 2, 3, 4, 5),
            network__damping=(0.0, DAMPED),
            network__width=WIDTHS,
        )
