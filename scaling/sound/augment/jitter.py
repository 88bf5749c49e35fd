"""Jitter: the range of frequencies that a front end's bands divide, moved a little by each batch.

Source: the public code of Schmid et al. 2023 (CP-Mobile), which moves the lowest frequency by less
than 1 Hz and the highest by up to 1000 Hz. Contents: `draw`, `moved`.
"""

import copy

import numpy as np
from torch import nn

from scaling.settings import Features
from scaling.sound.frontends.plain import Plain


def draw(
    stream: np.random.Generator, features: Features, rate: int, low: float, high: float
) -> Features:
    """The same features with their lowest frequency up to `low` Hz higher, and their highest up to
    `high` Hz lower, both uniform.
    """
    up, down = stream.random(2)
    top = features.high or rate / 2
    return features.model_copy(update={"low": features.low + low * up, "high": top - high * down})


def moved(frontend: nn.Module, features: Features) -> nn.Module:
    """A front end that hears with the bands of these features, and shares all else with this one.

    Raises ValueError where a band would lie between two FFT bins.
    """
    assert isinstance(frontend, Plain), "Trial checks that there are bands to move"
    device = frontend.mel_FQ.device
    other = copy.copy(frontend)
    other._buffers = dict(frontend._buffers)
    other.place(features)
    return other.to(device)
