"""Maps of effective receptive fields (ERF), side by side: what each model looks at, and how far.

Source: figures 7 to 16 of the over-parameterization paper (Koutini et al. 2021), which state
neither scale nor reduction; ours: facts, cp_resnet, section 7. Conventions: maps are those of the
records, bands x frames, cropped to the maximum receptive field; a panel is one model, its map
and its numbers the means over its trials (seeds and folds), each map with equal weight. Hatched is
what a field reaches of the padding around its input.
Contents: NUMBERS, EffectiveField, LOG, LINEAR, means, Bands (rows and Hz), Panel, panels,
draw.
"""

import math
import textwrap
import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from analysis.aggregate import DIMENSIONS, SPLITS
from analysis.conditions import SIZE, labels, varied
from analysis.data import Data
from analysis.figures.axes import hertz_text
from analysis.figures.layout import BOLD, GREY, LETTER, LINE, NARROW, PLAIN, Style, drawing, folded
from analysis.listing import Listing, of_fields
from scaling.sound.mel import erb, htk, slaney

NUMBERS = ("sigma_f", "sigma_t", "f50", "t50", "f95", "t95", "luo_side", "participation")
Scale = Literal["linear", "log"]
SCALES: tuple[Scale, ...] = ("linear", "log")
TITLE = "Effective receptive fields"
SECONDS = "Time from the target (s)"
OCTAVES = ("cqt", "vqt")  # front ends whose bands are counted by octaves
NAMES = {"gammatone": "Gammatone band", "cqt": "CQT bin", "vqt": "VQT bin"}
FLOOR = 1e-3  # of a map's maximum: the darkest colour of the logarithmic scale
PEAK = 99.9  # percentile of all panels' pixels that the linear scale ends at: single ones go higher
INSIDE = 1 - 1e-6  # share of the mass inside the maximum field below which the crop hides some
LONGEST = 26  # letters in a line of a title
COLUMNS = 5  # of panels, at most
WIDTH = 1.9  # inches, of a panel's map
SMALLEST = 0.85  # inches, of a map in a narrow figure
BESIDE, BELOW = 0.45, 1.15  # inches beside a map and below it: ticks; ticks, numbers, titles
TICKS = 7  # in Hz on an axis, at most
COLOURS = "magma"  # dark is nothing; even to the eye, and to the colour-blind
BEYOND = "0.93"  # where a panel shows what lies outside the maximum field
MARGIN = 0.06  # of the axes: how much of the padding is shown, at most
CENTRE = "#00e5ff"  # of the cross at the target: in no colour map of ours


class EffectiveField(NamedTuple):
    """The figure of the maps on one colour scale."""

    scale: Scale
    kind: str = "feature"  # what was differentiated
    split: str = ""  # whose clips; the last of SPLITS' held-out ones with maps, unless given

    def obstacle(self, data: Data) -> str | None:
        """Why there is nothing to draw: no map was computed."""
        if not self._split(data.maps()):
            return f"no map of {self.kind} was computed: run `overhear erf` on these results"
        return None

    def points(self, data: Data) -> pd.DataFrame:
        """One row per model, as `means` gives them."""
        maps = data.maps()
        return means(maps, data.manifest, self.kind, self.split or self._split(maps))

    def draw(self, points: pd.DataFrame, style: Style = PLAIN) -> Figure:
        """A panel per model."""
        return draw(panels(points), self.scale, style)

    def listing(self, name: str, points: pd.DataFrame) -> Listing:
        """The numbers of each model."""
        about = f"{points['kind'].iloc[0]}, {points['split'].iloc[0]} clips"
        return of_fields(f"{name} ({about})", points, NUMBERS)

    def _split(self, maps: pd.DataFrame) -> str:
        """The split whose maps are drawn; "" where there are none."""
        known = set(maps.loc[maps["kind"] == self.kind, "split"])
        if self.split:
            return self.split if self.split in known else ""
        preferred = [split for split in ("unseen", "test", *SPLITS) if split in known]
        return (preferred or sorted(known) or [""])[0]


LOG, LINEAR = EffectiveField("log"), EffectiveField("linear")


class Bands(NamedTuple):
    """The bands of a front end; a band's frequency is its centre's."""

    kind: str  # of the front end
    number: int
    low: float  # Hz
    high: float  # Hz
    per_octave: int  # of cqt and vqt

    def row(self, hz: float) -> float:
        """The row, counted from 0, whose band is centred on this frequency."""
        if self.kind in OCTAVES:
            return self.per_octave * math.log2(hz / self.low)
        scale = {"gammatone": erb, "vggish": htk}.get(self.kind, slaney)
        low, at, high = (scale(f) for f in (self.low, hz, self.high))
        share = (at - low) / (high - low)
        # the lowest gammatone is centred on `low`, the lowest triangle begins there
        return share * self.number if self.kind == "gammatone" else share * (self.number + 1) - 1

    @property
    def name(self) -> str:
        """What one is called on an axis."""
        return NAMES.get(self.kind, "Mel band")


class Panel(NamedTuple):
    """What one panel shows."""

    title: str  # condition, and below it the size and the number of trials
    values_FN: NDArray[np.float64]  # the mean of maps that each sum to 1, cropped
    corner: tuple[int, int]  # row and column of the map that values_FN begin at
    centre: tuple[float, float]  # row and column of the target
    size: tuple[int, int]  # bands and frames of the input
    reach: float  # pixels from the target to the edge of the maximum field
    bands: Bands
    hop: float  # seconds per frame
    numbers: dict[str, float]  # NUMBERS
    trials: tuple[str, ...]
    about: str  # what was differentiated, and on which clips


def means(
    maps: pd.DataFrame, manifest: pd.DataFrame, kind: str = "feature", split: str = "test"
) -> pd.DataFrame:
    """One row per model, by condition, width, depth and pointwise; pure.

    `maps` are records as in scaling.results.schemas.SCHEMAS, of which the last epoch of each trial
    counts; `manifest` is table.manifest's. Columns: family (the condition in words), condition
    columns, width, depth, pointwise, n (trials), NUMBERS, kind, split, trials, and what `panels`
    needs: values_FN (the mean of maps that each sum to 1, cropped), top and left (its corner),
    row and column (the target), rows and columns (the input), reach, frontend (its kind), bands,
    low, high, per_octave, hop.
    Raises ValueError for a kind or split without maps and for a map of a trial that was not
    planned. Warns where mass lies outside the crop.
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
    conditions = varied(planned)
    joined = here.merge(planned, on="trial", validate="one_to_one")
    outside = joined[joined["inside"] < INSIDE]
    if len(outside):
        warnings.warn(
            f"{len(outside)} of {len(joined)} maps have mass outside their maximum field (as little"
            f" as {outside['inside'].min():.4f} inside), which is not drawn",
            stacklevel=2,
        )
    keys = [*conditions, *SIZE]
    rows = [
        dict(zip([*conditions, *DIMENSIONS], key, strict=True)) | _mean(trials)
        for key, trials in joined.groupby(keys, dropna=False)
    ]
    frame = pd.DataFrame(rows)
    frame.insert(0, "family", labels(frame))
    return frame.sort_values(["family", *DIMENSIONS], ignore_index=True)


def _mean(trials: pd.DataFrame) -> dict[str, Any]:
    """The mean over trials of one model."""
    first = trials.iloc[0]
    size = (int(first["rows"]), int(first["columns"]))
    centre = (float(first["row"]), float(first["column"]))
    alike = ["rows", "columns", "row", "column", "receptive_field"]
    known = trials[alike].fillna(-1)  # the field of a person's own network is not known
    assert (known == known.iloc[0]).all(axis=None), f"one model, several {alike}"
    shares = [np.asarray(values, np.float64).reshape(size) for values in trials["values"]]
    mean_FN = np.mean([share / share.sum() for share in shares], axis=0)
    side = first["receptive_field"]
    far = max(max(at, length - 1 - at) for at, length in zip(centre, size, strict=True))
    reach = float(far) if pd.isna(side) else (int(side) - 1) / 2
    (top, bottom), (left, right) = (
        (max(0, round(at - reach)), min(length - 1, round(at + reach)))
        for at, length in zip(centre, size, strict=True)
    )
    rate = float(first["sound.rate"])
    return {
        "n": len(trials),
        **{name: float(trials[name].mean()) for name in NUMBERS},
        "kind": first["kind"],
        "split": first["split"],
        "trials": " ".join(trials["trial"]),
        "values_FN": mean_FN[top : bottom + 1, left : right + 1],
        "top": top,
        "left": left,
        "row": centre[0],
        "column": centre[1],
        "rows": size[0],
        "columns": size[1],
        "reach": reach,
        "frontend": first["sound.features.kind"],
        "bands": int(first["sound.features.mels"]),
        "low": float(first["sound.features.low"]),
        "high": float(first["sound.features.high"]) or rate / 2,
        "per_octave": int(first["sound.features.bins_per_octave"]),
        "hop": float(first["sound.features.hop"]) / rate,
    }


def panels(points: pd.DataFrame) -> list[Panel]:
    """One panel per row, under a title made from its condition columns."""
    rows = zip(labels(points), points.to_dict("records"), strict=True)
    return [
        Panel(
            title=f"{family}\nW {row['width']}, D {row['depth']}, K {row['pointwise']} "
            f"(n = {row['n']})",
            values_FN=row["values_FN"],
            corner=(row["top"], row["left"]),
            centre=(row["row"], row["column"]),
            size=(row["rows"], row["columns"]),
            reach=row["reach"],
            bands=Bands(*(row[n] for n in ("frontend", "bands", "low", "high", "per_octave"))),
            hop=row["hop"],
            numbers={name: row[name] for name in NUMBERS},
            trials=tuple(row["trials"].split()),
            about=f"{row['kind']}, {row['split']} clips",
        )
        for family, row in rows
    ]


def draw(panels: list[Panel], scale: Scale = "log", style: Style = PLAIN) -> Figure:
    """A grid of panels with one colour scale, and axes on which a band and a frame are one size.

    log: each map over its own maximum, down to FLOOR: shapes. linear: share of the mass per pixel:
    how concentrated each is beside the others. Raises ValueError for another scale or no panel.
    """
    if scale not in SCALES:
        raise ValueError(f"scale={scale}: one of {', '.join(SCALES)}")
    if not panels:
        raise ValueError("no panel to draw: give the maps of at least one trial")
    limits = _limits(panels)
    left, right, bottom, top = limits
    hop = min(panel.hop for panel in panels)
    size = style.scale
    beside, below, line = BESIDE * size, BELOW * size, LINE * size
    narrow = style.width is not None and style.width < NARROW
    most, map_width = COLUMNS, WIDTH
    if style.width is not None:
        room = style.width - (0.7 if narrow else 1.6) * size
        most = max(1, min(COLUMNS, int(room / (SMALLEST + beside))))
        rows = math.ceil(len(panels) / most)
        map_width = min(room / math.ceil(len(panels) / rows) - beside, WIDTH * 1.6)
    rows = math.ceil(len(panels) / most)
    columns = math.ceil(len(panels) / rows)
    height = map_width * (top - bottom) / ((right - left) / hop)
    letters = int((map_width + beside) / (LETTER * size * 0.92))
    with drawing(style):
        width = style.width or 1.6 + columns * (WIDTH + BESIDE)
        words = _caption(panels, limits)
        caption = textwrap.wrap(words, int((width - 0.2) / (LETTER * size))) if style.title else []
        title = folded(style.renamed(TITLE), int((width - 0.2) / (BOLD * size)))
        heading = 0.28 * size * (title.count("\n") + 1) + 0.17 if style.title else 0.05
        heading += line * len(caption)
        more = line * (_lines(panels, letters, style) - 5.5)
        total = heading + 0.4 + rows * (height + below + more) + (0.55 * size if narrow else 0)
        total = style.height or total
        figure = Figure(figsize=(width, total))
        figure.set_layout_engine("compressed", rect=(0, 0, 1, 1 - heading / total), h_pad=0.06)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        norm = _norm(panels, scale)
        for place, panel in zip(grid.flat, panels, strict=False):
            _map(place, panel, norm, letters, style)
            place.set(xlim=(left, right), ylim=(bottom, top), aspect=hop)
            _padding(place, panel)
        for place in grid.flat[len(panels) :]:
            place.set_visible(False)
        _axes(list(grid.flat[: len(panels)]), panels, columns, style, narrow)
        bar = figure.colorbar(
            ScalarMappable(norm, COLOURS),
            ax=grid,
            aspect=30 if narrow else 20 * rows,
            fraction=0.05,
            pad=0.02,
            location="bottom" if narrow else "right",
            extend="min" if scale == "log" else "max",
            format=FuncFormatter(lambda share, _: f"{share:g}"),  # matplotlib's own is a formula
        )
        bar.set_label("Over the map's maximum" if scale == "log" else "Share of the map's sum")
        if style.title:
            at = 0.08 / width, 1 - 0.10 / total
            figure.text(*at, title, va="top", fontsize="large", fontweight="bold")
            at = 0.08 / width, 1 - (0.10 + 0.24 * size * (title.count("\n") + 1)) / total
            text = "\n".join(caption)
            figure.text(*at, text, va="top", fontsize="medium", color=GREY)
    return figure


def _extent(panel: Panel) -> tuple[float, float, float, float]:
    """Left and right in seconds from the target, bottom and top in bands; pixels' edges."""
    bottom, left = (at - 0.5 for at in panel.corner)
    height, width = panel.values_FN.shape
    sides = (left, left + width)
    return (*((side - panel.centre[1]) * panel.hop for side in sides), bottom, bottom + height)


def _input(panel: Panel) -> tuple[float, float, float, float]:
    """The same of the whole input."""
    rows, columns = panel.size
    left, right = ((side - 0.5 - panel.centre[1]) * panel.hop for side in (0, columns))
    return left, right, -0.5, rows - 0.5


def _limits(panels: list[Panel]) -> tuple[float, float, float, float]:
    """What the axes show: every field, and a little of the padding where one reaches it."""
    extents = np.array([_extent(panel) for panel in panels])
    low, high = extents.min(axis=0)[[0, 2]], extents.max(axis=0)[[1, 3]]
    most = MARGIN * (high - low)
    first, last = low.copy(), high.copy()
    for panel in panels:
        reach = np.array([(panel.reach + 0.5) * panel.hop, panel.reach + 0.5])
        centre = np.array([0.0, panel.centre[0]])
        first = np.minimum(first, np.maximum(centre - reach, low - most))
        last = np.maximum(last, np.minimum(centre + reach, high + most))
    return float(first[0]), float(last[0]), float(first[1]), float(last[1])


def _padded(panels: list[Panel], limits: tuple[float, float, float, float]) -> bool:
    """Whether the axes show something outside an input."""
    inputs = np.array([_input(panel) for panel in panels])
    sides = np.array([1, -1, 1, -1])
    return bool(((inputs - limits) * sides > 1e-9).any())


def _padding(place: Axes, panel: Panel) -> None:
    """Hatch what lies outside the input, and mark the target."""
    left, right, bottom, top = _input(panel)
    (x0, x1), (y0, y1) = place.get_xlim(), place.get_ylim()
    for corner, width, height in (
        ((x0, y0), left - x0, y1 - y0),
        ((right, y0), x1 - right, y1 - y0),
        ((x0, y0), x1 - x0, bottom - y0),
        ((x0, top), x1 - x0, y1 - top),
    ):
        if width > 1e-9 and height > 1e-9:
            place.add_patch(
                Rectangle(
                    corner, width, height, facecolor="white", edgecolor="0.6", hatch="////", lw=0
                )
            )
    place.plot([0], [panel.centre[0]], marker="+", color=CENTRE, markersize=7, markeredgewidth=1.2)


def _norm(panels: list[Panel], scale: str) -> Normalize:
    """The one colour scale of all panels."""
    return LogNorm(FLOOR, 1) if scale == "log" else Normalize(0, _peak(panels))


def _peak(panels: list[Panel]) -> float:
    """Where the linear scale ends: a few pixels of a speckled map would darken all the others."""
    return float(max(np.percentile(panel.values_FN, PEAK) for panel in panels))


def _map(place: Axes, panel: Panel, norm: Normalize, letters: int, style: Style) -> None:
    """One map, its title, and its numbers below it."""
    drawn_FN = panel.values_FN
    if isinstance(norm, LogNorm):
        drawn_FN = np.maximum(drawn_FN / drawn_FN.max(), FLOOR)
    place.imshow(drawn_FN, cmap=COLOURS, norm=norm, extent=_extent(panel), origin="lower")
    place.set_facecolor(BEYOND)
    place.set_title(_title(panel, letters, style), loc="left", fontsize="medium")
    place.set_xlabel(_numbers(panel, letters), fontsize="small", loc="left", color=GREY)


def _title(panel: Panel, letters: int, style: Style) -> str:
    lines = map(style.renamed, panel.title.splitlines())
    most = min(int(0.85 * letters), LONGEST)  # titles are in larger letters than the numbers
    return "\n".join(folded(line, most) for line in lines)


def _numbers(panel: Panel, letters: int) -> str:
    """The numbers of a panel in lines, two beside each other where there is room."""
    of = panel.numbers
    lines = [
        [f"σ {of['sigma_f']:.1f} × {of['sigma_t']:.1f}"],
        [f"50 %: {of['f50']:.0f} × {of['t50']:.0f}", f"95 %: {of['f95']:.0f} × {of['t95']:.0f}"],
        [f"Luo {of['luo_side']:.1f}", f"participation {of['participation']:,.0f}"],
    ]
    joined = [",  ".join(line) for line in lines]
    wide = all(len(line) <= letters - 3 for line in joined)
    return "\n".join(joined if wide else [part for line in lines for part in line])


def _lines(panels: list[Panel], letters: int, style: Style) -> int:
    """Lines of text above and below a map, at most."""
    title = max(_title(panel, letters, style).count("\n") + 1 for panel in panels)
    return title + max(_numbers(panel, letters).count("\n") + 1 for panel in panels)


def _axes(
    places: list[Axes], panels: list[Panel], columns: int, style: Style, narrow: bool
) -> None:
    """Ticks: bands on the left, Hz on the right, seconds below the lowest panels."""
    names = {panel.bands.name for panel in panels}
    rows = names.pop() if len(names) == 1 else "Band"
    alike = len({panel.bands for panel in panels}) == 1
    for i, (place, panel) in enumerate(zip(places, panels, strict=True)):
        lowest = i + columns >= len(panels)
        place.tick_params(labelbottom=lowest, labelsize="small")
        place.locator_params(nbins=5)
        place.xaxis.set_major_locator(MaxNLocator(3 if narrow else 5))
        place.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
        if lowest:
            place.xaxis.label.set_text(f"{style.renamed(SECONDS)}\n{place.get_xlabel()}")
        hertz = place.secondary_yaxis("right")
        last = i % columns == columns - 1 or i == len(panels) - 1
        ticks = _ticks(panel.bands, *place.get_ylim())
        hertz.set_yticks([panel.bands.row(hz) for hz in ticks])
        hertz.set_yticklabels(map(hertz_text, ticks))
        hertz.tick_params(labelright=last or not alike, labelsize="small")
        if last:
            hertz.set_ylabel(style.renamed("Frequency (Hz)"), fontsize="small")
        if i % columns == 0:
            place.set_ylabel(style.renamed(rows), fontsize="small")


def _ticks(bands: Bands, bottom: float, top: float) -> list[float]:
    """Frequencies 1, 2, 5 times a power of ten on this stretch of rows, from the highest down, none
    too near the next.
    """
    found: list[float] = []
    for hz in (base * 10.0**power for power in (4, 3, 2, 1) for base in (5, 2, 1)):
        row = bands.row(hz)
        near = found and bands.row(found[-1]) - row < (top - bottom) / TICKS
        if max(bottom, 0) <= row <= min(top, bands.number - 1) and not near:
            found.append(hz)
    return found


def _caption(panels: list[Panel], limits: tuple[float, float, float, float]) -> str:
    """What is drawn, and what the numbers are."""
    parts = [
        f"mean absolute gradient of the middle pixel ({panels[0].about}), marked by a cross",
        "below: standard deviation, central widths (bands × frames), Luo side, participation "
        "ratio; means over n trials",
    ]
    if len({(*_extent(panel), panel.reach) for panel in panels}) > 1:
        parts.insert(1, "grey: outside the maximum receptive field")
    if _padded(panels, limits):
        parts.insert(-1, "hatched: padding, outside the clip")
    return "; ".join(parts)
