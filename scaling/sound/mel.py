"""Mel filters, scales and A-weighting: how finely, and how loudly, frequencies are heard.

Sources: `slaney` is the scale of the Auditory Toolbox (Slaney 1998) with triangles of unit area, as
in librosa; `htk` that of the HTK book with triangles of height 1, straight on the mel scale, as
VGGish has it (Hershey et al. 2017); `erb` counts the equivalent rectangular bandwidths of Slaney
(1993); A-weighting is IEC 61672-1's. Conventions: float64.
Shapes: Q FFT bins, F mel bands. Contents: `mel_filters`, the scales `slaney`, `htk` and `erb`,
`a_weighting`.
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["slaney", "htk"]
STEP = math.log(6.4) / 27  # of Slaney's mel above 1 kHz: logarithm of a factor
EAR_Q, NARROWEST = 9.26449, 24.7  # of the ear: quality of wide bands, bandwidth (Hz) of the lowest


def mel_filters(
    rate: int, size: int, mels: int, low: float, high: float, scale: Scale = "slaney"
) -> NDArray[np.float64]:
    """Triangles from `low` to `high` Hz, alike in mel, for an FFT of `size`: (mels, size//2+1).

    Raises ValueError where a band lies between two FFT bins, with the largest number of bands that
    works.
    """
    bins_Q = np.fft.rfftfreq(size, 1 / rate)

    def covered(mels: int) -> bool:
        edges = _edges(mels, low, high, scale)
        first = np.searchsorted(bins_Q, edges[:-2], side="right")
        return bool((first < np.searchsorted(bins_Q, edges[2:], side="left")).all())

    if not covered(mels):
        most = next(filter(covered, range(mels - 1, 0, -1)), 0)
        raise ValueError(
            f"mels={mels} bands from {low:g} to {high:g} Hz are narrower than the bins of an FFT "
            f"of {size} samples at rate={rate} Hz: "
            + (f"at most {most} work, or take" if most else "widen the range or take")
            + " a longer window"
        )
    edges, at_Q = _edges(mels, low, high, scale), bins_Q
    if scale == "htk":
        edges, at_Q = _htk(edges), _htk(bins_Q)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (at_Q - left) / (centre - left), (right - at_Q) / (right - centre)
    filters_FQ: NDArray[np.float64] = np.maximum(0, np.minimum(rise, fall))
    return filters_FQ if scale == "htk" else filters_FQ * 2 / (right - left)


def _edges(mels: int, low: float, high: float, scale: Scale) -> NDArray[np.float64]:
    """The mels + 2 corners of the triangles, Hz."""
    edges: NDArray[np.float64]
    if scale == "htk":
        first, last = _htk(np.array([low, high]))
        edges = 700 * np.expm1(np.linspace(first, last, mels + 2) / 1127)
        return edges
    mel = np.linspace(slaney(low), slaney(high), mels + 2)
    edges = np.where(mel < 15, mel / 0.015, 1000 * np.exp(STEP * (mel - 15)))
    return edges


def slaney(hz: float) -> float:
    """Slaney's mel of a frequency: 200/3 Hz per mel to 1 kHz, then 27 mel per factor of 6.4."""
    return 15 + math.log(hz / 1000) / STEP if hz > 1000 else hz * 0.015


def htk(hz: float) -> float:
    """HTK's mel of a frequency in Hz."""
    return float(_htk(np.array(hz)))


def erb(hz: float) -> float:
    """How many bandwidths of the ear, each 24.7 Hz + hz / 9.26449, are below a frequency in Hz."""
    return EAR_Q * math.log1p(hz / (EAR_Q * NARROWEST))


def _htk(frequencies: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """HTK's mel of frequencies in Hz."""
    return 1127 * np.log1p(frequencies / 700)


def a_weighting(frequencies: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Gains of IEC 61672-1's A-weighting at frequencies in Hz, dB: 0 at 1 kHz, at least -80."""
    squared = np.asarray(frequencies, dtype=np.float64) ** 2
    low, middle, upper, high = (f**2 for f in (20.598997, 107.65265, 737.86223, 12194.217))
    gain = high * squared**2 / ((squared + low) * (squared + high))
    gain /= np.sqrt((squared + middle) * (squared + upper))
    return np.maximum(-80.0, 2.0 + 20 * np.log10(np.maximum(gain, 1e-10)))
