"""Width at equal numbers of weights as Figure 6 may have been made: each open point an arm."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.arms import Arm, in_arm
from sweeps.studies.sparse_width import WIDTHS
from sweeps.study import product, repeats

QUESTION = "Does Figure 6 hold without 1x1 blocks, with other initial weights, without the guard?"
SOURCE = "Koutini et al. 2021, Figure 6 and appendix A, on TAU Urban Acoustic Scenes 2020 Mobile"
NO_BLOCKS = Arm(
    "K = 0",
    {"network.pointwise": 0},
    "Koutini et al. 2021, Figures 13 to 16 show pruned networks of K = 0; ours is Table 1's K = 1",
)
HE = Arm(
    "He's first weights",
    {"network.initialization": "he"},
    "Koutini et al. 2021 name none; from fixup, layers that begin at zero are cut first",
)
UNGUARDED = Arm(
    "no guard",
    {"pruning.guard": 1.0},
    "Koutini et al. 2021, appendix A: without it, significant drops from W = 192 on; no number",
)
ARMS = (NO_BLOCKS, HE, UNGUARDED)
COLLAPSES = 192  # the width from which the paper saw it, at the weights of W = 64
FIXUP = {"network.initialization": "fixup"}


def claims(
    dense: int, wide: Sequence[int], blocks: int, collapsing: Sequence[int]
) -> Iterator[Claim]:
    """Figure 6 in the two arms, then what the guard is for at the widths that collapse without."""
    narrow = {"pruning.kind": "none", "network.width": dense}
    static = {"pruning.kind": "static", "network.width": tuple(wide)}
    magnitude = {"pruning.kind": "magnitude", "network.width": tuple(wide)}
    source = "Koutini et al. 2021, section 5.3 and Figure 6"
    arms: Mapping[str, Mapping[str, Any]] = {
        "K = 0": {**FIXUP, **NO_BLOCKS.changes},
        "He": {"network.pointwise": blocks, **HE.changes},
    }
    for name, where in arms.items():
        helps = f"cut at random to equal weights width helps on unseen devices, {name}"
        yield Claim(helps, static, narrow, where=where, source=source)
        iterative = f"cutting by magnitude beats cutting at random on unseen devices, {name}"
        yield Claim(iterative, magnitude, static, where=where, source=source)
        costs = f"cutting by magnitude costs damped networks accuracy on seen devices, {name}"
        damped = {**where, "network.damping": DAMPED}
        yield Claim(costs, narrow, magnitude, on="seen", where=damped, source=source)
    yield Claim(
        "cutting by magnitude without the guard loses accuracy on unseen devices",
        {"pruning.guard": 0.99},
        UNGUARDED.changes,
        where={
            **FIXUP,
            "pruning.kind": "magnitude",
            "network.pointwise": blocks,
            "network.width": tuple(collapsing),
        },
        source=UNGUARDED.source,
    )


CLAIMS = tuple(claims(64, WIDTHS, 1, [width for width in WIDTHS if width >= COLLAPSES]))


def models(
    base: Trial, dense: int, widths: Sequence[int], timed: Mapping[str, Any], **folds: Sequence[int]
) -> Iterator[Trial]:
    """At K = 0, then from He's first weights: the dense width, and the others cut to its weights at
    random and by magnitude, `timed`; and by magnitude with and without the guard.
    """
    varied = {**folds, "network__damping": (0.0, DAMPED)}
    cut = changed(base, {"pruning.kind": "static", "pruning.target_width": dense})
    magnitude = changed(cut, {"pruning.kind": "magnitude", "pruning.score": "kernel", **timed})
    for arm in (NO_BLOCKS, HE):
        yield from in_arm(arm, product(base, **varied, network__width=(dense,)))
        for start in (cut, magnitude):
            yield from in_arm(arm, product(start, **varied, network__width=widths))
    guarded = [*product(magnitude, **varied, network__width=widths)]
    yield from guarded
    yield from in_arm(UNGUARDED, guarded)


def trials() -> Iterator[Trial]:
    """Five widths cut to the weights of W = 64 in three arms, base and damped, three seeds; those
    with the guard at K = 1 are trials of sparse_width.
    """
    base = changed(TAU2020, {"training.epochs": 350, "network.width": 64})
    timed = {"pruning.start": 20, "pruning.length": 50}
    yield from repeats(models(base, 64, WIDTHS, timed), 3)
