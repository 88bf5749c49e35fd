"""How often intervals hold the truth: studies whose truth is known, drawn by the hundred.

A simulated answer is right with a probability whose logit is moved by its fold, its device, the
device in that fold, its training, and by how hard its clip is; all trainings and microphones are
asked about the same clips. Deviations are those of real records (ESC-10 through four microphones,
90 trials: fold and device .15, device in fold .1, training .25, in points 3, 3, 2 and 5; a third of
a training's share is its own on each device), or twice as large or absent for devices.

A second model shares nothing with it but these sizes: rules that were chosen on the first are
checked on the second. There an answer is wrong where a sum of skewed effects passes a threshold:
devices and folds are exponential (one bad microphone, many good ones), trainings gamma, clips of
two kinds, easy and hard, and the noise is Gumbel's (a complementary log-log link).
Contents: Design, coverage.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from analysis.units import DIFFERENCE, OF_DIFFERENCES, SHARE, estimates
from scaling.seeds import stream

# E draws, F folds, S seeds, D devices, C clips

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
CLIP = 1.5  # deviation of the logit from clip to clip
HARD, KINDS = 0.3, (-1.5, 1.5)  # share of hard clips; what each kind moves the margin by
ANSWERS = 4_000_000  # that are drawn at once


class Design(NamedTuple):
    """A study of one condition, of the paired difference of two, or of two such differences."""

    folds: int
    seeds: int = 1
    devices: int = 1
    clips: int = 80  # of a fold
    device: float = 0.15
    apart: float | None = None  # of a difference: the other side's truth less this one's
    skewed: bool = False  # drawn by the second model
    than: float | None = None  # of two differences: the other one


def coverage(design: Design, truth: float, draws: int) -> tuple[float, set[str]]:
    """The share of 95 % intervals that hold the truth, and what they are over."""
    draw = stream(1, "coverage", str(design), str(truth))
    values = _right(design, truth, draws, draw, paired := _shared(design, draws, draw))
    scale, true = SHARE, truth
    if design.apart is not None:
        values = _right(design, truth + design.apart, draws, draw, paired) - values
        scale, true = DIFFERENCE, design.apart
    if design.apart is not None and design.than is not None:
        sides = (_right(design, truth + by, draws, draw, paired) for by in (design.than, 0.0))
        values = values - (next(sides) - next(sides))
        scale, true = OF_DIFFERENCES, design.apart - design.than
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
        total = total + deviation * _effect(design, name, draw, (draws, *size))
    return np.broadcast_to(total, (draws, *design[:3]))


def _effect(
    design: Design, name: str, draw: np.random.Generator, size: tuple[int, ...]
) -> np.ndarray:
    """One effect with mean 0 and deviation 1; half the variance of one that both sides have."""
    if not design.skewed:
        return draw.standard_normal(size)
    shape = {"device": 1.0, "fold": 1.0}.get(name, 4.0) / 2
    return (shape - draw.gamma(shape, size=size)) / np.sqrt(2 * shape)


def _shared(design: Design, draws: int, draw: np.random.Generator) -> tuple[np.ndarray, ...]:
    """What both sides of a difference share: half of the variance of each effect, and the clips."""
    size = (draws, design.folds, design.clips)
    if design.skewed:
        hard = np.where(draw.random(size, dtype=np.float32) < HARD, *KINDS).astype(np.float32)
        return _effects(design, draws, draw), hard
    hard = draw.standard_normal(size, dtype=np.float32)
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
    if design.skewed:
        margin = common + _effects(design, draws, draw)
        return _asked(margin + _threshold(design, truth), hard, draw, _cloglog)
    logit = common + _effects(design, draws, draw) * np.sqrt(0.5)
    deviation = np.sqrt(CLIP**2 + sum(d**2 for d in _deviations(design).values()))

    def beyond(middle: float) -> float:
        return float(WEIGHTS @ expit(middle + deviation * NODES) / WEIGHTS.sum() - truth)

    return _asked(logit + brentq(beyond, -30, 30), hard, draw, expit)


def _threshold(design: Design, truth: float) -> float:
    """The margin at which so many answers are right on average, by a large draw."""
    draw, many = stream(2, "threshold", str(design._replace(folds=0))), 200_000
    alone = design._replace(folds=1, seeds=1, devices=1, clips=1)
    total = np.where(draw.random(many) < HARD, *KINDS)
    for name, deviation in _deviations(design).items():
        halves = (_effect(alone, name, draw, (many,)) for _ in range(2))
        total = total + deviation * sum(halves)
    return float(brentq(lambda at: float(_cloglog(total + at).mean()) - truth, -60, 60))


def _cloglog(margin: np.ndarray) -> np.ndarray:
    """The probability that an answer with this margin is right, with Gumbel's noise."""
    return np.exp(-np.exp(-margin))


def _asked(
    margin: np.ndarray,
    hard: np.ndarray,
    draw: np.random.Generator,
    chance_of: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Shares of right answers (E, F, S, D) to clips of which each moves the margin by its own."""
    margin = margin.astype(np.float32)
    shares = np.empty(margin.shape)
    step = max(1, ANSWERS // (margin[0].size * hard.shape[-1]))
    for first in range(0, len(margin), step):
        part = slice(first, first + step)
        chance = chance_of(margin[part, ..., None] + hard[part, :, None, None])
        shares[part] = (draw.random(chance.shape, dtype=np.float32) < chance).mean(axis=-1)
    return shares
