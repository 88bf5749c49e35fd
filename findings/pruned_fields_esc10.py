"""Does pruning move the effective receptive field? Over the recordings as they are, of networks of
pruning_esc10 that did not collapse, on five folds and three seeds.
"""

from collections.abc import Iterator
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_MICROPHONES
from sweeps.study import product

QUESTION = "Does pruning move the effective receptive field?"
SOURCE = "the question of Koutini et al. 2021, Figures 13 to 16, at CPU scale on ESC-10"
DENSE: dict[str, Any] = {"pruning.kind": "none", "network.width": 4}
FIXED: dict[str, Any] = {
    "pruning.kind": "static",
    "pruning.density": "largest",
    "network.width": 16,
}
PRUNED: dict[str, Any] = {
    "pruning.kind": "magnitude",
    "pruning.schedule": "cubic",
    "pruning.start": 4,
    "pruning.length": 10,
    "network.width": 16,
}
CLAIMS = (
    Claim("pruning while training narrows it", FIXED, PRUNED, "seen", "sigma_f"),
    Claim("a fixed mask widens it", FIXED, DENSE, "seen", "sigma_f"),
    Claim("pruning while training focuses it", FIXED, PRUNED, "seen", "area50"),
)


def trials() -> Iterator[Trial]:
    """A fixed mask, magnitude pruning and the dense network: 45 trials, all of pruning_esc10."""
    small: dict[str, Any] = {"training.epochs": 20, "training.warmup": 4, "evaluation.last": 1}
    small |= {"evaluation.every": 20, "network.initialization": "he"}
    base = changed(ESC10_MICROPHONES, small)
    for seed in (0, 1, 2):
        every = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        yield from product(base, **every, network__width=(4,))
        for cut in (FIXED, PRUNED):
            yield from product(changed(base, {**cut, "pruning.target_width": 4}), **every)
