"""Do width and frequency damping help a small network on microphones that it never heard? None is
trained on, all twelve are heard, on five folds and three seeds.
"""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, ESC10_EVERY_MICROPHONE
from sweeps.claimed import at_each
from sweeps.study import product

QUESTION = "Do width and damping help on unseen microphones?"
SOURCE = "the questions of Koutini et al. 2021, Figure 3, at CPU scale on ESC-10"
SHORT = changed(
    ESC10_EVERY_MICROPHONE, {"training.epochs": 20, "training.warmup": 4, "evaluation.every": 20}
)
WIDTHS = (4, 8, 16, 32)
KIND = "sound.features.kind"
DAMPING = Claim("damping helps", {"network.damping": DAMPED}, {"network.damping": 0.0})
BASE = {"network.damping": 0.0, KIND: "log_mel"}
CLAIMS = (
    Claim("W = 32 over 4", {"network.width": 32}, {"network.width": 4}, where=BASE),
    Claim(
        "W = 32 over 4, unseen more than seen",
        {"network.width": 32},
        {"network.width": 4},
        on="unseen - seen",
        where=BASE,
    ),
    Claim("W = 32 over 8", {"network.width": 32}, {"network.width": 8}, where=BASE),
    *at_each(
        at_each([DAMPING], KIND, {"log-mel": "log_mel"}), "network.width", (4, 8, 16), "W = {}"
    ),
    *at_each(at_each([DAMPING], KIND, ("perceptual",)), "network.width", (4, 8), "W = {}"),
)


def trials() -> Iterator[Trial]:
    """Log-mel: base at four widths, damped at three; perceptual: both at two; 165 trials."""
    for seed in (0, 1, 2):
        once = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        for damping, widths in ((0.0, WIDTHS), (DAMPED, WIDTHS[:3])):
            yield from product(SHORT, **once, network__damping=(damping,), network__width=widths)
        heard = changed(SHORT, {KIND: "perceptual"})
        yield from product(heard, **once, network__damping=(0.0, DAMPED), network__width=WIDTHS[:2])
