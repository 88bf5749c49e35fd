"""Few data, each open point of prototypes and normalization an arm beside ours:
UrbanSound8K and TUT Scenes 2017.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from sweeps.arms import Arm, in_arm
from sweeps.claimed import at_each
from sweeps.studies.few_data import (
    DATASETS,
    FEW,
    PATCHES,
    PRETRAINED,
    QUERIES,
    REGULARIZED_VGG,
    SCRATCH,
    UNPENALIZED,
    VGGISH,
    datasets,
    prototypical,
)
from sweeps.study import product, repeats

QUESTION = "Do prototypes and transfer lead, with every detail as in the public code?"
SOURCE = "Pons et al. 2019 (ICASSP, arXiv 1810.10274), and the authors' public code"
FIVE = Arm(
    "5 queries a class",
    {"objective.queries": QUERIES},
    "the authors' public code draws five of each class a step; ours as many from all classes",
)
# of .96 s one after the other, where VGG's patches are of 3 s every second: PATCHES
OWN_PATCHES = {"urbansound8k": 4, "tut2017": 10}
SOONER = Arm(
    "momentum .9",
    {"network.momentum": 0.1},
    "ours: after 199 steps at the public code's .99, 13.5 % of the first statistics are left, "
    "after 100 steps 37 %",
)


def own_patches(dataset: str) -> Arm:
    """VGGish as often over a clip as it has patches of its own."""
    return Arm(
        "VGGish's own patches",
        {"training.passes": OWN_PATCHES[dataset]},
        "the authors' public code goes over every patch of .96 s; ours as often as VGG's of 3 s",
    )


ARMS = (FIVE, own_patches("urbansound8k"), SOONER)
PUBLISHED = FIVE.changes
OURS = {"objective.queries": 0}
MOMENTUM = {"network.momentum": 0.01}  # the public code's


AT_FEW = {"split.clips_per_class": FEW}
REGULAR = {**REGULARIZED_VGG, **MOMENTUM}
SAID = "Pons et al. 2019, conclusions, without a number"
PROTOTYPES = Claim(
    "prototypes of five queries beat a regularized network at one or two clips a class",
    {**SCRATCH, **PUBLISHED, **MOMENTUM},
    REGULAR,
    on="test",
    where=AT_FEW,
    source=SAID,
)


def transfer(transferred: Mapping[str, Any], untransferred: Mapping[str, Any]) -> Claim:
    """That it helps prototypes; the first tells who took weights over, beside the others."""
    five = {**SCRATCH, **PUBLISHED}
    return Claim(
        "transfer helps prototypes of five queries at one or two clips a class",
        {**five, **transferred},
        {**five, **untransferred},
        on="test",
        where=AT_FEW,
        source=SAID,
    )


def claims() -> Iterator[Claim]:
    """What the arms do."""
    five = {**SCRATCH, **PUBLISHED}
    text = "five queries of each class beat as many from all classes"
    yield Claim(text, five, {**SCRATCH, **OURS}, "test", where=MOMENTUM, source=FIVE.source)
    text = "momentum .9 helps a regularized network at one or two clips a class"
    sooner = {**REGULARIZED_VGG, **SOONER.changes}
    yield Claim(text, sooner, REGULAR, "test", where=AT_FEW, source=SOONER.source)
    text = "momentum .9 helps prototypes"
    both = {**five, **SOONER.changes}, {**five, **MOMENTUM}
    yield Claim(text, *both, "test", source=SOONER.source)


def _own_patches(dataset: str) -> Claim:
    passes = {"training.passes": OWN_PATCHES[dataset]}, {"training.passes": PATCHES[dataset]}
    where = {"network.kind": "vggish", "objective.kind": "prototypes", "sound.dataset": dataset}
    text = f"VGGish's own patches help its prototypes, {dataset}"
    return Claim(text, *passes, "test", where={**where, **PUBLISHED})


def _transfer(dataset: str) -> Claim:
    own = {**VGGISH, "training.passes": OWN_PATCHES[dataset]}
    scratch = {**MOMENTUM, "training.passes": PATCHES[dataset]}
    (claim,) = at_each([transfer(own, scratch)], "sound.dataset", (dataset,))
    return claim


CLAIMS = (
    *claims(),
    *at_each([PROTOTYPES], "sound.dataset", DATASETS),
    *map(_transfer, DATASETS),
    *map(_own_patches, DATASETS),
)


def models(trial: Trial, classes: int) -> Iterator[Trial]:
    """The regularized VGG and its prototypes, ours and in each arm; VGGish's prototypes of five
    queries, over VGG's number of patches and over its own.
    """
    plain = changed(trial, {"network.kind": "vgg5"})
    yield from (plain, *in_arm(SOONER, [plain]))
    passes = PATCHES[trial.sound.dataset]
    wide = {"network.width": 128, "network.input_norm": "time", "evaluation.patch_hop": 42}
    long = {"evaluation.every": 10_000, "training.epochs": 10_000}
    ours = prototypical(changed(trial, {**wide, **long}), classes, passes, 200)
    five = [*in_arm(FIVE, [ours])]
    yield from (ours, *five, *in_arm(SOONER, five))
    taken = changed(trial, {**PRETRAINED, **UNPENALIZED, **long, "training.clip": 5.0})
    vggish = [*in_arm(FIVE, [prototypical(taken, classes, passes, 200)])]
    yield from (*vggish, *in_arm(own_patches(trial.sound.dataset), vggish))


def trials() -> Iterator[Trial]:
    """Seven models, three numbers of clips per class, each drawn twice, on both datasets."""
    for trial, classes in datasets():
        for model in models(trial, classes):
            yield from repeats(product(model, split__clips_per_class=(*FEW, 20)), 2)
