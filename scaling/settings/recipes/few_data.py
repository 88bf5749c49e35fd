"""Few training clips per class as in Pons et al. 2019, on UrbanSound8K and on ESC-10."""

from scaling.networks.vgg5 import VGG5
from scaling.objectives.prototypes import Prototypes
from scaling.settings import Evaluation, Features, Sound, Split, Training, Trial

# Pons et al. 2019 (few data), from their public code: 44.1 kHz, windows of 1024 one after another,
# 128 bands, logarithm with a floor far below silence, patches of 128 frames (3 s), of which a test
# clip has one at every frame; SGD at 0.1, gradient clipped to 5, L2 0.001, 200 epochs without
# validation. Short clips are repeated. A clip has one random patch in each epoch.
FEW_DATA = Trial(
    seed=0,
    sound=Sound(
        dataset="urbansound8k",
        rate=44_100,
        seconds=4.0,
        features=Features(kind="log_mel", window=1024, hop=1024, mels=128, floor=2.22e-16),
        fill="tile",
        patch=128,
    ),
    split=Split(protocol="folds", fold=1),
    network=VGG5(width=32),
    training=Training(
        epochs=200, batch=256, partial=True, optimizer="sgd", rate=0.1, penalty=1e-3, clip=5.0
    ),
    evaluation=Evaluation(every=200, patch_hop=1),
)

# The same on ESC-10 and two cores.
FEW_DATA_ESC10 = Trial(
    seed=0,
    sound=Sound(
        dataset="esc10",
        rate=22_050,
        seconds=5.0,
        features=Features(kind="log_mel", window=1024, hop=512, mels=128, floor=2.22e-16),
        patch=128,
    ),
    split=Split(protocol="folds", fold=1),
    network=VGG5(width=16),
    training=FEW_DATA.training,
    evaluation=Evaluation(every=200, patch_hop=29),
)

# Their prototypes: ten dimensions, at most five clips of each class, fixed; training ends when more
# than 200 epochs in all were no better on training clips.
PROTOTYPES = Prototypes(embedding=10, support=5)
