"""Does an information bottleneck help a CNN that has 12 or 24 training clips? The chosen bottleneck
against the plain CNN and against the chosen baseline, on five folds and three seeds.
"""

from collections.abc import Iterator

from scaling.settings import Trial
from sweeps.studies import vib_splits_esc10 as whole

QUESTION = "Does an information bottleneck help where training clips are few?"
SOURCE = whole.SOURCE
FRACTIONS = (0.05, 0.1)
CLAIMS = tuple(claim for claim in whole.CLAIMS if claim.where["split.fraction"] in FRACTIONS)


def trials() -> Iterator[Trial]:
    """The trials of vib_splits_esc10 at its two smallest fractions: 210."""
    yield from (trial for trial in whole.trials() if trial.split.fraction in FRACTIONS)
