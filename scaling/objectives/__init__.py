"""Objectives: what training minimizes, one file each, by the `kind` of its settings. No torch.

A new objective is a file with one subclass of Objective, and its name here.
"""

from scaling.objectives.objective import Objective
from scaling.part import kinds

__all__ = ["OBJECTIVES", "Objective"]

OBJECTIVES = kinds(
    __name__,
    [
        "cross_entropy",
        "bottleneck",
        "consistency",
        "distillation",
        "prototypes",
        "neighbours",
    ],
    Objective,
)
