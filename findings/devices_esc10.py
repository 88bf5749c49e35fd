"""Which methods make a small network hear through microphones that it never heard, and do they add
up? CP-ResNet of width 8, all combinations of three, on five folds and three seeds.
"""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_MICROPHONES, FREQ_MIXSTYLE, IMPULSE_RESPONSES
from sweeps.study import product

QUESTION = "Which methods help on unseen microphones, and do they add up?"
SOURCE = "methods and their probabilities as in the facts (unseen devices), at CPU scale"
HEARD, STYLES, RESIDUAL = "microphones.share", "augment.freq_mixstyle", "network.normalization"
RESPONSES = {HEARD: IMPULSE_RESPONSES[HEARD]}, {HEARD: 0.0}
MIXED = {STYLES: FREQ_MIXSTYLE[STYLES]}, {STYLES: 0.0}
NORMALIZED = {RESIDUAL: "residual"}, {RESIDUAL: "none"}
CLAIMS = (
    Claim("impulse responses help on unseen microphones", *RESPONSES),
    Claim("impulse responses narrow the gap to seen ones", *RESPONSES, on="unseen - seen"),
    Claim("Freq-MixStyle helps on unseen microphones", *MIXED),
    Claim("Freq-MixStyle helps beside impulse responses", *MIXED, where=RESPONSES[0]),
    Claim("residual normalization helps on unseen microphones", *NORMALIZED),
    Claim("residual normalization helps beside impulse responses", *NORMALIZED, where=RESPONSES[0]),
)


def trials() -> Iterator[Trial]:
    """All eight combinations, 120 trials."""
    small = {"network.width": 8, "training.epochs": 20, "training.warmup": 4, "evaluation.last": 1}
    small |= {"evaluation.every": 20}
    for styles in ({}, FREQ_MIXSTYLE):
        for responses in ({}, IMPULSE_RESPONSES):
            yield from product(
                changed(ESC10_MICROPHONES, {**small, **styles, **responses}),
                seed=(0, 1, 2),
                split__fold=(1, 2, 3, 4, 5),
                network__normalization=("none", "residual"),
            )
