"""Settings: a Trial and its parts, each a frozen, checked group of what can be varied. No torch.

Conventions: a default means "off" (or the plain choice), so that a new field never renames an old
trial; a check that needs two parts stands with Trial; networks, objectives and ways of pruning
stand in packages of their own, and recommended values in recipes.
"""

from scaling.settings.augment import Augment
from scaling.settings.changes import as_recorded, changed
from scaling.settings.checked import explain
from scaling.settings.features import Features
from scaling.settings.fields import REQUIRED, Setting, admits, leaves, settings
from scaling.settings.microphones import Microphones
from scaling.settings.rows import flat, plain, unflat
from scaling.settings.sound import Sound
from scaling.settings.split import Split
from scaling.settings.training import Evaluation, Training
from scaling.settings.transfer import Transfer
from scaling.settings.trial import REVISIONS, Revision, Trial, earlier_ids, hashed

__all__ = [
    "REQUIRED",
    "REVISIONS",
    "Augment",
    "Evaluation",
    "Features",
    "Microphones",
    "Revision",
    "Setting",
    "Sound",
    "Split",
    "Training",
    "Transfer",
    "Trial",
    "admits",
    "as_recorded",
    "changed",
    "earlier_ids",
    "explain",
    "flat",
    "hashed",
    "leaves",
    "plain",
    "settings",
    "unflat",
]
