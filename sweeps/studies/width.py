"""Width, base and damped (Figure 3): TAU Urban Acoustic Scenes 2020 Mobile."""

from collections.abc import Iterator, Sequence

from scaling.results.claims import Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED, TAU2020
from sweeps.claimed import at_each, base_and_damped
from sweeps.study import product, repeats

QUESTION = "Does width help on unseen devices, and more than on seen ones?"
SOURCE = "Koutini et al. 2021, Figure 3, on TAU Urban Acoustic Scenes 2020 Mobile"
WIDTHS = (32, 64, 128, 192, 256, 384, 512)


def claims(widths: Sequence[int]) -> Iterator[Claim]:
    """The widest against the narrowest, and damped against base at each width. The paper's 10
    points are those of 512 over 32.
    """
    section = "Koutini et al. 2021, section 5.1"
    better, worse = {"network.width": max(widths)}, {"network.width": min(widths)}
    helps = "width helps on unseen devices"
    yield from base_and_damped(Claim(helps, better, worse, published=0.1, source=section))
    more = f"{helps} more than on seen ones"
    yield Claim(more, better, worse, on="unseen - seen", source=section)
    damped, base = {"network.damping": DAMPED}, {"network.damping": 0.0}
    damping = Claim("damping helps on unseen devices", damped, base, source=section)
    yield from at_each([damping], "network.width", widths, "width {}")


CLAIMS = tuple(claims(WIDTHS))


def trials() -> Iterator[Trial]:
    """Seven widths, base and damped, three seeds."""
    varied = product(TAU2020, network__damping=(0.0, DAMPED), network__width=WIDTHS)
    yield from repeats(varied, 3)
