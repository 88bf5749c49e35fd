"""Receptive fields of pruned networks beside dense ones trained as long: TAU Scenes 2020."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import TAU2020
from sweeps.arms import Arm, in_arm
from sweeps.studies.erf import models
from sweeps.studies.sparse_width import of_fields
from sweeps.study import repeats

QUESTION = (
    "Does pruning change the receptive field, compared with dense training of the same length?"
)
SOURCE = "Koutini et al. 2021, Figures 13 to 16, on TAU Urban Acoustic Scenes 2020 Mobile"
AS_LONG = Arm(
    "dense as long",
    {"training.epochs": 350},
    "Koutini et al. 2021, appendix A: sparsification takes 350 epochs, others 250; a field that "
    "grows with training would otherwise be put down to pruning",
)
ARMS = (AS_LONG,)


def claims() -> Iterator[Claim]:
    """Figures 13 to 16 against dense networks trained as long."""
    longer = {"network.pointwise": 0, **AS_LONG.changes}
    dense = {"pruning.kind": "none", "network.width": 64}
    static, magnitude = ({"pruning.kind": kind} for kind in ("static", "magnitude"))
    yield from of_fields(dense, static, magnitude, longer)


CLAIMS = tuple(claims())


def trials() -> Iterator[Trial]:
    """W = 64, of 250 epochs and of 350, and W = 512 cut to it at random and by magnitude, of 350;
    all at K = 0, base and damped, three seeds; most are trials of erf. Then `overhear erf`.
    """
    cut = {**AS_LONG.changes, "pruning.target_width": 64}
    timed = {"pruning.start": 20, "pruning.length": 50, "pruning.score": "kernel"}
    every = [*models(TAU2020, (32, 128, 512), 0, cut, timed)]
    pruned = [trial for trial in every if trial.pruning.kind != "none"]
    dense = [t for t in every if t.pruning.kind == "none" and t.network.width == 64]
    yield from repeats([*dense, *in_arm(AS_LONG, dense), *pruned], 3)
