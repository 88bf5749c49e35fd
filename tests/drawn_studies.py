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

On one split the truth is that of its clips: the mean of endlessly many trainings and devices.
An answer is right where the noise's exponential exceeds that of minus the margin, so one draw of
noise serves all accuracies at once: it is divided by what the clip adds, and compared.
Contents: Design, Covered, coverage, coverages, answered.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from analysis.scales import DIFFERENCE, OF_DIFFERENCES, SHARE, Scale
from analysis.units import estimates
from scaling.seeds import stream

# T truths, E draws, F folds, S seeds, D devices, C clips

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
CLIP = 1.5  # deviation of the logit from clip to clip
HARD, KINDS = 0.3, (-1.5, 1.5)  # share of hard clips; what each kind moves the margin by
ANSWERS = 250_000  # that are drawn at once: they stay in a processor's cache
MANY = 20_000  # draws of effects that stand for all of them


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


class Covered(NamedTuple):
    """How often intervals hold the truth, and what they are over."""

    share: float
    over: set[str]


def coverage(design: Design, truth: float, draws: int) -> Covered:
    """The share of 95 % intervals that hold the truth."""
    return coverages(design, (truth,), draws)[0]


def coverages(design: Design, truths: Sequence[float], draws: int) -> list[Covered]:
    """`coverage` at each of these true accuracies, of the same draws."""
    values_T, true_T, scale = answered(design, truths, draws)
    folds, seeds = (each.ravel() for each in np.indices((design.folds, design.seeds)))
    heard = design.devices > 1
    clips_N, split = np.full(len(folds), design.clips), "unseen" if heard else "test"
    found = []
    for values, true in zip(values_T, true_T, strict=True):
        value_NDE = np.moveaxis(values, 0, -1).reshape(len(folds), design.devices, draws)
        value_N = value_NDE if heard else value_NDE[:, 0]
        each = estimates(value_N, folds, seeds, scale, clips_N, split)
        held = (each["low"] <= true) & (each["high"] >= true)
        over = set(each["n"].astype(str) + " " + each["unit"])
        found.append(Covered(float(held.mean()), over))
    return found


def answered(
    design: Design, truths: Sequence[float], draws: int
) -> tuple[np.ndarray, np.ndarray, Scale]:
    """Values (T, E, F, S, D) at each of these accuracies, their truths (T, E), their scale."""
    draw = stream(1, "coverage", str(design), str(truths))
    effects, hard = _effects(design, draws, draw), _clips(design, draws, draw)
    first = np.asarray(truths, dtype=np.float64)

    def side(by: float = 0.0) -> np.ndarray:
        own = _effects(design, draws, draw)
        total = effects + own if design.skewed else np.sqrt(0.5) * (effects + own)
        middle_T = np.array([_middle(design, float(truth)) for truth in first + by])
        return _right(design, total, hard, middle_T, draw)

    if design.apart is None:
        values, true = side(), np.broadcast_to(first[:, None], (len(first), draws))
        if design.folds == 1 and max(design[1:3]) > 1:
            true = _of_split(design, hard, first)
        return values, true, SHARE
    values, true, scale = side(design.apart) - side(), design.apart, DIFFERENCE
    if design.than is not None:
        values = values - (side(design.than) - side())
        true, scale = design.apart - design.than, OF_DIFFERENCES
    return values, np.full((len(first), draws), true), scale


def _deviations(design: Design) -> dict[str, float]:
    """Of the logit, by what moves it."""
    heard = design.devices > 1
    of_device = {"device": design.device, "both": 0.1, "rest": 0.15} if heard else {}
    return {"fold": 0.15 * (design.folds > 1), "seed": 0.25 * (max(design[:2]) > 1)} | of_device


AXES = {"fold": (0,), "device": (2,), "both": (0, 2), "seed": (0, 1), "rest": (0, 1, 2)}


def _effects(design: Design, draws: int, draw: np.random.Generator) -> np.ndarray:
    """What moves the logit (E, F, S, D), but for the clip: one of the two halves of it, of which
    sides that are paired share one.
    """
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


def _clips(design: Design, draws: int, draw: np.random.Generator) -> np.ndarray:
    """What each clip moves the margin by (E, F, C)."""
    size = (draws, design.folds, design.clips)
    if design.skewed:
        return np.where(draw.random(size, dtype=np.float32) < HARD, *KINDS).astype(np.float32)
    return CLIP * draw.standard_normal(size, dtype=np.float32)


def _right(
    design: Design,
    effects: np.ndarray,
    hard: np.ndarray,
    middle_T: np.ndarray,
    draw: np.random.Generator,
) -> np.ndarray:
    """Shares of right answers (T, E, F, S, D) where margins lie around these."""
    shares = np.empty((len(middle_T), *effects.shape), dtype=np.float32)
    edge = np.exp(-effects)[..., None].astype(np.float32)
    factor_T, clip = np.exp(-middle_T).astype(np.float32), np.exp(hard)[:, :, None, None]
    step = max(1, ANSWERS // (effects[0].size * hard.shape[-1]))
    for first in range(0, len(effects), step):
        part = slice(first, first + step)
        noise = _noise(design, (*edge[part].shape[:-1], hard.shape[-1]), draw) * clip[part]
        for number, factor in enumerate(factor_T):
            right = noise > factor * edge[part]
            shares[number, part] = np.count_nonzero(right, axis=-1) / np.float32(hard.shape[-1])
    return shares.astype(np.float64)


def _noise(design: Design, size: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Exponentials of the margin's noise: Gumbel's, or logistic."""
    if design.skewed:
        return draw.standard_exponential(size, dtype=np.float32)
    return 1 / np.maximum(draw.random(size, dtype=np.float32), np.float32(1e-12)) - 1


def _chance(design: Design, margin: np.ndarray) -> np.ndarray:
    """The probability that an answer with this margin is right."""
    return np.exp(-np.exp(-margin)) if design.skewed else 1 / (1 + np.exp(-margin))


@cache
def _middle(design: Design, truth: float) -> float:
    """The margin around which so many answers are right on average."""
    of_clip = NODES * CLIP
    if design.skewed:
        of_clip, weights = np.array(KINDS), np.array((HARD, 1 - HARD))
    else:
        weights = WEIGHTS / WEIGHTS.sum()
    moved = (_any_effects(design) + of_clip[:, None]).astype(np.float64)

    def beyond(middle: float) -> float:
        return float(weights @ _chance(design, moved + middle).mean(axis=1) - truth)

    return float(brentq(beyond, -30, 30, xtol=1e-6))


def _any_effects(design: Design) -> np.ndarray:
    """A sample of all that moves a margin, but for the clip."""
    if not design.skewed:
        deviation = np.sqrt(sum(d**2 for d in _deviations(design).values()))
        return deviation * ndtri((np.arange(200) + 0.5) / 200)
    draw = stream(2, "effects", str(design._replace(folds=min(design.folds, 2))))
    total = np.zeros(MANY)
    for name, deviation in _deviations(design).items():
        total = total + deviation * sum(_effect(design, name, draw, (MANY,)) for _ in range(2))
    return total


def _of_split(design: Design, hard: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """What of each split's clips is right on average (T, E)."""
    at = np.array(sorted(KINDS)) if design.skewed else np.linspace(-5, 5, 201) * CLIP
    moved = at[:, None] + _any_effects(design)
    chances = (_chance(design, moved + _middle(design, float(truth))) for truth in truths)
    return np.stack([np.interp(hard, at, c.mean(axis=1)).mean(axis=(1, 2)) for c in chances])
