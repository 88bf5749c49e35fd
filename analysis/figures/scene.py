"""One scene through two devices, and their difference: what a network has to see through.

Source: Figure 2 of the over-parameterization paper (Koutini et al. 2021), two spectrograms of the
same audio; the difference is ours. Contents: draw, bands.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from analysis.figures.axes import hertz_text
from analysis.figures.bands import Bands, ticks
from analysis.figures.layout import PLAIN, Style, drawing

SIZE = (11.5, 3.9)  # inches
TAILS = 0.5  # percent of the pixels beyond either end of the colours
COLOURS, DIFFERENCES = "magma", "RdBu_r"


def draw(
    features_2FN: NDArray[np.floating],
    devices: Sequence[str],
    title: str,
    bands: Bands,
    hop: float,
    style: Style = PLAIN,
) -> Figure:
    """Features through both devices on one scale, and second less first; `hop` in seconds."""
    difference_FN = features_2FN[1] - features_2FN[0]
    low, high = np.percentile(features_2FN, (TAILS, 100 - TAILS))
    most = float(np.percentile(np.abs(difference_FN), 100 - TAILS)) or 1.0
    frames = features_2FN.shape[2]
    extent = (0, frames * hop, -0.5, features_2FN.shape[1] - 0.5)
    with drawing(style):
        figure = Figure(figsize=SIZE)
        figure.set_layout_engine("compressed")
        places = figure.subplots(1, 3, sharey=True)
        for place, values_FN, device in zip(places, features_2FN, devices, strict=False):
            image = place.imshow(
                values_FN, cmap=COLOURS, vmin=low, vmax=high, extent=extent, origin="lower",
                aspect="auto",
            )  # fmt: skip
            place.set_title(device, loc="left")
        figure.colorbar(image, ax=list(places[:2]), extend="both").set_label("Standard deviations")
        apart = places[2].imshow(
            difference_FN, cmap=DIFFERENCES, vmin=-most, vmax=most, extent=extent, origin="lower",
            aspect="auto",
        )  # fmt: skip
        places[2].set_title(f"{devices[1]} less {devices[0]}", loc="left")
        figure.colorbar(apart, ax=places[2], extend="both")
        marks = ticks(bands, *places[0].get_ylim())
        places[0].set_yticks([bands.row(hz) for hz in marks], map(hertz_text, marks))
        places[0].set_ylabel("Frequency (Hz)")
        for place in places:
            place.set_xlabel("Time (s)")
            place.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def bands(features_2FN: NDArray[np.floating], devices: Sequence[str]) -> pd.DataFrame:
    """One row per band: band, its mean over time through either device, and the difference."""
    means_2F = features_2FN.mean(axis=2)
    columns = {f"mean of {d}": means_2F[k] for k, d in enumerate(devices)}
    return pd.DataFrame(
        {"band": range(means_2F.shape[1]), **columns, "difference": means_2F[1] - means_2F[0]}
    )
