"""Pruning: which weights are cut, and when, one file for each way, by the `kind` of its settings.

A new way of pruning is a file with one subclass of Cutting, and its name here. No torch.
"""

from scaling.part import kinds
from scaling.pruning.pruning import Pruning

__all__ = ["PRUNINGS", "Pruning"]

_NAMES = [
    *("none", "static", "magnitude", "channels"),
    *("snip", "grasp", "synflow", "rigl", "rewinding"),
]
PRUNINGS = kinds(__name__, _NAMES, Pruning)
