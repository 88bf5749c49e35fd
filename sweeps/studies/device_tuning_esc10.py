"""Device-specific fine-tuning on ESC-10: a general model tuned for each device that it heard.

A tuned model is scored as seen on its own device alone, so the mean over the models of one fold is
the accuracy where each seen device is answered by its own. The general model answers for the rest.
"""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.microphones import RECORDED_AS
from scaling.settings.recipes import (
    ESC10_CP_RESNET_DEVICES,
    EVERY_MICROPHONE,
    TRAINING_MICROPHONES,
    tuned,
)

QUESTION = "Does fine-tuning a general model for one device improve it on that device?"
SOURCE = "ours; tuning as in DCASE 2025: 50 epochs at 5e-4, without Freq-MixStyle"
HEARD = TRAINING_MICROPHONES[3:]
DEVICES = (RECORDED_AS, *HEARD)
OWN = {"transfer.last_layer": "kept", "transfer.device": DEVICES}
ALL = {"transfer.last_layer": "kept", "transfer.device": ""}
GENERAL = {"transfer.last_layer": "new", "transfer.device": ""}
CLAIMS = (
    Claim("tuned models beat the general one on their devices", OWN, GENERAL, on="seen"),
    Claim("tuning for one device beats tuning for all", OWN, ALL, on="seen"),
    Claim("tuning for one device costs accuracy on unseen ones", ALL, OWN),
)


def general(fold: int) -> Trial:
    """CP-ResNet as in esc10_cp_resnet_devices, through three microphones and heard through nine."""
    unheard = tuple(m for m in EVERY_MICROPHONE if m not in HEARD)
    heard = {"microphones.train": HEARD, "microphones.test": unheard, "evaluation.last": 1}
    return changed(ESC10_CP_RESNET_DEVICES, {**heard, "split.fold": fold})


def trials() -> Iterator[Trial]:
    """Five folds, each with a general model, tuned for all of its devices and for each of four."""
    for fold in (1, 2, 3, 4, 5):
        yield general(fold)
        yield from (tuned(general(fold), device) for device in ("", *DEVICES))
