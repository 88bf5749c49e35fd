"""The weight of the information bottleneck (Figure 3): ESC-50 and TUT Acoustic Scenes 2017."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import BOTTLENECK
from sweeps.studies.vib_table import datasets
from sweeps.study import product, repeats

QUESTION = (
    "Which weight of the bottleneck avoids both overfitting and the loss of class information?"
)
SOURCE = "Hu et al. 2021 (Interspeech, arXiv 2107.04803), Figure 3"
WEIGHTS = (0.0, 1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.3, 1.0)
CLAIMS = tuple(
    Claim(
        f"beta = {BOTTLENECK.beta} has a lower cross-entropy than beta = {beta}",
        better={"objective.beta": BOTTLENECK.beta},
        worse={"objective.beta": beta},
        on="test",
        metric="loss",
        source="Hu et al. 2021, section 4.2 and Figure 3",
    )
    for beta in (0.0, 1.0)
)


def trials() -> Iterator[Trial]:
    """Twelve weights, K = 20, five seeds; training clips are scored too."""
    for trial in datasets():
        if trial.sound.dataset in ("esc50", "tut2017_development"):
            bottleneck = trial.model_copy(update={"objective": BOTTLENECK})
            scored = product(
                bottleneck, evaluation__training_clips=(True,), objective__beta=WEIGHTS
            )
            yield from repeats(scored, 5)
