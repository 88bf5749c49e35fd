"""How often intervals hold the truth: studies whose truth is known, drawn by the hundred.

A simulated answer is right with a probability whose logit is moved by its fold, its device, the
device in that fold, its training, and by how hard its clip is; all trainings and microphones are
asked about the same clips. Deviations are those of real records (ESC-10 through four microphones,
90 trials: fold and device .15, device in fold .1, training .25, in points 3, 3, 2 and 5; a third of
a training's share is its own on each device), or twice as large or absent for devices.
Contents: Design, coverage, EACH.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from analysis.units import DIFFERENCE, SHARE, estimates
from scaling.seeds import stream

# E draws, F folds, S seeds, D devices, C clips

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
CLIP = 1.5  # deviation of the logit from clip to clip
ANSWERS = 4_000_000  # that are drawn at once


class Design(NamedTuple):
    """A study of one condition, or of the paired difference of two."""

    folds: int
    seeds: int = 1
    devices: int = 1
    clips: int = 80  # of a fold
    device: float = 0.15
    apart: float | None = None  # of a difference: the other side's truth less this one's


def coverage(design: Design, truth: float, draws: int) -> tuple[float, set[str]]:
    """The share of 95 % intervals that hold the truth, and what they are over."""
    draw = stream(1, "coverage", str(design), str(truth))
    values = _right(design, truth, draws, draw, paired := _shared(design, draws, draw))
    scale, true = SHARE, truth
    if design.apart is not None:
        values = _right(design, truth + design.apart, draws, draw, paired) - values
        scale, true = DIFFERENCE, design.apart
    folds, seeds = (each.ravel() for each in np.indices((design.folds, design.seeds)))
    value_NDE = np.moveaxis(values, 0, -1).reshape(len(folds), design.devices, draws)
    heard = design.devices > 1
    found = estimates(
        value_NDE if heard else value_NDE[:, 0],
        folds,
        seeds,
        scale,
        np.full(len(folds), design.clips),
        "unseen" if heard else "test",
    )
    held = (found["low"] <= true) & (found["high"] >= true)
    return float(held.mean()), set(found["n"].astype(str) + " " + found["unit"])


def _deviations(design: Design) -> dict[str, float]:
    """Of the logit, by what moves it."""
    heard = design.devices > 1
    of_device = {"device": design.device, "both": 0.1, "rest": 0.15} if heard else {}
    return {"fold": 0.15 * (design.folds > 1), "seed": 0.25 * (max(design[:2]) > 1)} | of_device


AXES = {"fold": (0,), "device": (2,), "both": (0, 2), "seed": (0, 1), "rest": (0, 1, 2)}


def _effects(design: Design, draws: int, draw: np.random.Generator) -> np.ndarray:
    """What moves the logit (E, F, S, D), but for the clip."""
    total = np.zeros((draws, 1, 1, 1))
    for name, deviation in _deviations(design).items():
        size = [n if axis in AXES[name] else 1 for axis, n in enumerate(design[:3])]
        total = total + deviation * draw.standard_normal((draws, *size))
    return np.broadcast_to(total, (draws, *design[:3]))


def _shared(design: Design, draws: int, draw: np.random.Generator) -> tuple[np.ndarray, ...]:
    """What both sides of a difference share: half of the variance of each effect, and the clips."""
    hard = draw.standard_normal((draws, design.folds, design.clips), dtype=np.float32)
    return _effects(design, draws, draw) * np.sqrt(0.5), CLIP * hard


def _right(
    design: Design,
    truth: float,
    draws: int,
    draw: np.random.Generator,
    shared: tuple[np.ndarray, ...],
) -> np.ndarray:
    """Shares of right answers (E, F, S, D)."""
    common, hard = shared
    logit = common + _effects(design, draws, draw) * np.sqrt(0.5)
    deviation = np.sqrt(CLIP**2 + sum(d**2 for d in _deviations(design).values()))

    def beyond(middle: float) -> float:
        return float(WEIGHTS @ expit(middle + deviation * NODES) / WEIGHTS.sum() - truth)

    logit = (logit + brentq(beyond, -30, 30)).astype(np.float32)
    shares = np.empty(logit.shape)
    step = max(1, ANSWERS // (logit[0].size * design.clips))
    for first in range(0, draws, step):
        part = slice(first, first + step)
        chance = expit(logit[part, ..., None] + hard[part, :, None, None])
        shares[part] = (draw.random(chance.shape, dtype=np.float32) < chance).mean(axis=-1)
    return shares
