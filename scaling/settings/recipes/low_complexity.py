"""Low-complexity scene classification: CP-Mobile (DCASE 2023) and the baseline of DCASE 2024."""

from scaling.networks.cp_mobile import CPMobile
from scaling.networks.dcase_baseline import DCASEBaseline
from scaling.settings import Augment, Evaluation, Features, Sound, Split, Training, Trial, changed
from scaling.settings.recipes.devices import DEVICES_CP_MOBILE
from scaling.settings.recipes.microphones import TRAINING_MICROPHONES, UNSEEN_MICROPHONES

# CP-Mobile as submitted to DCASE 2023 (Schmid et al. 2023 and their public code), without its
# teachers: 32 kHz, pre-emphasis .97, windows of 3072 every 500 samples, FFT of 4096, 256 bands,
# log; Adam at 9e-4, weight decay 1e-4, 150 epochs of batches of 256, warm-up of 14, roll up to
# 4,000 samples, a mask of up to 48 bands, bands that begin 1 and end 1,000 Hz further in; Freq-
# MixStyle and impulse responses as above. TAU 2022's clips are the seconds of these recordings:
# patches of 1 s. Where the code keeps the rate from epoch 14 to 50 and then falls, ours falls from
# epoch 14 on, to the same .005; its bands are Kaldi's, its floor is 1e-5.
CP_MOBILE = changed(
    Trial(
        seed=0,
        sound=Sound(
            dataset="tau2020_mobile",
            rate=32_000,
            seconds=10.0,
            features=Features(
                kind="log_mel", window=3072, fft=4096, hop=500, mels=256, preemphasis=0.97
            ),
            patch=64,
        ),
        split=Split(protocol="folds", fold=1),
        network=CPMobile(width=32),
        training=Training(
            epochs=150, batch=256, rate=9e-4, weight_decay=1e-4, warmup=14, final=0.005
        ),
        augment=Augment(roll=0.125, band_mask=48, low_jitter=1.0, high_jitter=1000.0),
        evaluation=Evaluation(every=150, last=1),
    ),
    {**DEVICES_CP_MOBILE, "microphones.train": (*TRAINING_MICROPHONES, *UNSEEN_MICROPHONES)},
)

# The baseline of DCASE 2024 (Schmid et al. 2024 and its public code): the same front end without
# pre-emphasis, AdamW at 5e-3, 2,000 steps of warm-up (here 3.7 epochs, as many of all of TAU 2022),
# roll .1 s, Freq-MixStyle .4 with alpha .3, a mask of up to 48 bands, no impulse responses. Where
# the rate falls as a cosine there, ours falls in a straight line, by the step; its bands are HTK's.
DCASE_BASELINE = Trial(
    seed=0,
    sound=CP_MOBILE.sound.model_copy(
        update={
            "features": Features(kind="log_mel", window=3072, fft=4096, hop=500, mels=256),
            "patch": 65,
        }
    ),
    split=CP_MOBILE.split,
    network=DCASEBaseline(width=32),
    training=Training(
        epochs=150,
        batch=256,
        optimizer="adamw",
        rate=5e-3,
        weight_decay=1e-4,
        warmup=3.7,
        final=1e-3,
        stepping="step",
    ),
    augment=Augment(roll=0.1, freq_mixstyle=0.4, band_mask=48),
    evaluation=Evaluation(every=150, last=1),
)
