"""Effective receptive fields (Figures 7 to 16): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator, Mapping
from typing import Any

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.claimed import base_and_damped
from sweeps.study import repeats

QUESTION = "How do damping, width, depth and pruning change the effective receptive field?"
SOURCE = "Koutini et al. 2021, Figures 7 to 16, on TAU Urban Acoustic Scenes 2020 Mobile"

DENSE = {"pruning.kind": "none"}


def claims(widths: tuple[int, int, int], pointwise: int) -> Iterator[Claim]:
    """What the figures of dense networks show; those of pruned ones are claimed in sparse_width."""
    narrow, middle, wide = ({"network.width": width} for width in widths)
    base, damped = {"network.damping": 0.0}, {"network.damping": DAMPED}
    narrows = "damping narrows the field along frequency"
    source = "Koutini et al. 2021, appendix C, Figures 8, 9 and 10"
    yield Claim(narrows, base, damped, metric="sigma_f", where=DENSE, source=source)
    focuses = "width focuses the field in the centre"
    source = "Koutini et al. 2021, appendix C.2, Figures 11 and 12"
    alike = {**DENSE, "network.pointwise": pointwise}
    yield from base_and_damped(
        Claim(focuses, narrow, wide, metric="area50", where=alike, source=source)
    )
    grows = "1x1 blocks widen the field along frequency, damped"
    source = "Koutini et al. 2021, appendix C.1, Figure 9"
    four, none = {"network.pointwise": 4}, {"network.pointwise": 0}
    where = {**DENSE, **damped, **middle}
    yield Claim(grows, four, none, metric="sigma_f", where=where, source=source)


CLAIMS = tuple(claims((32, 128, 512), 0))


def trials() -> Iterator[Trial]:
    """The models of Figures 8 to 16, base and damped, three seeds; then `overhear erf`."""
    cut = {"training.epochs": 350, "pruning.target_width": 64}
    timed = {"pruning.start": 20, "pruning.length": 50, "pruning.score": "kernel"}
    yield from repeats(models(TAU2020, (32, 128, 512), 0, cut, timed), 3)


def models(
    base: Trial,
    widths: tuple[int, int, int],
    pointwise: int,
    cut: Mapping[str, Any],
    timed: Mapping[str, Any],
) -> Iterator[Trial]:
    """Figure 8 (the middle width); 9 and 10 (it with K = 0 and 4); 11 and 12 (the narrowest and the
    widest); 13 to 16 (the width that is `cut` to, and the widest cut to it by magnitude, `timed`,
    and at random).
    """
    narrow, middle, wide = widths
    for damping in (0.0, DAMPED):
        plain = changed(base, {"network.damping": damping})
        sizes = (middle, 1), (middle, 0), (middle, 4), (narrow, pointwise), (wide, pointwise)
        for width, blocks in (*sizes, (cut["pruning.target_width"], pointwise)):
            yield changed(plain, {"network.width": width, "network.pointwise": blocks})
        sparse = {"network.width": wide, "network.pointwise": pointwise, **cut}
        yield changed(plain, {**sparse, "pruning.kind": "static"})
        yield changed(plain, {**sparse, "pruning.kind": "magnitude", **timed})
