"""Usable: what is wrong with the sound of a clip that can be decoded.

Such a clip is kept, as only its owner can tell whether it should be, but said: packing warns, and
`overhear data check` names it. Contents: `fault`, and the thresholds that it goes by.
"""

import numpy as np

FLAT = 2**-15  # of full scale: a wave whose samples differ by less is silence, or a constant
CANCELLED = 1e-2  # of its channels' level (-40 dB): a mix so quiet is what cancelling left over
LOUD = 10.0  # times full scale (20 dB): no recording, but whole numbers stored as floats


def fault(samples: np.ndarray, mix_T: np.ndarray) -> str:
    """What is wrong, in a few words; empty for usable sound.

    `samples` is (samples, channels), full scale 1, and `mix_T` the mean of its channels.
    """
    peak = float(np.abs(samples).max(initial=0))
    if peak > LOUD:
        return f"{peak:,.0f} times beyond full scale"
    if np.ptp(samples, axis=0).max(initial=0) < FLAT:
        return "silence" if peak < FLAT else "a constant, no sound"
    level, mixed = (
        float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) for x in (samples, mix_T)
    )
    if mixed < CANCELLED * level:
        return "its channels cancel each other in mono"
    return ""
