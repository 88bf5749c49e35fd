"""Filters of front ends that learnt, against those they began as: which moved, and how far.

Conventions: one trial of each model is shown, the first by fold and seed. A filter is a band's
weights of FFT bins (trainable=mel), or a complex kernel and its response to real waves
(trainable=stft). Its centre frequency halves the energy of its response; its bandwidth is that of
the middle half of the energy: a band that picks up a little of every bin keeps both.
Shapes: Q frequencies, F bands, K kernels of T samples.
Contents: TITLE, obstacle, points, draw, listing.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from analysis.aggregate import DIMENSIONS, other_dimensions, varying
from analysis.conditions import SIZE, labels, varied
from analysis.data import Data
from analysis.figures.axes import hertz_text
from analysis.figures.layout import PLAIN, Style, drawing, folded, page, palette
from analysis.joined import Joined
from analysis.listing import Listing, about_columns, numbers, who
from scaling.results import weights_file
from scaling.results.folder import Folder
from scaling.settings.features import power_of_two

TITLE = "Filters that learnt"
TRAINABLE = "sound.features.trainable"
# in a trial's weights
FRONTEND, INITIAL = "frontend.", "initial_"
FILTERS = {"mel": ("", "filters_FQ"), "stft": ("spectrum.", "kernels_2KT")}
FINER = 4  # points of a kernel's response for each bin of its Fourier transform
ROOMY = 128  # filters, at most, whose marks are large
CAPTION = (
    "one trial of each model, its filters by their initial centre (half of the energy is below); "
    "change: norm of learnt - initial over that of initial; bandwidth: middle half of the energy"
)


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no front end learnt, or none of these has its weights."""
    learnt = _learnt(data)
    if learnt.empty:
        return f"no front end of these trials learnt ({TRAINABLE} is none in all of them)"
    if not set(learnt["trial"]) & set(
        data.snapshot.results.names(weights_file.KIND, weights_file.ENDING)
    ):
        return "no trial whose front end learnt has weights in this folder"
    return None


def points(data: Data) -> pd.DataFrame:
    """One row per filter of each model.

    Columns: family (the condition in words), condition columns, width, depth, pointwise, trial,
    filter (its number, from 0); change (norm of learnt - initial over that of initial); centre,
    bandwidth, learnt_centre, learnt_bandwidth (Hz), shift (of the centre, in bandwidths at the
    start), widening (learnt over initial bandwidth). nan where a filter has no energy.
    Raises ValueError for weights that are damaged or hold no such filters.
    """
    results = data.snapshot.results
    learnt = _learnt(data)
    learnt = learnt[learnt["trial"].isin(results.names(weights_file.KIND, weights_file.ENDING))]
    conditions = varied(learnt)
    firsts = learnt.sort_values(["split.fold", "seed"]).drop_duplicates([*conditions, *SIZE])
    told = firsts.rename(columns=dict(zip(SIZE, DIMENSIONS, strict=True)))
    told = told[[*conditions, *DIMENSIONS, "trial"]]
    told.insert(0, "family", labels(told))
    measured = [
        pd.DataFrame(_measured(trial, results)).assign(trial=trial["trial"])
        for trial in firsts.to_dict("records")
    ]
    joined = told.merge(pd.concat(measured), on="trial", validate="one_to_many")
    return joined.sort_values(["family", *DIMENSIONS, "filter"], ignore_index=True)


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """Change, shift and widening of each filter against its centre at the start; a colour per
    model.
    """
    whose = points.assign(family=labels(points), size=other_dimensions(points, ""))
    model = varying(whose, ["family", "size"])
    models = list(dict.fromkeys(model))
    colours = dict(zip(models, palette(len(models)), strict=True))
    legend = [
        Line2D([], [], color=colours[name], marker="o", linestyle="", markersize=4, label=name)
        for name in models
        if name
    ]
    with drawing(style):
        made = page(TITLE, CAPTION, legend, (1, len(MEASURES)), "none", style)
        for panel, measure in zip(made.panels.flat, MEASURES, strict=True):
            for name, each in points.groupby(model, sort=False):
                panel.plot(
                    each["centre"],
                    measure.factor * each[measure.column],
                    "o",
                    color=colours[name],
                    markersize=2.2 if len(each) <= ROOMY else 1.2,
                    markeredgewidth=0,
                )
            panel.axhline(measure.still, color="0.6", linestyle="--", linewidth=0.8, zorder=0)
            panel.set_title(folded(style.renamed(measure.title), made.letters), loc="left")
            panel.set_ylabel(folded(style.renamed(measure.label), made.high))
            _axes(panel, measure.column == "widening")
        for panel in made.lowest():
            panel.set_xlabel(style.renamed("Centre (Hz)"))
    return made.figure


def listing(name: str, points: pd.DataFrame) -> Listing:
    """How far the filters of each model moved, from a row per filter; bandwidths over initial
    ones.
    """
    columns = ("family", *DIMENSIONS)
    models = points.groupby([*columns], sort=False)
    rows: list[dict[str, Any]] = [dict(zip(columns, key, strict=True)) for key, _ in models]
    measured: dict[str, list[str]] = {}
    for (_, each), row in zip(models, rows, strict=True):
        row["change"] = each["change"].median()
        most, moved = (each.iloc[_largest(each[name])] for name in ("change", "shift"))
        for heading, cell in {
            "filters": f"{len(each):,}",
            "change %": f"{100 * row['change']:.1f}",
            "most %": f"{100 * most['change']:.1f}",
            "at Hz": f"{most['centre']:,.0f}",
            "moved Hz": f"{moved['learnt_centre'] - moved['centre']:+,.0f}",
            "from Hz": f"{moved['centre']:,.0f}",
            "width x": f"{each['widening'].median():.2f}",
        }.items():
            measured.setdefault(heading, []).append(cell)
    frame = pd.DataFrame(rows)
    place = _largest(frame["change"])
    where = who(frame, columns, place)
    result = f"half of the filters changed by {measured['change %'][place]} % or more"
    result += f" in {where}, more than in the others" if len(frame) > 1 else ""
    values = tuple(numbers(heading, cells) for heading, cells in measured.items())
    return Listing(name, result, about_columns(frame, columns), values)


def _largest(values: "pd.Series[Any]") -> int:
    """Where the largest of these is, whatever its sign; nan is none."""
    return int(values.abs().fillna(-1).to_numpy().argmax())


class FilterMeasure(NamedTuple):
    """What a panel shows of filters."""

    column: str
    title: str
    label: str
    factor: float
    still: float  # of a filter that learnt nothing


MEASURES = (
    FilterMeasure("change", "Change", "Change (%)", 100, 0),
    FilterMeasure("shift", "Centre", "Shift (bandwidths)", 1, 0),
    FilterMeasure("widening", "Bandwidth", "Learnt / initial", 1, 1),
)


def _axes(panel: Axes, ratio: bool) -> None:
    """Hz across, by decades; a ratio is drawn on a logarithmic axis, too."""
    panel.set_xscale("log")
    panel.xaxis.set_major_locator(LogLocator(numticks=9))
    panel.xaxis.set_major_formatter(FuncFormatter(hertz_text))
    panel.xaxis.set_minor_formatter(NullFormatter())
    if ratio:
        panel.set_yscale("log")
        panel.yaxis.set_minor_formatter(NullFormatter())
    low, high = panel.get_ylim()
    decades = ratio and high > 10 * low
    panel.yaxis.set_major_locator(LogLocator(numticks=9) if decades else MaxNLocator(5))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    sns.despine(ax=panel)


def _learnt(data: Data) -> pd.DataFrame:
    """The complete trials whose front end learnt."""
    complete = data.manifest["trial"].isin(data.scores()["trial"])
    return data.manifest[complete & (data.manifest[TRAINABLE] != "none")]


def _measured(trial: dict[Any, Any], results: Joined) -> Iterator[dict[str, float]]:
    """What became of each filter of a trial, given by its row of the manifest."""
    folder = results.folder(weights_file.KIND, trial["trial"], weights_file.ENDING)
    initial, learnt = _filters(trial["trial"], trial[TRAINABLE], folder)
    kernels = trial[TRAINABLE] == "stft"
    rate, size = trial["sound.rate"], trial["sound.features.window"]
    if kernels:
        size = FINER * initial.shape[-1]
    elif trial["sound.features.kind"] == "vggish":
        size = power_of_two(size)
    step = rate / size
    for number in range(initial.shape[-2]):
        began, ended = (np.asarray(all_of[..., number, :], float) for all_of in (initial, learnt))
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.linalg.norm(ended - began) / np.linalg.norm(began)
        response = [_response(each, size) if kernels else each for each in (began, ended)]
        (centre, width), (learnt_centre, learnt_width) = (_middle(r**2, step) for r in response)
        yield {
            "filter": number,
            "change": float(change),
            "centre": centre,
            "bandwidth": width,
            "learnt_centre": learnt_centre,
            "learnt_bandwidth": learnt_width,
            "shift": (learnt_centre - centre) / width,
            "widening": learnt_width / width,
        }


def _filters(
    trial: str, kind: str, results: Folder
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """A trial's filters as they began and as learnt: (F, Q), or (2, K, T), of real and imaginary
    parts.
    """
    found = weights_file.part(trial, results, FRONTEND) or {}
    where, name = FILTERS[kind]
    initial, learnt = (found.get(f"{where}{before}{name}") for before in (INITIAL, ""))
    if initial is None or learnt is None or initial.shape != learnt.shape:
        raise ValueError(
            f"{weights_file.path(trial, results)} holds no filters of a front end with "
            f"{TRAINABLE}={kind}: {weights_file.remedy(trial)}"
        )
    return initial, learnt


def _response(kernel_2T: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The magnitudes (Q,) that a complex kernel gives to real waves, by frequency."""
    spectrum = np.abs(np.fft.fft(kernel_2T[0] + 1j * kernel_2T[1], size)) ** 2
    # a real wave is in equal parts of positive and of negative frequency
    both = spectrum + np.roll(spectrum[::-1], 1)
    magnitude_Q: NDArray[np.float64] = np.sqrt(both[: size // 2 + 1])
    return magnitude_Q


def _middle(energy_Q: NDArray[np.float64], step: float) -> tuple[float, float]:
    """Centre and bandwidth in Hz of the middle half of an energy at frequencies 0, step, ...; nan
    where there is none.
    """
    total = energy_Q.sum()
    if not total > 0:
        return float("nan"), float("nan")
    edges = np.maximum(0, np.arange(-0.5, len(energy_Q)) * step)  # a bin reaches half a step
    below = np.concatenate([[0], np.cumsum(energy_Q)]) / total
    first, centre, last = np.interp([0.25, 0.5, 0.75], below, edges)
    return float(centre), float(last - first)
