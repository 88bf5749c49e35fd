"""Accuracy against parameters, by family, on seen and on unseen devices.

Source: the central figure of a scaling study: does a bigger network still hear better on devices
that it never heard? (CP-ResNet on TAU 2020 Mobile: width, depth, 1x1 blocks, damping.)
Conventions: a point is one size of one family on one split, a run is a trial (a seed of a fold);
accuracies are fractions in the points and percent in the drawing.
Contents: points, draw.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from analysis.intervals import mean_interval
from analysis.table import SIZE

SPLITS = ("seen", "unseen", "test", "validation", "train")  # panels from left to right
NOT_HELD_OUT = ("validation", "train")  # drawn only when asked for
COSTS = ("parameters", "kept_weights", "macs", "receptive_field")
DIALS = tuple(name.removeprefix("network.") for name in SIZE)
MARKERS = "osD^vPX*<>"
TITLE = "Accuracy against parameters"
DESCRIBED = {
    "seen": "Seen devices",
    "unseen": "Unseen devices",
    "test": "Test clips",
    "validation": "Validation clips",
    "train": "Training clips",
}
HEADING = 0.62  # inches above the panels for title and caption
COLOURS = 10  # in seaborn's colour-blind-safe palette
SHIFT = 3.0  # typographic points from family to family, at most
LETTER = 0.072  # inches, wide: of the legend
GREY = "0.35"


def points(scores: pd.DataFrame, splits: Sequence[str] | None = None) -> pd.DataFrame:
    """Mean accuracy and 95 % t interval over runs of each size of each family on each split.

    `scores` is table.scores'; `splits` None: all that are held out, validation excepted.
    Columns: family, width, depth, pointwise, parameters, kept_weights, macs, receptive_field,
    split, mean, low, high (fractions; low and high nan where n is 1), n, trials (ids of the runs).
    Raises ValueError for a split that no complete trial scored.
    """
    recorded = scores["split"].unique()
    wanted = [s for s in recorded if s not in NOT_HELD_OUT] if splits is None else list(splits)
    absent = [f"the split {s}" for s in wanted if s not in recorded]
    if absent or not wanted:
        raise ValueError(
            f"no accuracy of {', '.join(absent) or 'held-out clips'} to draw: "
            f"the complete trials scored {', '.join(recorded) or 'nothing'}"
        )
    chosen = scores[(scores["device"] == "all") & scores["split"].isin(wanted)]
    chosen = chosen.rename(columns=dict(zip(SIZE, DIALS, strict=True)))
    keys = ["family", *DIALS, *COSTS, "split"]
    rows = [
        dict(zip(keys, key, strict=True))
        | mean_interval(runs["value"])._asdict()
        | {"trials": " ".join(runs["trial"])}
        for key, runs in chosen.groupby(keys)
    ]
    frame = pd.DataFrame(rows)
    rank = {split: place for place, split in enumerate(SPLITS)}
    order = frame["split"].map(lambda split: (rank.get(split, len(SPLITS)), split))
    return (
        frame.assign(order=order)
        .sort_values(["order", "family", "parameters", *DIALS])
        .drop(columns="order")
        .reset_index(drop=True)
    )


def draw(points: pd.DataFrame) -> Figure:
    """One panel per split with a shared accuracy axis; colour by family, lines along one dial.

    The dial is the size number that takes most values (width before depth before pointwise);
    sizes that differ in the others get markers, and lines, of their own. Families of one size
    stand side by side, less than a marker apart, so that their intervals do not hide each other.
    """
    splits = list(points["split"].unique())
    shaped = points.assign(shape=_shapes(points))
    looks = _looks(shaped)
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        legend = _legend(shaped, looks)
        longest = max((len(str(entry.get_label())) for entry in legend), default=0)
        beside = 0.5 + LETTER * longest if legend else 0.0
        figure = Figure(figsize=(0.9 + 2.9 * len(splits) + beside, 3.7))
        top = 1 - HEADING / figure.get_figheight()
        figure.set_layout_engine("constrained", rect=(0, 0, 1, top))
        panels = figure.subplots(1, len(splits), sharex=True, sharey=True, squeeze=False)[0]
        for panel, split in zip(panels, splits, strict=True):
            _panel(panel, shaped[shaped["split"] == split], looks, _usual_n(points))
            _axis(panel, points["parameters"].min(), points["parameters"].max())
            panel.set_title(DESCRIBED.get(split, split), loc="left")
        panels[0].set_ylabel("Accuracy (%)")
        if legend:
            panels[-1].legend(
                handles=legend, loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False
            )
        _heading(figure, points)
    return figure


class Look(NamedTuple):
    """How the points of one family and shape are drawn."""

    colour: tuple[float, float, float]
    marker: str
    shift: float  # to the right, in typographic points: families of one size would hide each other


def _looks(shaped: pd.DataFrame) -> dict[tuple[str, str], Look]:
    """A look for each (family, shape): colours tell families, markers tell shapes, if any."""
    families, shapes = sorted(shaped["family"].unique()), sorted(shaped["shape"].unique())
    named = "colorblind" if len(families) <= COLOURS else "husl"
    colours = sns.color_palette(named, len(families))
    step = min(SHIFT, 2 * SHIFT / max(len(families) - 1, 1))
    looks = {}
    for i, family in enumerate(families):
        for j, shape in enumerate(shapes):
            marker = MARKERS[(j if len(shapes) > 1 else i) % len(MARKERS)]
            shift = step * (i - (len(families) - 1) / 2)
            looks[family, shape] = Look(colours[i], marker, shift)
    return looks


def _shapes(points: pd.DataFrame) -> "pd.Series[str]":
    """What tells sizes apart besides the dial, as text; empty where only one number is varied."""
    dial = max(DIALS, key=lambda name: points[name].nunique())
    rest = [name for name in DIALS if name != dial and points[name].nunique() > 1]
    texts = [", ".join(f"{name} {row[name]}" for name in rest) for _, row in points.iterrows()]
    return pd.Series(texts, index=points.index, dtype="str")


def _panel(
    panel: Axes, rows: pd.DataFrame, looks: dict[tuple[str, str], Look], usual_n: int
) -> None:
    """One split's points with their intervals; n stands beside a point where it is unusual."""
    for (family, shape), look in looks.items():
        line = rows[(rows["family"] == family) & (rows["shape"] == shape)]
        shift = ScaledTranslation(look.shift / 72, 0, panel.figure.dpi_scale_trans)
        mean, low, high = (100 * line[name].to_numpy() for name in ("mean", "low", "high"))
        panel.errorbar(
            line["parameters"],
            mean,
            yerr=[mean - low, high - mean],
            color=look.colour,
            marker=look.marker,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.4,
            elinewidth=1,
            capsize=2,
            transform=panel.transData + shift,
        )
        for edge in (mean, low, high):  # matplotlib takes no limits from shifted artists
            panel.update_datalim(np.column_stack([line["parameters"], edge]))
        for x, y, bottom, n in zip(line["parameters"], mean, low, line["n"], strict=True):
            if n != usual_n:
                panel.annotate(
                    f"n={n}",
                    (x, np.nanmin([y, bottom])),
                    xytext=(look.shift, -5),
                    textcoords="offset points",
                    ha="center",
                    va="top",
                    fontsize="small",
                    color=look.colour,
                    path_effects=[withStroke(linewidth=2, foreground="white")],
                )
    panel.margins(y=0.09)  # room for an n below the lowest interval
    panel.autoscale_view()
    panel.grid(axis="y", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def _axis(panel: Axes, smallest: int, largest: int) -> None:
    """A logarithmic axis of parameters with at least two labels and none that touch."""
    padding = max((largest / smallest) ** 0.08, 1.3)
    left, right = smallest / padding, largest * padding
    panel.set_xscale("log")
    panel.set_xlim(left, right)
    decades = np.log10(right / left)
    if decades < 1.2:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10]))
        panel.xaxis.set_minor_locator(NullLocator())
    else:
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3) if decades < 2.2 else (1,)))
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel("Parameters")


def _heading(figure: Figure, points: pd.DataFrame) -> None:
    """Title and caption, which says what the intervals are and over how many runs."""
    usual = _usual_n(points)
    uneven = (points["n"] != usual).any()
    if usual == 1:
        caption = "one run per point, no interval"
        if uneven:
            caption += "; mean and 95 % t interval where n is given"
    else:
        caption = f"mean and 95 % t interval over {usual} runs"
        if uneven:
            caption += " unless n is given"
        if (points["n"] == 1).any():
            caption += " (n=1: no interval)"
    families = points["family"].unique()
    if len(families) == 1:
        caption = f"{families[0]}; {caption}"
    left, inch = 0.08 / figure.get_figwidth(), 1 / figure.get_figheight()
    figure.text(left, 1 - 0.10 * inch, TITLE, va="top", fontsize="large", fontweight="bold")
    figure.text(left, 1 - 0.34 * inch, caption, va="top", fontsize="medium", color=GREY)


def _legend(shaped: pd.DataFrame, looks: dict[tuple[str, str], Look]) -> list[Line2D]:
    """Families by colour, then shapes by marker where there are several."""
    families, shapes = sorted(shaped["family"].unique()), sorted(shaped["shape"].unique())
    first = {family: looks[family, shapes[0]] for family in families}
    marked = len(shapes) > 1
    handles = [
        Line2D([], [], color=look.colour, marker="" if marked else look.marker, label=family)
        for family, look in first.items()
        if len(families) > 1
    ]
    if marked:
        handles += [
            Line2D([], [], color=GREY, linestyle="", marker=looks[families[0], s].marker, label=s)
            for s in shapes
        ]
    return handles


def _usual_n(points: pd.DataFrame) -> int:
    """The commonest number of runs; the largest of several such."""
    return int(points["n"].mode().max())
