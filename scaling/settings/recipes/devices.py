"""What generalizes to devices as published, and tuning a general model for one of them."""

from scaling.settings import Trial, changed
from scaling.settings.recipes.microphones import (
    ESC10_MICROPHONES,
    TRAINING_MICROPHONES,
    UNSEEN_MICROPHONES,
)
from scaling.settings.recipes.over_parameterization import TAU2020

# What generalizes to devices, as published (facts: unseen devices): Freq-MixStyle and a share of
# clips through impulse responses, for the CP-ResNet that teaches and for CP-Mobile. TF-SepNet has
# the first, with one weight for each batch.
IMPULSE_RESPONSES = {"microphones.train": TRAINING_MICROPHONES, "microphones.share": 0.4}
FREQ_MIXSTYLE = {"augment.freq_mixstyle": 0.8, "augment.freq_mixstyle_alpha": 0.4}
DEVICES_CP_RESNET = {**IMPULSE_RESPONSES, **FREQ_MIXSTYLE}
DEVICES_CP_MOBILE = {
    **IMPULSE_RESPONSES,
    "microphones.share": 0.6,
    "augment.freq_mixstyle": 0.4,
    "augment.freq_mixstyle_alpha": 0.3,
}
DEVICES_TF_SEPNET = {**DEVICES_CP_RESNET, "augment.freq_mixstyle_weights": "batch"}

ESC10_CP_RESNET_DEVICES = changed(ESC10_MICROPHONES, DEVICES_CP_RESNET)
ESC10_CP_MOBILE_DEVICES = changed(ESC10_MICROPHONES, DEVICES_CP_MOBILE)
# On TAU devices are unseen as recorded, so every response may train.
TAU2020_DEVICES = changed(
    TAU2020,
    {
        **DEVICES_CP_RESNET,
        "microphones.train": (*TRAINING_MICROPHONES, *UNSEEN_MICROPHONES),
    },
)

# Fine-tuning a general model for one device that it heard (DCASE 2025; facts: unseen devices): 50
# epochs at 5e-4, without Freq-MixStyle, all of its weights, the last layer too. That the rate is
# not warmed up, and falls as in the general model's training, is ours.
DEVICE_TUNING = {
    "transfer.last_layer": "kept",
    "training.epochs": 50,
    "training.rate": 5e-4,
    "training.warmup": 0.0,
    "augment.freq_mixstyle": 0.0,
    "augment.freq_mixstyle_alpha": 0.3,
}


def tuned(general: Trial, device: str) -> Trial:
    """The trial that takes a general model over and tunes it for one device that it heard; for all
    of them, for as many epochs, where none is named.
    """
    taken = {"transfer.trial": general.id, "transfer.device": device}
    return changed(general, {**DEVICE_TUNING, **taken})


ESC10_DEVICE_TUNED = tuned(ESC10_CP_RESNET_DEVICES, "Altec_639")
