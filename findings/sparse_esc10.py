"""Is a wide network with a fixed mask better than one that is pruned while it trains, from either
initialization? CP-ResNet of width 16 cut to the weights of width 4, on five folds and three seeds.
"""

from collections.abc import Iterator
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_MICROPHONES
from sweeps.claimed import at_each
from sweeps.study import product

QUESTION = "Does a fixed mask beat pruning while training, from either initialization?"
SOURCE = "Koutini et al. 2021, section 5.2 and Figure 6, at CPU scale on ESC-10"
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
INITIALIZATION = "network.initialization"
STARTS = {"He's initialization": "he", "initialization of the paper": "fixup"}
CLAIMS = tuple(
    at_each(
        (
            Claim("a fixed mask beats pruning while training", FIXED, PRUNED),
            Claim("a fixed mask beats the dense network", FIXED, DENSE),
        ),
        INITIALIZATION,
        STARTS,
    )
)


def trials() -> Iterator[Trial]:
    """A fixed mask, magnitude pruning and the dense network from two initializations, 90 trials."""
    small: dict[str, Any] = {"training.epochs": 20, "training.warmup": 4, "evaluation.last": 1}
    small |= {"evaluation.every": 20}
    for seed in (0, 1, 2):
        every = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        for start in STARTS.values():
            base = changed(ESC10_MICROPHONES, {**small, INITIALIZATION: start})
            yield from product(base, **every, network__width=(4,))
            for cut in (FIXED, PRUNED):
                yield from product(changed(base, {**cut, "pruning.target_width": 4}), **every)
