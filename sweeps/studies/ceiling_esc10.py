"""Encoders trained on AudioSet beside CP-ResNet, on ESC-10 through microphones never heard."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import ESC10_EVERY_MICROPHONE, ESC10_MN, ESC10_PASST
from sweeps.study import product

QUESTION = (
    "How far do small networks fall short of pretrained encoders, on seen and unseen devices?"
)
SOURCE = "Schmid et al. 2023 (EfficientAT), Koutini et al. 2022 (PaSST), fine-tuned as published"
FOLDS = (1, 2, 3, 4, 5)
WIDTHS = (16, 32)  # of CP-ResNet
# a new classifier alone learns fast, and from few epochs
FROZEN = {
    "transfer.frozen": True,
    "training.epochs": 30,
    "training.rate": 1e-3,
    "training.warmup": 0.0,
}
WHOLE = {"network.patchout_bands": 0, "network.patchout_frames": 0}  # what is frozen hears all

SMALL = {"network.kind": "cp_resnet", "network.width": 32}
CLAIMS = tuple(
    Claim(text, better, worse, on=split)
    for split in ("seen", "unseen")
    for text, better, worse in (
        (
            f"fine-tuned mn10 beats CP-ResNet, {split} microphones",
            {"network.kind": "mn", "transfer.frozen": False},
            SMALL,
        ),
        (
            f"fine-tuned PaSST beats fine-tuned mn10, {split} microphones",
            {"network.kind": "passt", "transfer.frozen": False},
            {"network.kind": "mn", "transfer.frozen": False},
        ),
        (
            f"fine-tuned mn10 beats frozen mn10, {split} microphones",
            {"network.kind": "mn", "transfer.frozen": False},
            {"network.kind": "mn", "transfer.frozen": True},
        ),
    )
)


def encoders() -> Iterator[Trial]:
    """Each encoder, tuned and frozen, tested through the microphones of esc10_microphones."""
    for recipe, whole in ((ESC10_MN, {}), (ESC10_PASST, WHOLE)):
        heard = recipe.model_copy(update={"microphones": ESC10_EVERY_MICROPHONE.microphones})
        yield heard
        yield changed(heard, {**FROZEN, **whole})


def trials() -> Iterator[Trial]:
    """Two widths of CP-ResNet, two encoders, tuned and frozen: five folds."""
    yield from product(ESC10_EVERY_MICROPHONE, network__width=WIDTHS, split__fold=FOLDS)
    for trial in encoders():
        yield from product(trial, split__fold=FOLDS)
