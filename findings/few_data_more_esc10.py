"""Which kind of network needs the fewest clips, at equal updates? As few_data_esc10, at 2, 10 and
20 clips a class.
"""

from collections.abc import Iterator
from dataclasses import replace

from scaling.settings import Trial
from sweeps.studies import primary_few_data_esc10 as whole

QUESTION = whole.QUESTION
SOURCE = whole.SOURCE
CLIPS = (2, 10, 20)
CLAIMS = tuple(
    replace(
        claim,
        text=claim.text.replace("1 to 20", "2, 10 and 20"),
        where={"split.clips_per_class": CLIPS},
    )
    for claim in whole.CLAIMS
)


def trials() -> Iterator[Trial]:
    """The trials of primary_few_data_esc10 at three of its five numbers of clips: 320."""
    mine = [t for t in whole.trials() if t.split.clips_per_class in (0, *CLIPS)]
    yield from sorted(mine, key=lambda trial: trial.seed)
