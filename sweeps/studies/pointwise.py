"""1x1 blocks, base and damped (Figure 5): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.study import product, repeats

QUESTION = "Does depth help if it leaves the receptive field unchanged?"
SOURCE = "Koutini et al. 2021, Figure 5, on TAU Urban Acoustic Scenes 2020 Mobile"


def claims(most: int) -> Iterator[Claim]:
    """The most blocks against one, as in the paper's baseline; it finds that base networks gain a
    little on seen devices and nothing on unseen ones, and that damped ones lose.
    """
    source = "Koutini et al. 2021, section 5.2 and Figure 5"
    many, one = {"network.pointwise": most}, {"network.pointwise": 1}
    base, damped = {"network.damping": 0.0}, {"network.damping": DAMPED}
    for split in ("seen", "unseen"):
        helps = f"1x1 blocks help on {split} devices, base"
        yield Claim(helps, many, one, on=split, where=base, source=source)
    hurt = "1x1 blocks hurt on unseen devices, damped"
    yield Claim(hurt, one, many, where=damped, source=source)


CLAIMS = tuple(claims(5))


def trials() -> Iterator[Trial]:
    """Six numbers of blocks at W = 32, base and damped, three seeds; the paper names none."""
    blocks = (0, 1, 2, 3, 4, 5)
    varied = product(TAU2020, network__damping=(0.0, DAMPED), network__pointwise=blocks)
    yield from repeats(varied, 3)
