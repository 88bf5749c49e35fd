"""Does an information bottleneck help a CNN that has all 240 training clips? As bottleneck_esc10,
at 100 % of the training clips.
"""

from collections.abc import Iterator

from scaling.settings import Trial
from sweeps.studies import vib_splits_esc10 as whole

QUESTION = "Does an information bottleneck help where no training clip is left out?"
SOURCE = whole.SOURCE
FRACTION = 1.0
CLAIMS = tuple(claim for claim in whole.CLAIMS if claim.where["split.fraction"] == FRACTION)


def trials() -> Iterator[Trial]:
    """The trials of vib_splits_esc10 at this fraction, seeds outermost: 105."""
    mine = [trial for trial in whole.trials() if trial.split.fraction == FRACTION]
    yield from sorted(mine, key=lambda trial: trial.seed)
