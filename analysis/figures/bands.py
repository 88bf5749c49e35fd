"""Bands of a front end: which row is centred on which frequency, and where its axis has ticks.

Contents: Bands, ticks.
"""

import math
from typing import NamedTuple

from scaling.sound.mel import erb, htk, slaney

OCTAVES = ("cqt", "vqt")  # front ends whose bands are counted by octaves
NAMES = {"gammatone": "Gammatone band", "cqt": "CQT bin", "vqt": "VQT bin"}
TICKS = 7  # in Hz on an axis, at most


class Bands(NamedTuple):
    """The bands of a front end; a band's frequency is its centre's."""

    kind: str  # of the front end
    number: int
    low: float  # Hz
    high: float  # Hz
    per_octave: int  # of cqt and vqt

    def row(self, hz: float) -> float:
        """The row, counted from 0, whose band is centred on this frequency."""
        if self.kind in OCTAVES:
            return self.per_octave * math.log2(hz / self.low)
        scale = {"gammatone": erb, "vggish": htk, "passt": htk}.get(self.kind, slaney)
        low, at, high = (scale(f) for f in (self.low, hz, self.high))
        share = (at - low) / (high - low)
        # the lowest gammatone is centred on `low`, the lowest triangle begins there
        return share * self.number if self.kind == "gammatone" else share * (self.number + 1) - 1

    @property
    def name(self) -> str:
        """What one is called on an axis."""
        return NAMES.get(self.kind, "Mel band")


def ticks(bands: Bands, bottom: float, top: float) -> list[float]:
    """Frequencies 1, 2, 5 times a power of ten on this stretch of rows, from the highest down, none
    too near the next.
    """
    found: list[float] = []
    for hz in (base * 10.0**power for power in (4, 3, 2, 1) for base in (5, 2, 1)):
        row = bands.row(hz)
        near = found and bands.row(found[-1]) - row < (top - bottom) / TICKS
        if max(bottom, 0) <= row <= min(top, bands.number - 1) and not near:
            found.append(hz)
    return found
