"""The published and the recommended settings, as Trials; every value with its source or its reason.

A recipe names the settings of one trial; a study varies them. Fields that are not named are off.
"""

from scaling.config import (
    Augment,
    Features,
    Network,
    Sound,
    Split,
    Training,
    Trial,
)

# Koutini et al. 2021, appendix A: 22,050 Hz, window 2048, hop 512, perceptual weighting, 256 mel
# bands.
# The floor 80 dB below the clip's maximum is librosa's default, which the authors' public code
# uses.
PERCEPTUAL = Features(kind="perceptual", window=2048, hop=512, mels=256, range_db=80)
LOG_MEL = PERCEPTUAL.model_copy(update={"kind": "log_mel"})

# Frequency damping whose outermost taps keep 0.01 of their weight: the value of the file that the
# authors' workshop
# paper of 2020 added; their challenge model kept 0.1. The over-parameterization paper does not say.
DAMPED = 0.99

QUICKSTART = Trial(
    seed=0,
    sound=Sound(
        dataset="synthetic",
        rate=16_000,
        seconds=1.0,
        features=Features(kind="log_mel", window=512, hop=256, mels=64, range_db=80),
    ),
    split=Split(protocol="folds", fold=1, train_devices=("a",)),
    network=Network(kind="cp_resnet", width=8, depth=1, pointwise=1),
    training=Training(epochs=10, batch=16, rate=4e-3, warmup=2, final=0.01, stepping="step"),
    augment=Augment(roll=0.5, mixup=0.3),
)

ESC10 = Trial(
    seed=0,
    sound=Sound(dataset="esc10", rate=22_050, seconds=5.0, features=LOG_MEL),
    split=Split(protocol="folds", fold=1),
    network=Network(kind="cp_resnet", width=32, depth=1, pointwise=1),
    training=Training(epochs=30, batch=16, rate=2e-3, warmup=6, final=0.01, stepping="step"),
    augment=Augment(roll=2.5, mixup=0.3),
)

# The same for recordings of one's own: one folder per class, folds made from them.
OWN = ESC10.model_copy(
    update={
        "sound": ESC10.sound.model_copy(update={"dataset": "folders"}),
        "split": Split(protocol="made_folds", fold=1, folds=5),
    }
)

RECIPES: dict[str, Trial] = {
    "quickstart": QUICKSTART,
    "esc10": ESC10,
    "own": OWN,
}
