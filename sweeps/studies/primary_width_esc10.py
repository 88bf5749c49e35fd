"""Width on microphones never heard, at the size at which it decides: ESC-10 through all twelve."""

from collections.abc import Iterator

from scaling.results.claims import GAP, Claim
from scaling.settings import Trial
from scaling.settings.recipes import DAMPED
from sweeps.claimed import at_each, base_and_damped
from sweeps.studies import front_ends_esc10
from sweeps.studies.front_ends_esc10 import FRONT_ENDS, WIDTHS

QUESTION = "Does width help on unseen devices, and more than on seen ones?"
SOURCE = "Koutini et al. 2021, section 5.1 and Figure 3, at CPU scale on ESC-10"


def claims() -> Iterator[Claim]:
    """The widest against the narrowest, by front end; unseen against seen; and where damping helps
    more. The paper's 10 points are those of 512 over 32.
    """
    wide, narrow = ({"network.width": width} for width in (WIDTHS[-1], WIDTHS[0]))
    section = "Koutini et al. 2021, section 5.1"
    helps = Claim("width helps on unseen devices", wide, narrow, published=0.1, source=section)
    more = Claim("width helps unseen more than seen", wide, narrow, GAP, source=section)
    for claim in (helps, more):
        yield from base_and_damped(*at_each([claim], "sound.features.kind", FRONT_ENDS))
    damped, base = {"network.damping": DAMPED}, {"network.damping": 0.0}
    text = "damping helps narrow networks more than wide ones"
    yield Claim(text, damped, base, where=narrow, than=wide)


CLAIMS = tuple(claims())


def trials() -> Iterator[Trial]:
    """Those of front_ends_esc10, which asks about damping: in one folder none runs twice."""
    yield from front_ends_esc10.trials()
