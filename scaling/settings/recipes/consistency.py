"""Consistency learning as in Iqbal et al. 2021, on ESC-50 and on ESC-10."""

from scaling.networks.vgg9 import VGG9
from scaling.objectives.consistency import Consistency
from scaling.settings import Evaluation, Features, Sound, Split, Training, Trial

# Iqbal et al. 2021 (consistency): ESC-50 on its folds; windows of 1024 every 600 samples, 128
# bands, log; AdamW at 5e-4, weight decay .01, times 0.9 every second epoch, 72 epochs, batches of
# 120, which hold 40 clips where each comes in three views.
CONSISTENCY_ESC50 = Trial(
    seed=0,
    sound=Sound(
        dataset="esc50",
        rate=44_100,
        seconds=5.0,
        features=Features(kind="log_mel", window=1024, hop=600, mels=128),
    ),
    split=Split(protocol="folds", fold=1),
    network=VGG9(width=64),
    training=Training(
        epochs=72,
        batch=120,
        rate=5e-4,
        optimizer="adamw",
        weight_decay=0.01,
        decay=0.9,
        decay_every=2,
    ),
)

# The same on ten classes and two cores.
CONSISTENCY_ESC10 = Trial(
    seed=0,
    sound=Sound(
        dataset="esc10",
        rate=22_050,
        seconds=5.0,
        features=Features(kind="log_mel", window=512, hop=512, mels=64),
    ),
    split=Split(protocol="folds", fold=1),
    network=VGG9(width=8),
    training=Training(
        epochs=30, batch=48, rate=5e-4, optimizer="adamw", weight_decay=0.01, decay=0.9
    ),
    evaluation=Evaluation(every=3, training_clips=True),
)
VIEWS = 3  # of a clip in a batch: itself and two changed copies
CONSISTENT = Consistency(weight=5.0, ramp=10)
BATCHED = Consistency(weight=0.0)  # the same batches, nothing that binds them
