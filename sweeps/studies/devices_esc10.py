"""What helps on microphones never heard: four methods, each with and without, on ESC-10."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_UNHEARD_MICROPHONES, IMPULSE_RESPONSES
from sweeps.studies import devices
from sweeps.study import product

QUESTION = "Which methods help on unseen microphones, and do their gains add up?"
SOURCE = "the study devices, at CPU scale on ESC-10 through microphones"
CLAIMS = devices.CLAIMS


def trials() -> Iterator[Trial]:
    """Sixteen combinations on five folds, at width 16."""
    through = changed(ESC10_UNHEARD_MICROPHONES, IMPULSE_RESPONSES)
    for trial in devices.factorial(ESC10_UNHEARD_MICROPHONES, through):
        yield from product(trial, split__fold=(1, 2, 3, 4, 5))
