"""What helps on microphones never heard, on ESC-10: all combinations of four methods, and seven
more beside impulse responses alone.
"""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_UNHEARD_MICROPHONES, IMPULSE_RESPONSES
from sweeps.arms import in_arm
from sweeps.studies import devices
from sweeps.study import product

QUESTION = "Which methods help on unseen microphones, and do their gains add up?"
SOURCE = "the study devices, at CPU scale on ESC-10 through microphones"
CLAIMS, ARMS = devices.CLAIMS, devices.ARMS


def trials() -> Iterator[Trial]:
    """Sixteen combinations and seven arms on five folds, at width 16."""
    through = changed(ESC10_UNHEARD_MICROPHONES, IMPULSE_RESPONSES)
    combined = devices.factorial(ESC10_UNHEARD_MICROPHONES, through)
    arms = (trial for arm in devices.ARMS for trial in in_arm(arm, [through]))
    for trial in (*combined, *arms):
        yield from product(trial, split__fold=(1, 2, 3, 4, 5))
