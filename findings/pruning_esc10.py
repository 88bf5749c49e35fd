"""Does any way of pruning beat the dense network of as many weights, at equal epochs? CP-ResNet of
width 16 cut to the weights of width 4, on five folds and three seeds.
"""

from collections.abc import Iterator
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_MICROPHONES
from sweeps.study import product

QUESTION = "Does any way of pruning beat the dense network of as many weights?"
SOURCE = "methods as in docs/pruning.md, at CPU scale on ESC-10 through unseen microphones"
SHORT = changed(
    ESC10_MICROPHONES,
    {
        "training.epochs": 20,
        "training.warmup": 4,
        "evaluation.last": 1,
        "evaluation.every": 20,
        "network.initialization": "he",
    },
)
DENSE: dict[str, Any] = {"pruning.kind": "none", "network.width": 4}
METHODS: dict[str, dict[str, Any]] = {
    "a fixed mask, largest layers first": {"kind": "static", "density": "largest"},
    "a fixed mask, ERK": {"kind": "static", "density": "erk"},
    "SynFlow": {"kind": "synflow"},
    "RigL": {"kind": "rigl", "density": "erk", "period": 20},
    "magnitude while training": {
        "kind": "magnitude",
        "schedule": "cubic",
        "start": 4,
        "length": 10,
    },
    "a lottery ticket": {"kind": "rewinding", "rounds": 2, "rewind": "weights", "rewind_to": 2},
}
CUT = {
    name: {f"pruning.{key}": value for key, value in method.items()}
    for name, method in METHODS.items()
}
CLAIMS = tuple(
    Claim(f"{name} beats the dense network", {**cut, "network.width": 16}, DENSE)
    for name, cut in CUT.items()
)


def trials() -> Iterator[Trial]:
    """Six ways of cutting and the dense network of equal size, 105 trials of 20 epochs in all."""
    for seed in (0, 1, 2):
        every = {"seed": (seed,), "split__fold": (1, 2, 3, 4, 5)}
        yield from product(SHORT, **every, network__width=(4,))
        for cut in CUT.values():
            target = {"network.width": 16, "pruning.target_width": 4, **cut}
            yield from product(changed(SHORT, target), **every)
