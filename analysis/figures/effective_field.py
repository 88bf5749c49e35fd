"""Maps of effective receptive fields (ERF), side by side: what each model looks at, and how far.

Source: figures 7 to 16 of the over-parameterization paper (Koutini et al. 2021), which state
neither scale nor reduction; ours: facts, cp_resnet, section 7. Conventions: maps are those of the
records, mel bands x frames, cropped to the maximum receptive field; a panel is one model, its map
and its numbers the means over its trials (seeds and folds), each map with equal weight.
Contents: Bands (mel bands and Hz), Panel, panels, draw.
"""

import math
import textwrap
import warnings
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from analysis.families import SIZE, families
from analysis.figures.page import GREY, LETTER, LINE, style

NUMBERS = ("sigma_f", "sigma_t", "f50", "t50", "f95", "t95", "luo_side", "participation")
Scale = Literal["linear", "log"]
SCALES: tuple[Scale, ...] = ("linear", "log")
TITLE = "Effective receptive fields"
FLOOR = 1e-3  # of a map's maximum: the darkest colour of the logarithmic scale
PEAK = 99.9  # percentile of all panels' pixels that the linear scale ends at: single ones go higher
INSIDE = 1 - 1e-6  # share of the mass inside the maximum field below which the crop hides some
LONGEST = 26  # letters in a line of a title
COLUMNS = 5  # of panels, at most
WIDTH = 1.9  # inches, of a panel's map
BESIDE, BELOW = 0.45, 1.15  # inches beside a map and below it: ticks; ticks, numbers, titles
TICKS = 7  # in Hz on an axis, at most
COLOURS = "magma"  # dark is nothing; even to the eye, and to the colour-blind
BEYOND = "0.93"  # where a panel shows what lies outside the maximum field


class Bands(NamedTuple):
    """The mel bands of a front end; a band's frequency is its centre's."""

    mels: int
    low: float  # Hz
    high: float  # Hz

    def row(self, hz: float) -> float:
        """The row, counted from 0, whose band is centred on this frequency."""
        low, at, high = (_slaney(f) for f in (self.low, hz, self.high))
        return (at - low) / (high - low) * (self.mels + 1) - 1


class Panel(NamedTuple):
    """What one panel shows."""

    title: str  # family, and below it the size and the number of trials
    values_FN: NDArray[np.float64]  # the mean of maps that each sum to 1, cropped
    corner: tuple[int, int]  # row and column of the map that values_FN begin at
    centre: tuple[float, float]  # row and column of the target
    bands: Bands
    hop: float  # seconds per frame
    numbers: dict[str, float]  # NUMBERS
    trials: tuple[str, ...]
    about: str  # what was differentiated, and on which clips


def panels(
    maps: pd.DataFrame, manifest: pd.DataFrame, kind: str = "feature", split: str = "test"
) -> list[Panel]:
    """One panel per model, by family, width, depth and pointwise; pure.

    `maps` are records as in scaling.results.schemas.SCHEMAS, of which the last epoch of each trial
    counts; `manifest` is table.manifest's. Raises ValueError for a kind or split without maps and
    for a map of a trial that was not planned. Warns where mass lies outside the crop.
    """
    here = maps[(maps["kind"] == kind) & (maps["split"] == split)]
    if here.empty:
        known = sorted({f"{k} on {s}" for k, s in zip(maps["kind"], maps["split"], strict=True)})
        raise ValueError(
            f"no map of {kind} on {split} to draw: there are {', '.join(known) or 'none'}"
        )
    here = here.sort_values("epoch", kind="stable").drop_duplicates("trial", keep="last")
    if unplanned := sorted(set(here["trial"]) - set(manifest["trial"])):
        raise ValueError(
            f"map of {unplanned[0]}: no manifest plans this trial (nor {len(unplanned) - 1} more): "
            "move it away"
        )
    planned = manifest[manifest["trial"].isin(here["trial"])]
    planned = planned.assign(family=families(planned))
    joined = here.merge(planned, on="trial", validate="one_to_one")
    outside = joined[joined["inside"] < INSIDE]
    if len(outside):
        warnings.warn(
            f"{len(outside)} of {len(joined)} maps have mass outside their maximum field (as little"
            f" as {outside['inside'].min():.4f} inside), which is not drawn",
            stacklevel=2,
        )
    return [_panel(trials) for _, trials in joined.groupby(["family", *SIZE])]


def _panel(trials: pd.DataFrame) -> Panel:
    """The mean over trials of one model."""
    first = trials.iloc[0]
    size = (int(first["rows"]), int(first["columns"]))
    centre = (float(first["row"]), float(first["column"]))
    alike = ["rows", "columns", "row", "column", "receptive_field"]
    assert (trials[alike] == first[alike]).all(axis=None), f"one model, several {alike}"
    shares = [np.asarray(values, np.float64).reshape(size) for values in trials["values"]]
    mean_FN = np.mean([share / share.sum() for share in shares], axis=0)
    reach = (int(first["receptive_field"]) - 1) / 2
    (top, bottom), (left, right) = (
        (max(0, round(at - reach)), min(length - 1, round(at + reach)))
        for at, length in zip(centre, size, strict=True)
    )
    width, depth, pointwise = (first[name] for name in SIZE)
    rate = float(first["sound.rate"])
    high = float(first["sound.features.high"]) or rate / 2
    return Panel(
        title=f"{first['family']}\nW {width}, D {depth}, K {pointwise} (n = {len(trials)})",
        values_FN=mean_FN[top : bottom + 1, left : right + 1],
        corner=(top, left),
        centre=centre,
        bands=Bands(int(first["sound.features.mels"]), float(first["sound.features.low"]), high),
        hop=float(first["sound.features.hop"]) / rate,
        numbers={name: float(trials[name].mean()) for name in NUMBERS},
        trials=tuple(trials["trial"]),
        about=f"{first['kind']}, {first['split']} clips",
    )


def draw(panels: list[Panel], scale: Scale = "log") -> Figure:
    """A grid of panels with one colour scale, and axes on which a band and a frame are one size.

    log: each map over its own maximum, down to FLOOR: shapes. linear: share of the mass per pixel:
    how concentrated each is beside the others. Raises ValueError for another scale or no panel.
    """
    if scale not in SCALES:
        raise ValueError(f"scale={scale}: one of {', '.join(SCALES)}")
    if not panels:
        raise ValueError("no panel to draw: give the maps of at least one trial")
    extents = np.array([_extent(panel) for panel in panels])
    left, bottom = extents[:, [0, 2]].min(axis=0)
    right, top = extents[:, [1, 3]].max(axis=0)
    hop = min(panel.hop for panel in panels)
    rows = math.ceil(len(panels) / COLUMNS)
    columns = math.ceil(len(panels) / rows)
    height = WIDTH * (top - bottom) / ((right - left) / hop)
    with style():
        width = 1.6 + columns * (WIDTH + BESIDE)
        caption = textwrap.wrap(_caption(panels[0]), int((width - 0.2) / LETTER))
        heading = 0.45 + LINE * len(caption)
        total = heading + 0.4 + rows * (height + BELOW)
        figure = Figure(figsize=(width, total))
        figure.set_layout_engine("compressed", rect=(0, 0, 1, 1 - heading / total), h_pad=0.06)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        norm = _norm(panels, scale)
        for place, panel in zip(grid.flat, panels, strict=False):
            _map(place, panel, norm)
            place.set(xlim=(left, right), ylim=(bottom, top), aspect=hop)
        for place in grid.flat[len(panels) :]:
            place.set_visible(False)
        _axes(list(grid.flat[: len(panels)]), panels, columns)
        bar = figure.colorbar(
            ScalarMappable(norm, COLOURS),
            ax=grid,
            aspect=20 * rows,
            fraction=0.05,
            pad=0.02,
            extend="min" if scale == "log" else "max",
            format=FuncFormatter(lambda share, _: f"{share:g}"),  # matplotlib's own is a formula
        )
        figure.supxlabel("Time from the target (s)", fontsize="medium")
        bar.set_label("Over the map's maximum" if scale == "log" else "Share of the map's sum")
        left, top = 0.08 / width, 1 - 0.10 / total
        figure.text(left, top, TITLE, va="top", fontsize="large", fontweight="bold")
        figure.text(
            left, 1 - 0.34 / total, "\n".join(caption), va="top", fontsize="medium", color=GREY
        )
    return figure


def _extent(panel: Panel) -> tuple[float, float, float, float]:
    """Left and right in seconds from the target, bottom and top in mel bands; pixels' edges."""
    bottom, left = (at - 0.5 for at in panel.corner)
    height, width = panel.values_FN.shape
    sides = (left, left + width)
    return (*((side - panel.centre[1]) * panel.hop for side in sides), bottom, bottom + height)


def _norm(panels: list[Panel], scale: str) -> Normalize:
    """The one colour scale of all panels."""
    return LogNorm(FLOOR, 1) if scale == "log" else Normalize(0, _peak(panels))


def _peak(panels: list[Panel]) -> float:
    """Where the linear scale ends: a few pixels of a speckled map would darken all the others."""
    return float(max(np.percentile(panel.values_FN, PEAK) for panel in panels))


def _map(place: Axes, panel: Panel, norm: Normalize) -> None:
    """One map, its title, and its numbers below it."""
    drawn_FN = panel.values_FN
    if isinstance(norm, LogNorm):
        drawn_FN = np.maximum(drawn_FN / drawn_FN.max(), FLOOR)
    place.imshow(drawn_FN, cmap=COLOURS, norm=norm, extent=_extent(panel), origin="lower")
    place.set_facecolor(BEYOND)
    wrapped = (textwrap.fill(line, LONGEST) for line in panel.title.splitlines())
    place.set_title("\n".join(wrapped), loc="left", fontsize="medium")
    of = panel.numbers
    lines = (
        f"σ {of['sigma_f']:.1f} × {of['sigma_t']:.1f}",
        f"50 %: {of['f50']:.0f} × {of['t50']:.0f},  95 %: {of['f95']:.0f} × {of['t95']:.0f}",
        f"Luo {of['luo_side']:.1f},  participation {of['participation']:,.0f}",
    )
    place.set_xlabel("\n".join(lines), fontsize="small", loc="left", color=GREY)


def _axes(places: list[Axes], panels: list[Panel], columns: int) -> None:
    """Ticks: mel bands on the left, Hz on the right, seconds below the lowest panels."""
    alike = len({panel.bands for panel in panels}) == 1
    for i, (place, panel) in enumerate(zip(places, panels, strict=True)):
        place.tick_params(labelbottom=i + columns >= len(panels), labelsize="small")
        place.locator_params(nbins=5)
        hertz = place.secondary_yaxis("right")
        last = i % columns == columns - 1 or i == len(panels) - 1
        ticks = _ticks(panel.bands, *place.get_ylim())
        hertz.set_yticks([panel.bands.row(hz) for hz in ticks])
        hertz.set_yticklabels([f"{hz:g}" if hz < 1000 else f"{hz / 1000:g}k" for hz in ticks])
        hertz.tick_params(labelright=last or not alike, labelsize="small")
        if last:
            hertz.set_ylabel("Frequency (Hz)", fontsize="small")
        if i % columns == 0:
            place.set_ylabel("Mel band", fontsize="small")


def _ticks(bands: Bands, bottom: float, top: float) -> list[float]:
    """Frequencies 1, 2, 5 times a power of ten on this stretch of rows, from the highest down, none
    too near the next.
    """
    found: list[float] = []
    for hz in (base * 10.0**power for power in (4, 3, 2) for base in (5, 2, 1)):
        row = bands.row(hz)
        near = found and bands.row(found[-1]) - row < (top - bottom) / TICKS
        if max(bottom, 0) <= row <= min(top, bands.mels - 1) and not near:
            found.append(hz)
    return found


def _caption(panel: Panel) -> str:
    """What is drawn, and what the numbers are."""
    return (
        f"mean absolute gradient of the middle pixel ({panel.about}); below: standard deviation, "
        "central widths (mel bands × frames), Luo side, participation ratio; means over n trials"
    )


def _slaney(hz: float) -> float:
    """The mel scale of M. Slaney's Auditory Toolbox (1998): 200/3 Hz per mel up to 1 kHz, from
    there on 27 mel per factor of 6.4.
    """
    return hz * 0.015 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)
