"""Transforms: the names of what may happen to a clip beside roll and mixup. No torch.

Each is a file of scaling.sound.transforms. Contents: TRANSFORMS, COMBINATION, Transforms (what a
field of settings takes), `named`.
"""

from typing import Annotated

from scaling.own.names import Words, is_own

# In the order in which they are applied: those of the wave, then those of the features.
TRANSFORMS = (
    "pitch",
    "reverb",
    "mask",
)
COMBINATION = ("pitch", "reverb")  # a clip goes through either (Iqbal et al. 2021)

Transforms = Annotated[str, Words(("none", *TRANSFORMS, "combination"))]


def named(*values: Transforms) -> tuple[str, ...]:
    """The transforms that these values of settings stand for, in the order of TRANSFORMS, a
    person's own last.
    """
    meant = {
        name for value in values for name in (COMBINATION if value == "combination" else (value,))
    }
    own = sorted(name for name in meant if is_own(name))
    return (*(name for name in TRANSFORMS if name in meant), *own)
