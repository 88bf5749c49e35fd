"""What to minimize, by width and training fraction: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.settings import Trial
from scaling.settings.recipes import ESC10_EVERY_MICROPHONE
from sweeps.studies import objectives
from sweeps.study import product

QUESTION = "Which objective works best on unseen microphones?"
SOURCE = "ours; objectives of Hu et al. 2021 and Iqbal et al. 2021 on one network"
CLAIMS = objectives.CLAIMS


def trials() -> Iterator[Trial]:
    """Six objectives, two widths, three fractions of the training clips, five folds."""
    for trial in objectives.models(ESC10_EVERY_MICROPHONE):
        yield from product(
            trial,
            split__fold=(1, 2, 3, 4, 5),
            network__width=(4, 16),
            split__fraction=(0.1, 0.3, 1.0),
        )
