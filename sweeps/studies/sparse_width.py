"""Width at equal numbers of weights (Figure 6): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.study import product, repeats

QUESTION = "Does width help if the number of weights stays the same?"
SOURCE = "Koutini et al. 2021, Figure 6, on TAU Urban Acoustic Scenes 2020 Mobile"
WIDTHS = (128, 192, 256, 384, 512)


def claims(dense: int, wide: Sequence[int]) -> Iterator[Claim]:
    """All at the weights of the dense width: cut at random against dense and by magnitude; what
    that costs damped networks on seen devices; and what it does to fields.
    """
    source = "Koutini et al. 2021, section 5.3 and Figure 6"
    narrow = {"pruning.kind": "none", "network.width": dense}
    static = {"pruning.kind": "static", "network.width": tuple(wide)}
    magnitude = {"pruning.kind": "magnitude", "network.width": tuple(wide)}
    as_published = {"network.initialization": "fixup"}
    helps = "width helps on unseen devices at equal weights, cut at random"
    yield Claim(helps, static, narrow, where=as_published, source=source)
    iterative = "cutting by magnitude beats cutting at random on unseen devices"
    yield Claim(iterative, magnitude, static, where=as_published, source=source)
    costs = "cutting by magnitude costs damped networks accuracy on seen devices"
    damped = {**as_published, "network.damping": DAMPED}
    yield Claim(costs, narrow, magnitude, on="seen", where=damped, source=source)
    yield from of_fields(narrow, static, magnitude, as_published)


def of_fields(
    dense: Mapping[str, Any],
    static: Mapping[str, Any],
    magnitude: Mapping[str, Any],
    where: Mapping[str, Any],
) -> Iterator[Claim]:
    """What cutting does to fields, where all have these settings. The margin of one mel band is
    ours: the paper says "similar".
    """
    base, damped = ({**where, "network.damping": damping} for damping in (0.0, DAMPED))
    of_field = partial(Claim, metric="sigma_f", source="Koutini et al. 2021, Figures 13 to 16")
    shrinks = "cutting by magnitude shrinks the field of damped networks along frequency"
    yield of_field(shrinks, dense, magnitude, where=damped)
    at_random = "cutting at random leaves the field of damped networks as it is, within a mel band"
    yield of_field(at_random, static, dense, where=damped, within=1.0)
    same = "cutting by magnitude leaves the field of base networks as it is, within a mel band"
    yield of_field(same, magnitude, dense, where=base, within=1.0)


CLAIMS = tuple(claims(64, WIDTHS))


def trials() -> Iterator[Trial]:
    """Five widths cut to the weights of W = 64, at random before or by magnitude during training.

    350 epochs, as there; magnitudes are those of weight x damping, which the paper argues with.
    """
    base = changed(TAU2020, {"training.epochs": 350, "network.width": 64})
    yield from repeats(product(base, network__damping=(0.0, DAMPED)), 3)
    cut = changed(base, {"pruning.kind": "static", "pruning.target_width": 64})
    score = {"pruning.start": 20, "pruning.length": 50, "pruning.score": "kernel"}
    for start in (cut, changed(cut, {"pruning.kind": "magnitude", **score})):
        varied = product(start, network__damping=(0.0, DAMPED), network__width=WIDTHS)
        yield from repeats(varied, 3)
