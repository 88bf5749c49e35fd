"""Which kind of network needs the fewest clips, at equal updates? Each family against CP-ResNet at
1 and 5 clips a class of five classes of ESC-10, on five folds and three draws.
"""

from collections.abc import Iterator
from dataclasses import replace

from scaling.settings import Trial
from sweeps.studies import primary_few_data_esc10 as whole

QUESTION = whole.QUESTION
SOURCE = whole.SOURCE
CLIPS = (1, 5)
CLAIMS = tuple(
    replace(
        claim,
        text=claim.text.replace("1 to 20", "1 and 5"),
        where={"split.clips_per_class": CLIPS},
    )
    for claim in whole.CLAIMS
)


def trials() -> Iterator[Trial]:
    """The trials of primary_few_data_esc10 at two of its five numbers of clips: 215."""
    for trial in whole.trials():
        if trial.split.clips_per_class in (0, *CLIPS):
            yield trial
