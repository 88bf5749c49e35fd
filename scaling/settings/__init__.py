"""Settings: a Trial and its parts, each a frozen, checked group of what can be varied.

Conventions: a default means "off" (or the plain choice), so that a new field never renames an old
trial; a check that needs two parts stands with Trial; recommended values live in recipes.
"""

from scaling.part import RECORDED, Part
from scaling.settings.model import Network, Objective, Pruning, Transfer
from scaling.settings.sound import Augment, Features, Microphones, Sound, Split
from scaling.settings.training import Evaluation, Training
from scaling.settings.trial import (
    REVISIONS,
    Revision,
    Trial,
    changed,
    closest,
    earlier_ids,
    explain,
    flat,
    hashed,
    leaves,
    nearest,
    shortened,
    unflat,
)

__all__ = [
    "RECORDED",
    "REVISIONS",
    "Augment",
    "Evaluation",
    "Features",
    "Microphones",
    "Network",
    "Objective",
    "Part",
    "Pruning",
    "Revision",
    "Sound",
    "Split",
    "Training",
    "Transfer",
    "Trial",
    "changed",
    "closest",
    "earlier_ids",
    "explain",
    "flat",
    "hashed",
    "leaves",
    "nearest",
    "shortened",
    "unflat",
]
