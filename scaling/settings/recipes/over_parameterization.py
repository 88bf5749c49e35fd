"""CP-ResNet as in Koutini et al. 2021: on TAU 2020 Mobile, ESC-10, your own clips, quickstart."""

from scaling.networks.cp_resnet import CPResNet
from scaling.settings import Augment, Evaluation, Features, Sound, Split, Training, Trial

# Koutini et al. 2021, appendix A: 22,050 Hz, window 2048, hop 512, perceptual weighting, 256 mel
# bands.
PERCEPTUAL = Features(kind="perceptual", window=2048, hop=512, mels=256, range_db=80)
LOG_MEL = PERCEPTUAL.model_copy(update={"kind": "log_mel"})

# Frequency damping whose outermost taps keep 0.01 of their weight.
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
    network=CPResNet(width=8, depth=1, pointwise=1),
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
    network=CPResNet(width=32, depth=1, pointwise=1),
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
# on both sides.
TAU2020 = Trial(
    seed=0,
    sound=Sound(dataset="tau2020_mobile", rate=22_050, seconds=10.0, features=PERCEPTUAL),
    split=Split(protocol="pairs", fold=0, train_devices=("a",)),
    network=CPResNet(width=32, depth=1, pointwise=1),
    training=Training(epochs=250, batch=10, rate=1e-4, warmup=20, final=0.01),
    augment=Augment(roll=50 * 512 / 22_050, mixup=0.3),
    evaluation=Evaluation(every=10, last=10),
)
