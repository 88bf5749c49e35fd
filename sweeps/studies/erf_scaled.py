"""Effective receptive fields of scaled variants (Figure 7): TAU Urban Acoustic Scenes 2020."""

from collections.abc import Iterator

from scaling.settings import Trial, changed
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.study import product, repeats

QUESTION = "How does the effective receptive field grow with depth, compared with the maximum one?"
SOURCE = "Koutini et al. 2021, Figure 7, on TAU Urban Acoustic Scenes 2020 Mobile"


def trials() -> Iterator[Trial]:
    """Five depths, base and damped, then damped the widest and that of most 1x1 blocks; three
    seeds, mostly trials of `depth`. Then `overhear erf` and the figure effective_field_scaled.
    """
    yield from repeats(variants(TAU2020, (1, 2, 3, 4, 5), 512, 5), 3)


def variants(base: Trial, depths: tuple[int, ...], width: int, pointwise: int) -> Iterator[Trial]:
    """Depths of both families, and the ways that leave the damped network's maximum field alone."""
    yield from product(base, network__damping=(0.0, DAMPED), network__depth=depths)
    for wider in ({"network.width": width}, {"network.pointwise": pointwise}):
        yield changed(base, {"network.damping": DAMPED, **wider})
