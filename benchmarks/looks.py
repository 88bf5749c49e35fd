"""False decisions of studies that run until their claims are decided: ours beside the usual ways.

No claim has any effect here, so each decision is false. A course of looks at 3, 5, 8 and 12 repeats
(ours), a plain test at each of these, and a look at each repeat with the boundaries that Lan and
DeMets's spending of O'Brien and Fleming's kind gives normal statistics, used for t. Then what the
looks cost: how often true effects are found, after how many repeats, beside one look at 12.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.optimize import brentq
from scipy.stats import norm, t

from analysis.intervals import crossed
from analysis.sequential import ALPHA, FIRST, MOST, levels, schedule
from scaling.seeds import stream

# D draws, F folds, M microphones, N repeats, C claims

Array = npt.NDArray[np.float64]
COUNTS, EVERY = schedule(FIRST, MOST), tuple(range(FIRST, MOST + 1))
PUBLISHED = (4.877, 3.357, 2.680, 2.290, 2.031)  # at five equal looks, two-sided .05
GRID = 1001
# as published studies were: folds, microphones (1: not told apart), clips of a fold
DESIGNS = [(1, 1), (3, 1), (5, 1), (10, 1), (3, 3), (3, 12), (5, 9)]
KEPT = [0.0, 0.5, 2.0]  # what differs between units for good, in deviations of a repeat's noise


def boundaries(fractions: Sequence[float], alpha: float = ALPHA) -> Array:
    """|z| at each look, by recursive integration (Armitage, McPherson and Rowe 1969)."""
    found: list[float] = []
    spent, at, density, before = 0.0, np.zeros(1), np.ones(1), 0.0
    for fraction in fractions:
        due = 4 * norm.sf(norm.isf(alpha / 4) / np.sqrt(fraction)) - spent
        spent, step = spent + due, np.sqrt(fraction - before)

        def unspent(z: float) -> float:
            tails = norm.sf((z * np.sqrt(fraction) - at) / step)  # noqa: B023
            return float(2 * (density @ tails) - due)  # noqa: B023

        found.append(float(brentq(unspent, 0.1, 12)))
        edge = found[-1] * np.sqrt(fraction)
        following = np.linspace(-edge, edge, GRID)
        weights = np.full(GRID, following[1] - following[0])
        weights[[0, -1]] /= 2
        density = norm.pdf((following[:, None] - at) / step) @ density / step * weights
        at, before = following, fraction
    return np.array(found)


def runs(design: tuple[int, int], kept: float, draws: int, effect: float, claim: int) -> Array:
    """Differences (D, F, M, N): of folds and microphones for good, and of each repeat."""
    folds, devices = design
    draw = stream(14, "looks", folds, devices, str(kept), str(effect), claim)
    shape = (draws, folds, devices, MOST)
    noise = draw.standard_normal((draws, folds, 1, MOST)) + draw.standard_normal(shape) / 2
    of_fold = kept * draw.standard_normal((draws, folds, 1, 1)) * (folds > 1)
    of_device = kept * draw.standard_normal((draws, 1, devices, 1)) * (devices > 1)
    return np.asarray(effect + noise + of_fold + of_device)


def p_values(value_DFMN: Array, asked: Sequence[float]) -> Array:
    """Over repeats for one fold, over folds, or over folds crossed with microphones (D, N), as
    analysis.intervals has them; of the latter the least of the levels that are asked for, else 1.
    """
    folds, devices = value_DFMN.shape[1:3]
    count_N = np.arange(1, MOST + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_DFMN = value_DFMN.cumsum(axis=3) / count_N
        mean_DN = mean_DFMN.mean(axis=(1, 2))
        if folds == 1:
            square = (value_DFMN[:, 0, 0] ** 2).cumsum(axis=1) / count_N
            error = np.sqrt((square - mean_DN**2) / (count_N - 1))
            return np.asarray(2 * t.sf(abs(mean_DN) / error, count_N - 1))
        rows = mean_DFMN.mean(axis=2).var(axis=1, ddof=1) / folds
        if devices == 1:
            return np.asarray(2 * t.sf(abs(mean_DN) / np.sqrt(rows), folds - 1))
    p_DN = np.ones_like(mean_DN)
    value_FMDN = np.moveaxis(mean_DFMN, 0, 2)
    for level in sorted(asked, reverse=True):
        low, high = crossed(value_FMDN, 1 - level)
        p_DN[(low > 0) | (high < 0)] = level
    return np.asarray(p_DN)


def course(p_DNC: Array, counts: Sequence[int], steps: Sequence[float]) -> tuple[Array, Array]:
    """Whether any claim was decided (D,), and the repeats until all were, or the budget (D,)."""
    draws, _, claims = p_DNC.shape
    decided, after = np.zeros((draws, claims), dtype=bool), np.full(draws, counts[-1])
    for count, level in zip(counts, steps, strict=True):
        for _ in range(claims):  # Holm's steps: the smallest p among what is left
            p_DC = np.where(decided, np.inf, p_DNC[:, count - 1])
            left = np.maximum((~decided).sum(axis=1), 1)
            found = np.flatnonzero(p_DC.min(axis=1) <= level / left)
            decided[found, p_DC[found].argmin(axis=1)] = True
        after = np.where(decided.all(axis=1), np.minimum(after, count), after)
    return np.asarray(decided.any(axis=1), dtype=float), np.asarray(after, dtype=float)


WAYS: dict[str, tuple[Sequence[int], Callable[[], Sequence[float]]]] = {
    "ours": (COUNTS, lambda: levels(COUNTS)),
    "5 % at each": (COUNTS, lambda: [ALPHA] * len(COUNTS)),
    "z, each repeat": (
        EVERY,
        lambda: [float(2 * norm.sf(z)) for z in boundaries([n / MOST for n in EVERY])],
    ),
    "one look": ((MOST,), lambda: [ALPHA]),
}


def rows(draws: int, effect: float, claims: int) -> Iterator[list[str]]:
    """For each design, how often each way decides, and after how many repeats."""
    ways = {name: (counts, steps()) for name, (counts, steps) in WAYS.items()}
    asked = {s / left for _, steps in ways.values() for s in steps for left in range(1, claims + 1)}
    for design in DESIGNS:
        for kept in KEPT if max(design) > 1 else KEPT[:1]:
            size = draws // (design[0] * design[1])
            values = (runs(design, kept, size, effect, claim) for claim in range(claims))
            p = [p_values(value, [*asked]) for value in values]
            p_DNC = np.stack(p, axis=-1)
            cells = []
            for counts, steps in ways.values():
                any_, after = course(p_DNC, counts, steps)
                cells.append(f"{100 * any_.mean():.2f}, {after.mean():.1f}")
            yield [f"{design[0]} x {design[1]}", f"{kept:g}", str(size), *cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200_000, help="of the smallest design")
    draws = parser.parse_args().draws
    found = ", ".join(f"{z:.3f}" for z in boundaries([0.2, 0.4, 0.6, 0.8, 1.0]))
    print(f"boundaries for z at five looks: {found}; published: {PUBLISHED}")
    for effect, claims in ((0.0, 1), (0.0, 4), (1.0, 1), (2.0, 1)):
        title = f"effect {effect:g}, {claims} claims: % decided, mean repeats"
        table = Table("folds x devices", "kept", "draws", *WAYS, title=title)
        for row in rows(draws, effect, claims):
            table.add_row(*row)
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
