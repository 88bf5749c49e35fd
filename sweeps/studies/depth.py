"""Depth, base and damped (Figure 4): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.claimed import base_and_damped
from sweeps.study import product, repeats

QUESTION = "Does depth, which widens the receptive field, hurt accuracy on unseen devices?"
SOURCE = "Koutini et al. 2021, Figure 4, on TAU Urban Acoustic Scenes 2020 Mobile"


def claims(deepest: int) -> Iterator[Claim]:
    """One block, as in the paper's baseline, against the most; base against damped."""
    hurts = "depth hurts on unseen devices"
    source = "Koutini et al. 2021, section 5.2 and Figure 4"
    shallow, deep = {"network.depth": 1}, {"network.depth": deepest}
    yield from base_and_damped(Claim(hurts, shallow, deep, source=source))
    base, damped = {"network.damping": 0.0}, {"network.damping": DAMPED}
    more = f"{hurts}, base networks more than damped ones"
    yield Claim(more, shallow, deep, where=base, than=damped, source=source)


CLAIMS = tuple(claims(5))


def trials() -> Iterator[Trial]:
    """Five depths at W = 32, base and damped, three seeds; the paper names none."""
    varied = product(TAU2020, network__damping=(0.0, DAMPED), network__depth=(1, 2, 3, 4, 5))
    yield from repeats(varied, 3)
