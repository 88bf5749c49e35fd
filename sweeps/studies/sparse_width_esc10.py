"""Width at equal numbers of weights, as in Figure 6: ESC-10 through microphones."""

from collections.abc import Iterator

from scaling.config import Trial, changed
from scaling.recipes import DAMPED, ESC10_MICROPHONES
from sweeps.study import product

QUESTION = "Does width help when no weight is added?"
SOURCE = "as Koutini et al. 2021, Figure 6, at CPU scale on ESC-10 through microphones"


def trials() -> Iterator[Trial]:
    """W = 8, and W = 16 and 32 cut to its weights, base and damped, each on three folds.

    By magnitude twice: with the paper's guard of 99 %, which at these widths leaves 7 weights of a
    classifier for ten classes (LOG.md, 2026-11-21), and with one of 90 %.
    """
    folds = {"split__fold": (1, 2, 3), "network__damping": (0.0, DAMPED)}
    yield from product(ESC10_MICROPHONES, **folds, network__width=(8,))
    cut = {"pruning.kind": "static", "pruning.target_width": 8}
    score = {"pruning.start": 5, "pruning.length": 10, "pruning.score": "kernel"}
    static = changed(ESC10_MICROPHONES, cut)
    magnitude = changed(static, {"pruning.kind": "magnitude", **score})
    for start in (static, magnitude, changed(magnitude, {"pruning.guard": 0.9})):
        yield from product(start, **folds, network__width=(16, 32))
