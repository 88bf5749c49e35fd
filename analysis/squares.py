"""Squares around the target of an ERF map that hold given shares of its mass: side and area.

Source: the high-contribution area ratio of Ding et al. 2022 (RepLKNet, arXiv 2203.06717): of the
smallest centred square whose contributions reach a share of all. Ours is centred on the target, not
on the input, and is of the gradients themselves: their log10(x + 1) depends on the map's scale.
Contents: SHARES, SQUARES, squares.
"""

import numpy as np
from numpy.typing import NDArray

SHARES = (20, 30, 50, 99)  # percent of the mass
SQUARES = tuple(f"{what}{share}" for what in ("side", "area") for share in SHARES)
ROUNDING = 1e-6  # of the mass, by which maps of float32 may fall short of a share


def squares(values_FN: NDArray[np.floating], centre: tuple[float, float]) -> dict[str, float]:
    """SQUARES of one map, of any scale: `side20` in pixels (mel bands and frames alike), `area20`
    as the share of the input's pixels that are in the square.

    The side counts pixels beyond the input's edge, the area does not. `centre` is row and column.
    """
    rows, columns = (
        np.abs(np.arange(length) - at) for length, at in zip(values_FN.shape, centre, strict=True)
    )
    distances, at = np.unique(np.maximum(rows[:, None], columns), return_inverse=True)
    g_FN = values_FN.astype(np.float64)
    held = np.cumsum(np.bincount(at.ravel(), weights=(g_FN / g_FN.sum()).ravel()))
    pixels = np.cumsum(np.bincount(at.ravel()))
    first = [int(np.searchsorted(held, share / 100 - ROUNDING)) for share in SHARES]
    sides = [float(round(2 * distances[k] + 1)) for k in first]
    areas = [float(pixels[k] / values_FN.size) for k in first]
    return dict(zip(SQUARES, [*sides, *areas], strict=True))
