"""One ERF map in pixels of its input, with the squares that hold 20, 30, 50 and 99 % of its mass.

For any module: its rows are of no known frequency and its columns of no known time.
Contents: draw.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.figures.field_drawing import CENTRE, COLOURS, FLOOR
from analysis.figures.layout import PLAIN, Style, drawing
from analysis.squares import SHARES

HEIGHT = 4.6  # inches, of the figure
WIDEST = 12.0


def draw(
    values_FN: NDArray[np.floating],
    centre: tuple[float, float],
    held: Mapping[str, float],
    title: str,
    style: Style = PLAIN,
) -> Figure:
    """The map over its maximum, on a logarithmic scale; `held` are its squares."""
    rows, columns = values_FN.shape
    with drawing(style):
        figure = Figure(figsize=(min(WIDEST, max(5.5, 2.2 + 3.2 * columns / rows)), HEIGHT))
        figure.set_layout_engine("compressed")
        place = figure.subplots()
        shown_FN = np.maximum(values_FN / values_FN.max(), FLOOR)
        image = place.imshow(shown_FN, cmap=COLOURS, norm=LogNorm(FLOOR, 1), origin="lower")
        for share in SHARES:
            side = held[f"side{share}"]
            low = tuple(at - side / 2 for at in centre)
            place.add_patch(
                Rectangle((low[1], low[0]), side, side, fill=False, edgecolor=CENTRE, lw=0.9)
            )
        place.plot([centre[1]], [centre[0]], marker="+", color=CENTRE, markersize=7)
        place.set(xlim=(-0.5, columns - 0.5), ylim=(-0.5, rows - 0.5))
        place.set(xlabel="Column (frame)", ylabel="Row (band)")
        shares = ", ".join(map(str, SHARES))
        place.set_title(f"{title}\nsquares hold {shares} % of the mass", loc="left")
        figure.colorbar(image, ax=place, extend="min").set_label("Over the map's maximum")
    return figure
