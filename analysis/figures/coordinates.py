"""The coordinate check: how far each layer's output has moved, by width, a panel for each way.

Source: Yang et al. 2022, Figure 5. Conventions: points hold width, layer, step, size and
parametrization; drawn is the last step. Contents: draw.
"""

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures.layout import PLAIN, Style, drawing, ruled

SIZE = (8.6, 3.6)  # inches


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One line for each layer, both axes logarithmic to base 2 and 10."""
    last = points[points["step"] == points["step"].max()]
    ways = list(dict.fromkeys(last["parametrization"]))
    layers = list(dict.fromkeys(last["layer"]))
    colours = dict(zip(layers, sns.color_palette("viridis", len(layers)), strict=True))
    with drawing(style):
        figure = Figure(figsize=SIZE)
        figure.set_layout_engine("compressed")
        panels = figure.subplots(1, len(ways), sharey=True, squeeze=False)[0]
        for panel, way in zip(panels, ways, strict=True):
            for layer, rows in last[last["parametrization"] == way].groupby("layer", sort=False):
                panel.plot(
                    rows["width"], rows["size"], marker=".", color=colours[layer], label=layer
                )
            widths = sorted(last["width"].unique())
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.set_xticks(widths, map(str, widths))
            panel.set_xlabel("Width W")
            panel.set_title(way, loc="left")
            ruled(panel, "y")
        steps = int(points["step"].max())
        panels[0].set_ylabel(f"Move of its output in {steps} step{'s' if steps > 1 else ''} (RMS)")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", title="Layer", frameon=False)
    return figure
