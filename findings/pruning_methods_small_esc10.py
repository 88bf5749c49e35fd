"""The ways of cutting that pruning_esc10 leaves out, under its recipe: three layer densities, two
scores of the untrained network, and pruning by magnitude with a teacher. One teacher per fold.
"""

from collections.abc import Iterator
from typing import Any

from pruning_esc10 import CUT, DENSE, SHORT

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from sweeps.study import product

QUESTION = "Does any other way of pruning beat the dense network of as many weights?"
SOURCE = "methods as in docs/pruning.md, at CPU scale on ESC-10 through unseen microphones"
METHODS: dict[str, dict[str, Any]] = {
    "a fixed mask, uniform": {"kind": "static", "density": "uniform"},
    "a fixed mask, ER": {"kind": "static", "density": "er"},
    "a fixed mask, densities by magnitude": {"kind": "static", "density": "magnitude"},
    "SNIP": {"kind": "snip"},
    "GraSP": {"kind": "grasp"},
}
CUTS = {
    name: {f"pruning.{key}": value for key, value in method.items()}
    for name, method in METHODS.items()
}
WIDE: dict[str, Any] = {"network.width": 16, "pruning.target_width": 4}
LABELS = {"objective.kind": "cross_entropy"}
TAUGHT = {"objective.kind": "distillation"}
PLAIN: dict[str, Any] = {**DENSE, "pruning.target_width": 0}
PROGRESSIVE: dict[str, Any] = {**CUT["magnitude while training"], **WIDE, **TAUGHT}
CLAIMS = (
    *(
        Claim(f"{name} beats the dense network", {**cut, **WIDE, **LABELS}, {**PLAIN, **LABELS})
        for name, cut in CUTS.items()
    ),
    Claim("pruning with a teacher beats the dense network", PROGRESSIVE, {**PLAIN, **LABELS}),
    Claim("pruning with a teacher beats the taught dense network", PROGRESSIVE, PLAIN | TAUGHT),
)


def trials() -> Iterator[Trial]:
    """Six ways of cutting, the dense network of equal size with and without a teacher, and five
    teachers; 125 trials of 20 epochs. Those 15 without a teacher are trials of pruning_esc10, too.
    """
    folds = (1, 2, 3, 4, 5)
    teachers = {fold: changed(SHORT, {"network.width": 16, "split.fold": fold}) for fold in folds}
    yield from teachers.values()
    for seed in (0, 1, 2):
        every = {"seed": (seed,), "split__fold": folds}
        yield from product(SHORT, **every, network__width=(4,))
        for cut in CUTS.values():
            yield from product(changed(SHORT, {**cut, **WIDE}), **every)
        for fold, teacher in teachers.items():
            by = {**TAUGHT, "objective.teachers": teacher.id, "split.fold": fold, "seed": seed}
            yield changed(SHORT, {**PROGRESSIVE, **by})
            yield changed(SHORT, {**by, "network.width": 4})
