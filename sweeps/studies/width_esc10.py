"""Width, base and damped, as in Figure 3: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, ESC10_EVERY_MICROPHONE
from sweeps.studies.width import claims
from sweeps.study import product

QUESTION = "Does width help on unseen devices, and more than on seen ones?"
SOURCE = "Koutini et al. 2021, Figure 3, at CPU scale on ESC-10 through microphones"
WIDTHS = (8, 16, 32, 64)
CLAIMS = tuple(claims(WIDTHS))


def trials() -> Iterator[Trial]:
    """Four widths, base and damped, each on five folds."""
    yield from product(
        ESC10_EVERY_MICROPHONE,
        split__fold=(1, 2, 3, 4, 5),
        network__damping=(0.0, DAMPED),
        network__width=WIDTHS,
    )
