"""Settings: the parts of a Trial, each a frozen, checked group of what can be varied.

Conventions: those of scaling.config, from where they are imported: a default means "off" (or the
plain choice); a check that needs two parts stands with Trial.
"""

from scaling.settings.model import Network, Objective, Pruning, Transfer
from scaling.settings.part import RECORDED, Part
from scaling.settings.sound import Augment, Features, Microphones, Sound, Split
from scaling.settings.training import Evaluation, Training

__all__ = [
    "RECORDED",
    "Augment",
    "Evaluation",
    "Features",
    "Microphones",
    "Network",
    "Objective",
    "Part",
    "Pruning",
    "Sound",
    "Split",
    "Training",
    "Transfer",
]
