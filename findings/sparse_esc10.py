"""Is a wide network with a fixed mask better than one that is pruned while it trains, from either
initialization? CP-ResNet of width 16 cut to the weights of width 4, on five folds and three seeds.
"""

from collections.abc import Iterator
from typing import Any

from pruning_esc10 import CUT, DENSE, SHORT

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from sweeps.claimed import at_each
from sweeps.study import product

QUESTION = "Does a fixed mask beat pruning while training, from either initialization?"
SOURCE = "Koutini et al. 2021, section 5.2 and Figure 6, at CPU scale on ESC-10"
FIXED: dict[str, Any] = {**CUT["a fixed mask, largest layers first"], "network.width": 16}
PRUNED: dict[str, Any] = {**CUT["magnitude while training"], "network.width": 16}
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
    for seed in (0, 1, 2):
        every = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        for start in STARTS.values():
            base = changed(SHORT, {INITIALIZATION: start})
            yield from product(base, **every, network__width=(4,))
            for cut in (FIXED, PRUNED):
                yield from product(changed(base, {**cut, "pruning.target_width": 4}), **every)
