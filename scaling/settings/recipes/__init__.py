"""The published and the recommended settings, as Trials; every value with its source or its reason.

A recipe names the settings of one trial; a study varies them. Fields that are not named are off.
What a paper does not say, or has otherwise, is in scaling.settings.departures with the reason.
One file for each paper or question; a new recipe stands in one of them and in a line here.
"""

from scaling.settings import Trial
from scaling.settings.recipes.bottleneck import BETAS, BOTTLENECK, LATENTS, VIB_ESC10, VIB_ESC50
from scaling.settings.recipes.consistency import (
    BATCHED,
    CONSISTENCY_ESC10,
    CONSISTENCY_ESC50,
    CONSISTENT,
    VIEWS,
)
from scaling.settings.recipes.devices import (
    DEVICE_TUNING,
    DEVICES_CP_MOBILE,
    DEVICES_CP_RESNET,
    DEVICES_TF_SEPNET,
    ESC10_CP_MOBILE_DEVICES,
    ESC10_CP_RESNET_DEVICES,
    ESC10_DEVICE_TUNED,
    FREQ_MIXSTYLE,
    IMPULSE_RESPONSES,
    TAU2020_DEVICES,
    tuned,
)
from scaling.settings.recipes.encoders import ESC10_MN, ESC10_PASST, PASST_FEATURES
from scaling.settings.recipes.few_data import FEW_DATA, FEW_DATA_ESC10, PROTOTYPES
from scaling.settings.recipes.low_complexity import CP_MOBILE, DCASE_BASELINE
from scaling.settings.recipes.microphones import (
    ESC10_EVERY_MICROPHONE,
    ESC10_MICROPHONES,
    ESC10_UNHEARD_MICROPHONES,
    EVERY_MICROPHONE,
    TRAINING_MICROPHONES,
    UNSEEN_MICROPHONES,
)
from scaling.settings.recipes.over_parameterization import (
    DAMPED,
    ESC10,
    LOG_MEL,
    OWN,
    PERCEPTUAL,
    QUICKSTART,
    TAU2020,
)
from scaling.spelling import nearest

__all__ = [
    "ABOUT",
    "BATCHED",
    "BETAS",
    "BOTTLENECK",
    "CONSISTENCY_ESC10",
    "CONSISTENCY_ESC50",
    "CONSISTENT",
    "CP_MOBILE",
    "DAMPED",
    "DCASE_BASELINE",
    "DEVICES_CP_MOBILE",
    "DEVICES_CP_RESNET",
    "DEVICES_TF_SEPNET",
    "DEVICE_TUNING",
    "ESC10",
    "ESC10_CP_MOBILE_DEVICES",
    "ESC10_CP_RESNET_DEVICES",
    "ESC10_DEVICE_TUNED",
    "ESC10_EVERY_MICROPHONE",
    "ESC10_MICROPHONES",
    "ESC10_MN",
    "ESC10_PASST",
    "ESC10_UNHEARD_MICROPHONES",
    "EVERY_MICROPHONE",
    "FEW_DATA",
    "FEW_DATA_ESC10",
    "FREQ_MIXSTYLE",
    "IMPULSE_RESPONSES",
    "LATENTS",
    "LOG_MEL",
    "OWN",
    "PASST_FEATURES",
    "PERCEPTUAL",
    "PROTOTYPES",
    "QUICKSTART",
    "RECIPES",
    "TAU2020",
    "TAU2020_DEVICES",
    "TRAINING_MICROPHONES",
    "UNSEEN_MICROPHONES",
    "VIB_ESC10",
    "VIB_ESC50",
    "VIEWS",
    "find",
    "tuned",
]

# Each with the sentence that `overhear recipes` prints.
_LISTED: dict[str, tuple[Trial, str]] = {
    "quickstart": (
        QUICKSTART,
        "Ten synthetic scenes that need no download: an answer in minutes on two cores.",
    ),
    "esc10": (ESC10, "CP-ResNet on ESC-10, tuned on its validation folds."),
    "own": (
        OWN,
        "The settings of esc10 for recordings of your own: one folder per class, folds made.",
    ),
    "tau2020": (
        TAU2020,
        "TAU Urban Acoustic Scenes 2020 Mobile as in Koutini et al. 2021 (CP-ResNet).",
    ),
    "esc10_microphones": (
        ESC10_MICROPHONES,
        "ESC-10, tested through microphones that no training clip went through.",
    ),
    "esc10_cp_resnet_devices": (
        ESC10_CP_RESNET_DEVICES,
        "The same, generalized as the CP-ResNet that taught CP-Mobile.",
    ),
    "esc10_cp_mobile_devices": (
        ESC10_CP_MOBILE_DEVICES,
        "The same, generalized as CP-Mobile (Schmid et al. 2023).",
    ),
    "esc10_device_tuned": (
        ESC10_DEVICE_TUNED,
        "esc10_cp_resnet_devices, to be run first, tuned for one microphone.",
    ),
    "tau2020_devices": (
        TAU2020_DEVICES,
        "The settings of tau2020 with Freq-MixStyle and impulse responses.",
    ),
    "cp_mobile": (
        CP_MOBILE,
        "CP-Mobile as in Schmid et al. 2023, on seconds of TAU 2020 Mobile, no teachers.",
    ),
    "dcase_baseline": (
        DCASE_BASELINE,
        "The baseline of DCASE 2024, task 1, on seconds of TAU 2020 Mobile.",
    ),
    "vib_esc50": (VIB_ESC50, "ESC-50 as in Hu et al. 2021 (variational information bottleneck)."),
    "vib_esc10": (
        VIB_ESC10,
        "The network of vib_esc50 at a quarter of its width on ESC-10, for two cores.",
    ),
    "consistency_esc50": (
        CONSISTENCY_ESC50,
        "ESC-50 as in Iqbal et al. 2021 (consistency learning).",
    ),
    "consistency_esc10": (
        CONSISTENCY_ESC10,
        "The network of consistency_esc50 at an eighth of its width on ESC-10.",
    ),
    "few_data": (FEW_DATA, "UrbanSound8K as in Pons et al. 2019 (few training clips per class)."),
    "few_data_esc10": (
        FEW_DATA_ESC10,
        "The network of few_data at half its width on ESC-10, for two cores.",
    ),
    "esc10_mn": (ESC10_MN, "EfficientAT's mn10, trained on AudioSet, fine-tuned on ESC-10."),
    "esc10_passt": (ESC10_PASST, "PaSST, trained on AudioSet, fine-tuned on ESC-10."),
}
RECIPES: dict[str, Trial] = {name: trial for name, (trial, _) in _LISTED.items()}
ABOUT: dict[str, str] = {name: about for name, (_, about) in _LISTED.items()}


def find(name: str, stated: str) -> Trial:
    """A recipe by its name, `stated` so by a person. Raises ValueError for an unknown one."""
    if name not in RECIPES:
        raise ValueError(f"{stated}: no such recipe{nearest(name, RECIPES, 'overhear recipes')}")
    return RECIPES[name]
