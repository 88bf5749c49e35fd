"""Loss and accuracy over the epochs, with and without a bottleneck (Figure 2): ESC-50 and TUT."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import BOTTLENECK
from sweeps.studies.vib_table import BASELINE, BOTTLENECKED, datasets
from sweeps.study import repeats

QUESTION = "Does the bottleneck keep the validation loss from rising late in training?"
SOURCE = "Hu et al. 2021 (Interspeech, arXiv 2107.04803), Figure 2"
CLAIMS = (
    Claim(
        "a bottleneck lowers the cross-entropy after the last epoch",
        BOTTLENECKED,
        BASELINE,
        on="test",
        metric="loss",
        source="Hu et al. 2021, Figure 2, on validation clips",
    ),
)


def trials() -> Iterator[Trial]:
    """The network plain and with a bottleneck, every epoch scored, five seeds."""
    for trial in datasets():
        if trial.sound.dataset in ("esc50", "tut2017_development"):
            scored = changed(trial, {"evaluation.training_clips": True})
            bottleneck = scored.model_copy(update={"objective": BOTTLENECK})
            yield from repeats((scored, bottleneck), 5)
