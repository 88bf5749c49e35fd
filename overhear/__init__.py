"""Overhear as a library and as one command: joins what the three packages below offer.

`import overhear` gives the functions listed here (overhear.library); the command is
overhear.command.
"""

from overhear.library import (
    choose,
    claims,
    compact,
    effective_receptive_field,
    frontend,
    load_model,
    load_results,
    predict,
    prune,
    scores,
    train,
)

__all__ = [
    "choose",
    "claims",
    "compact",
    "effective_receptive_field",
    "frontend",
    "load_model",
    "load_results",
    "predict",
    "prune",
    "scores",
    "train",
]
