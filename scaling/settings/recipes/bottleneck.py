"""The variational information bottleneck as in Hu et al. 2021, on ESC-50 and on ESC-10."""

from scaling.networks.vib_cnn import VIBCNN
from scaling.objectives.bottleneck import Bottleneck
from scaling.settings import Evaluation, Features, Sound, Split, Training, Trial

# Hu et al. 2021 (VIB): 44.1 kHz, 5 s, windows of 40 ms every 20 ms, 40 bands, log; the network of
# Table 2, its dense layer on the whole map; Adam at 1e-3, times 0.98 each epoch, batches of 8, 40
# epochs; 80/10/10 % of the clips to train, choose and test by.
VIB_ESC50 = Trial(
    seed=0,
    sound=Sound(
        dataset="esc50",
        rate=44_100,
        seconds=5.0,
        features=Features(kind="log_mel", window=1764, hop=882, mels=40),
    ),
    split=Split(protocol="made_folds", folds=10, fold=1, validation_fold=2),
    network=VIBCNN(width=32, flatten=True),
    training=Training(epochs=40, batch=8, rate=1e-3, decay=0.98),
)

# The same on ten classes and two cores.
VIB_ESC10 = Trial(
    seed=0,
    sound=Sound(
        dataset="esc10",
        rate=22_050,
        seconds=5.0,
        features=Features(kind="log_mel", window=882, hop=882, mels=40),
    ),
    split=Split(protocol="folds", fold=1, validation_fold=2),
    network=VIBCNN(width=8, flatten=True),
    training=Training(epochs=40, batch=8, rate=1e-3, decay=0.98),
    evaluation=Evaluation(every=40),
)

# The grid of the paper, and the objective in the middle of it.
LATENTS, BETAS = (20, 50, 100, 200), (2e-3, 5e-3, 2e-2, 5e-2)
BOTTLENECK = Bottleneck(latent=20, beta=5e-3)
