"""A head that learns devices, its gradient reversed, on unseen microphones: ESC-10."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_UNHEARD_MICROPHONES, IMPULSE_RESPONSES
from sweeps.study import product

QUESTION = (
    "Does a device-adversarial head help on unseen microphones, in addition to impulse responses?"
)
SOURCE = "ours; gradient reversal of Ganin et al. 2016 (lambda up to 1)"
STRENGTHS = (0.0, 0.1, 1.0)  # largest lambda: none, a tenth of the published one, the published one
CLAIMS = tuple(
    Claim(text, {"training.adversarial": strength}, {"training.adversarial": 0.0}, on=on)
    for text, strength, on in (
        ("a weak adversary helps on unseen microphones", 0.1, "unseen"),
        ("an adversary as published helps on unseen microphones", 1.0, "unseen"),
        ("an adversary as published narrows the gap to seen ones", 1.0, "unseen - seen"),
    )
)


def trials() -> Iterator[Trial]:
    """Three strengths on five folds; those of none are trials of devices_esc10, too."""
    through = changed(ESC10_UNHEARD_MICROPHONES, IMPULSE_RESPONSES)
    yield from product(through, split__fold=(1, 2, 3, 4, 5), training__adversarial=STRENGTHS)
