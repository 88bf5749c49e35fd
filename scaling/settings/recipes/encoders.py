"""Encoders pretrained on AudioSet, fine-tuned on ESC-10: mn10 (EfficientAT) and PaSST."""

from scaling.networks.mn import MN
from scaling.networks.passt import PaSST
from scaling.settings import (
    Augment,
    Evaluation,
    Features,
    Sound,
    Split,
    Training,
    Transfer,
    Trial,
)

# Fine-tuned encoders, the ceiling that small networks are held against, on ESC-10. Schmid et al.
# 2023 (EfficientAT, ex_esc50.py): 32 kHz, windows of 800 every 320 samples in an FFT of 1024, 128
# bands to 15 kHz, pre-emphasis .97; Adam at 6e-5, 80 epochs, warm-up of 10, then down to .01 of it
# (there until epoch 75), mixup .3, bands that begin up to 10 Hz and end 1,000 Hz further in. There
# batches are of 128, clips of two are mixed as waves too, and their level varies: not here.
PASST_FEATURES = Features(
    kind="passt", window=800, fft=1024, hop=320, mels=128, high=15_000.0, preemphasis=0.97
)
ESC10_MN = Trial(
    seed=0,
    sound=Sound(dataset="esc10", rate=32_000, seconds=5.0, features=PASST_FEATURES),
    split=Split(protocol="folds", fold=1),
    network=MN(width=10),
    training=Training(epochs=80, batch=32, rate=6e-5, warmup=10, final=0.01),
    augment=Augment(roll=2.5, mixup=0.3, low_jitter=10.0, high_jitter=1000.0),
    evaluation=Evaluation(every=10),
    transfer=Transfer(weights="mn10_as_mAP_471.pt"),
)
# Koutini et al. 2022 (PaSST, ex_esc50.py): AdamW at 1e-5, weight decay 1e-4, batches of 12, ten
# epochs, warm-up of 5, mixup .3, three rows and ten columns of patches left out, masks of up to 48
# bands. There the rate stays after warm-up, and weights are averaged over epochs: not here.
ESC10_PASST = ESC10_MN.model_copy(
    update={
        "network": PaSST(width=768, patchout_bands=3, patchout_frames=10),
        "training": Training(
            epochs=10, batch=12, rate=1e-5, optimizer="adamw", weight_decay=1e-4, warmup=5
        ),
        "augment": ESC10_MN.augment.model_copy(update={"band_mask": 48}),
        "evaluation": Evaluation(every=10),
        "transfer": Transfer(weights="passt-s-f128-p16-s10-ap.476-swa.pt"),
    }
)
