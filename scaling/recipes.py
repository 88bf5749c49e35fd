"""The published and the recommended settings, as Trials; every value with its source or its reason.

A recipe names the settings of one trial; a study varies them. Fields that are not named are off.
"""

from scaling.config import (
    Augment,
    Evaluation,
    Features,
    Microphones,
    Network,
    Sound,
    Split,
    Training,
    Trial,
)

# Koutini et al. 2021, appendix A: 22,050 Hz, window 2048, hop 512, perceptual weighting, 256 mel
# bands. The floor 80 dB below the clip's maximum is librosa's default, which the authors' public
# code uses.
PERCEPTUAL = Features(kind="perceptual", window=2048, hop=512, mels=256, range_db=80)
LOG_MEL = PERCEPTUAL.model_copy(update={"kind": "log_mel"})

# Frequency damping whose outermost taps keep 0.01 of their weight: the value of the file that the
# authors' workshop paper of 2020 added; their challenge model kept 0.1. The over-parameterization
# paper does not say.
DAMPED = 0.99

# Made to answer in minutes on two cores: one second of sound, a quarter of the paper's mel bands, a
# rate that small networks bear, scores every third epoch.
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
    training=Training(epochs=12, batch=16, rate=4e-3, warmup=2, final=0.01, stepping="step"),
    augment=Augment(roll=0.5, mixup=0.3),
    evaluation=Evaluation(every=3),
)

# Chosen on validation folds (split.validation_fold, three training folds, W = 32, the test fold
# never scored; LOG.md, 2026-11-21): 60 epochs scored 0.938 over three rotations where 30 scored
# 0.921, with 128 mel bands 0.904, damped 0.892, damped and perceptual 0.896; at 60 epochs mixup
# with alpha 1 scored 0.929, and batches of 8 fell behind in the first rotation. Alpha 0.3 is the
# paper's; the roll reaches any shift of a clip; the ramp and the straight decay are the paper's,
# taken by the step.
ESC10 = Trial(
    seed=0,
    sound=Sound(dataset="esc10", rate=22_050, seconds=5.0, features=LOG_MEL),
    split=Split(protocol="folds", fold=1),
    network=Network(kind="cp_resnet", width=32, depth=1, pointwise=1),
    training=Training(epochs=60, batch=16, rate=2e-3, warmup=10, final=0.01, stepping="step"),
    augment=Augment(roll=2.5, mixup=0.3),
)

# The same for recordings of one's own: one folder per class, folds made from them.
OWN = ESC10.model_copy(
    update={
        "sound": ESC10.sound.model_copy(update={"dataset": "folders"}),
        "split": Split(protocol="made_folds", fold=1, folds=5),
    }
)

# Koutini et al. 2021: perceptual features of 10 s, Adam at 1e-4, 250 epochs, 20 of them warm-up,
# then a straight line down to 1e-6, mixup alpha 0.3, trained on device a, no pair of city and scene
# on both sides. Not in the paper: batches of 10 and rolls of up to 50 frames (1.16 s) are those of
# the authors' public code; where the decay begins, and which pairs are held out, are our choice.
TAU2020 = Trial(
    seed=0,
    sound=Sound(dataset="tau2020_mobile", rate=22_050, seconds=10.0, features=PERCEPTUAL),
    split=Split(protocol="pairs", fold=0, train_devices=("a",)),
    network=Network(kind="cp_resnet", width=32, depth=1, pointwise=1),
    training=Training(epochs=250, batch=10, rate=1e-4, warmup=20, final=0.01),
    augment=Augment(roll=50 * 512 / 22_050, mixup=0.3),
    evaluation=Evaluation(every=10, last=10),
)

# MicIRP's microphones, apart: these four span weak to strong coloration (1.7, 2.6, 4.5 and 11.5
# dB, standard deviation of third-octave levels, 100 Hz to 8 kHz) and differ by at least 1.2 dB from
# each of the six that may be trained on; four of those are within 1.2 dB of each other.
UNSEEN_MICROPHONES = ("EMI_ribbon", "American_R331", "IR_OktavaMD57", "IR_Lomo52A5M")
TRAINING_MICROPHONES = (
    "Coles_4038",
    "GEC_2373",
    "RCA_44BX_1",
    "BnO_BM6",
    "EV_RE20_Flat",
    "Altec_639",
)

# The paper's questions on ten classes and two cores: trained as recorded, heard through microphones
# that no training clip went through, with dynamic-range compression behind them, as TAU's simulated
# devices. Frames are twice as far apart as the paper's, so that a width of 64 costs minutes; all
# 256 bands stay, so that a depth of 1 sees 65 % of them, as there. Half the epochs of ESC10, for
# time; all else is that recipe's. Nothing was chosen by a score.
ESC10_MICROPHONES = Trial(
    seed=0,
    sound=Sound(
        dataset="esc10",
        rate=22_050,
        seconds=5.0,
        features=LOG_MEL.model_copy(update={"hop": 1024}),
    ),
    split=Split(protocol="folds", fold=1),
    network=Network(kind="cp_resnet", width=16, depth=1, pointwise=1),
    training=Training(epochs=30, batch=16, rate=2e-3, warmup=5, final=0.01, stepping="step"),
    augment=Augment(roll=2.5, mixup=0.3),
    evaluation=Evaluation(every=30, last=10),
    microphones=Microphones(test=UNSEEN_MICROPHONES, ratio=3.0, threshold_db=-20.0),
)

RECIPES: dict[str, Trial] = {
    "quickstart": QUICKSTART,
    "esc10": ESC10,
    "own": OWN,
    "tau2020": TAU2020,
    "esc10_microphones": ESC10_MICROPHONES,
}
