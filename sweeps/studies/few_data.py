"""Accuracy by training clips per class, without validation: UrbanSound8K and TUT Scenes 2017."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import FEW_DATA, PROTOTYPES
from sweeps.claimed import at_each
from sweeps.study import product, repeats

QUESTION = "How few training clips are enough, and which method needs the fewest?"
SOURCE = "Pons et al. 2019 (ICASSP, arXiv 1810.10274): regularized, prototypical, transfer"
# clips of each class, and how often each number is drawn anew
REPEATS = {1: 20, 2: 20, 5: 10, 10: 10, 20: 5, 50: 5, 100: 5}
REGULARIZED = {"sb_cnn": 24, "vgg5": 32, "timbre": 1}  # the published widths
PUBLIC = "vggish-10086976.pth"
PATCHES = {"urbansound8k": 2, "tut2017": 8}  # of 3 s in a clip, one second apart
QUERIES = 5  # clips of each class in a step of the prototypes

# VGGish's own front end and patches of 0.96 s, one after the other.
PRETRAINED = {
    "network.kind": "vggish",
    "network.width": 64,
    "transfer.weights": PUBLIC,
    "transfer.rate": 1e-4,
    "sound.rate": 16_000,
    "sound.features.kind": "vggish",
    "sound.features.window": 400,
    "sound.features.hop": 160,
    "sound.features.mels": 64,
    "sound.features.low": 125.0,
    "sound.features.high": 7500.0,
    "sound.features.floor": 0.0,
    "sound.patch": 96,
    "evaluation.patch_hop": 96,
}
UNPENALIZED = {"training.penalty": 0.0, "training.clip": 0.0}
NEIGHBOURS = {"objective.kind": "neighbours", "training.epochs": 1, **UNPENALIZED}
FEW = (1, 2)  # clips of each class: where the families differ most
SCRATCH = {"network.kind": "vgg5", "objective.kind": "prototypes", "transfer.rate": 1.0}
REGULARIZED_VGG = {**SCRATCH, "objective.kind": "cross_entropy"}


def claims(transferred: Mapping[str, Any]) -> Iterator[Claim]:
    """The paper's order at one or two clips: transfer, then prototypes, then regularized networks,
    the first of which is told by `transferred`.
    """
    for text, better, worse in (
        ("transfer helps prototypes", {**SCRATCH, **transferred}, SCRATCH),
        ("prototypes beat a regularized network", SCRATCH, REGULARIZED_VGG),
    ):
        yield Claim(
            f"{text} at one or two clips a class",
            better,
            worse,
            on="test",
            where={"split.clips_per_class": FEW},
            source="Pons et al. 2019, conclusions, without a number",
        )


DATASETS = ("urbansound8k", "tut2017")
VGGISH = {"network.kind": "vggish", "transfer.rate": 1e-4}
CLAIMS = tuple(at_each(claims(VGGISH), "sound.dataset", DATASETS))


def regularized(trial: Trial, widths: Mapping[str, int] = REGULARIZED) -> Iterator[Trial]:
    """The three networks that are trained with a penalty."""
    for kind, width in widths.items():
        yield changed(trial, {"network.kind": kind, "network.width": width})


def prototypical(trial: Trial, classes: int, passes: int, patience: int) -> Trial:
    """Prototypes on a network, trained until training clips are fit and no better any more."""
    settings = {
        "training.penalty": 0.0,
        "training.batch": QUERIES * classes,
        "training.passes": passes,
        "training.patience": patience,
        "training.patience_counts": "all",
        "evaluation.patch_votes": "logarithms",
    }
    return changed(trial.model_copy(update={"objective": PROTOTYPES}), settings)


def neighbours(trial: Trial) -> Iterator[Trial]:
    """Nearest neighbours on MFCC of whole clips, and, of a trial that takes weights over, on what
    its network makes of patches.
    """
    plain = {"sound.patch": 0, "evaluation.patch_hop": 0}
    yield changed(trial, {**NEIGHBOURS, **plain, "network.kind": "mfcc", "network.width": 1})


def datasets() -> Iterator[tuple[Trial, int]]:
    """UrbanSound8K, fold by fold as the reference code has it: the fold behind the test fold is set
    aside, though nothing is chosen by it; and TUT 2017, development against evaluation. With the
    number of their classes.
    """
    folds = range(1, 11)
    for fold in folds:
        yield changed(FEW_DATA, {"split.fold": fold, "split.validation_fold": fold % 10 + 1}), 10
    scenes = {"sound.dataset": "tut2017", "sound.seconds": 10.0, "split.fold": 1}
    yield changed(FEW_DATA, scenes), 15


def drawn(trials: Iterable[Trial]) -> Iterator[Trial]:
    """Each trial on each number of clips, as often as that is drawn."""
    for trial in trials:
        for clips, times in REPEATS.items():
            yield from repeats(product(trial, split__clips_per_class=(clips,)), times)


def models(trial: Trial, classes: int) -> Iterator[Trial]:
    """Eight: regularized, prototypical, transferred, and neighbours."""
    yield from regularized(trial)
    wide = changed(trial, {"network.width": 128, "network.input_norm": "time"})
    hop = {"evaluation.patch_hop": 42, "evaluation.every": 10_000, "training.epochs": 10_000}
    passes = PATCHES[trial.sound.dataset]
    yield prototypical(changed(wide, hop), classes, passes, 200)
    taken = changed(trial, {**PRETRAINED, **UNPENALIZED, "training.batch": 128})
    yield taken
    patient = {"evaluation.every": 10_000, "training.epochs": 10_000, "training.clip": 5.0}
    yield prototypical(changed(taken, patient), classes, passes, 200)
    yield from neighbours(trial)
    yield changed(taken, {**NEIGHBOURS, "transfer.rate": 1.0, "evaluation.patch_votes": "votes"})


def trials() -> Iterator[Trial]:
    """Eight models, seven numbers of clips per class, drawn 20, 10 or 5 times, on both datasets."""
    for trial, classes in datasets():
        yield from drawn(models(trial, classes))
