"""analysis.squares against maps whose squares can be written down."""

import math

import numpy as np
import pytest

from analysis.squares import SHARES, SQUARES, squares


def test_a_delta_is_in_one_pixel():
    map_FN = np.zeros((8, 20))
    map_FN[5, 3] = 7
    told = squares(map_FN, (5, 3))
    assert list(told) == list(SQUARES)
    assert [told[f"side{share}"] for share in SHARES] == [1] * 4
    assert [told[f"area{share}"] for share in SHARES] == [1 / 160] * 4


def test_a_uniform_map_is_in_as_much_area_as_mass():
    """1000 x 1000, as RepLKNet's: side ** 2 over the area is the share, to the next odd side."""
    told = squares(np.full((1001, 1001), 3, np.float32), (500, 500))
    for share in SHARES:
        side = told[f"side{share}"]
        assert told[f"area{share}"] == side**2 / 1001**2
        assert side % 2 == 1
        assert (side - 2) ** 2 < share / 100 * 1001**2 <= side**2


@pytest.mark.parametrize("sigma", [8.0, 20.0])
def test_a_gaussian_is_in_squares_of_erf(sigma):
    """The mass within reach a of both axes is erf(a / (sqrt(2) sigma)) ** 2; any scale, one type
    of number as the other.
    """
    rows, columns = np.arange(301)[:, None] - 150, np.arange(401) - 180
    map_FN = np.exp(-(rows**2 + columns**2) / (2 * sigma**2))
    told = squares(map_FN, (150, 180))
    for share in SHARES:
        side = told[f"side{share}"]
        held = [math.erf(a / 2 / (math.sqrt(2) * sigma)) ** 2 for a in (side - 2, side)]
        assert held[0] - 1e-3 < share / 100 <= held[1] + 1e-3
    assert told == squares((1e-12 * map_FN).astype(np.float32), (150, 180))


def test_squares_are_around_the_target_and_clipped_in_area_only():
    map_FN = np.zeros((4, 6))
    map_FN[0, 0] = map_FN[3, 5] = 1  # half of it at the target, half in the far corner
    told = squares(map_FN, (0, 0))
    assert [told[f"side{share}"] for share in SHARES] == [1, 1, 1, 11]
    assert told["area99"] == 1
    even = squares(np.ones((2, 2)), (0.5, 0.5))  # an even field is centred between pixels
    assert (even["side20"], even["area20"]) == (2, 1)
