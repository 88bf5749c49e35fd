"""Reliability curves: accuracy against confidence, with the expected calibration error in words.

Source: Guo et al. 2017, On calibration of modern neural networks. Conventions: those of
analysis.failures.reliability; below the diagonal a network is surer than it is right. Filled: as
trained; hollow: with the temperature that validation clips ask for.
Contents: obstacle, points, draw, listing.
"""

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.data import Data
from analysis.failures import answers
from analysis.failures.answers import AS_TRAINED, TEMPERED
from analysis.failures.listings import of_calibration
from analysis.failures.models import MODEL
from analysis.failures.reliability import calibration
from analysis.figures.classes import drawn_trials
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import GREY, PLAIN, Style, drawing, folded, page, palette
from analysis.figures.places import MARKERS, across_panels, caption, drawn_models
from analysis.listing import Listing

LINES: dict[str, Any] = {AS_TRAINED: "-", TEMPERED: (0, (4, 1.5))}


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no predictions."""
    return answers.obstacle(data)


def points(data: Data) -> pd.DataFrame:
    """A row for each drawn model, split, stage and bin: analysis.failures.calibration's."""
    return calibration(data, drawn_trials(data))


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel per model: colour and marker by split, line by stage."""
    points, note = drawn_models(points)
    splits, stages = list(points["split"].unique()), list(points["stage"].unique())
    colours = dict(zip(splits, palette(len(splits)), strict=True))
    models = points[MODEL].unique()
    with drawing(style):
        bins = (
            f"{points['bin'].max()} bins of equal mass; in the corner: expected calibration error"
        )
        said = "; ".join(filter(None, [note, bins, caption(points[points["stage"] == AS_TRAINED])]))
        shape = across_panels(len(models), style)
        legend = _legend(splits, stages, colours)
        made = page("Calibration", said, legend, shape, "all", style, tall=1.9)
        for model, panel in zip(models, made.panels.flat, strict=False):
            here = points[points[MODEL] == model]
            panel.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle=":", zorder=1)
            for (split, stage), curve in here.groupby(["split", "stage"], sort=False):
                _curve(panel, curve, str(stage), MARKERS[splits.index(split)], colours[split])
            panel.set(xlim=(0, 102), ylim=(0, 102), xticks=range(0, 101, 25))
            panel.set_title(folded(style.renamed(here["name"].iloc[0]), made.letters), loc="left")
            corner = panel.text(
                0.98, 0.03, _errors(here, splits), transform=panel.transAxes, ha="right",
                va="bottom", fontsize="small", linespacing=1.3,
            )  # fmt: skip
            corner.set_in_layout(False)
            panel.grid(color="0.9", linewidth=0.6)
            panel.set_axisbelow(True)
            sns.despine(ax=panel)
        for panel in made.panels.flat[len(models) :]:
            panel.set_axis_off()
        for panel in made.leftmost():
            panel.set_ylabel(folded(style.renamed("Accuracy (%)"), made.high))
        for panel in made.lowest():
            panel.set_xlabel(folded(style.renamed("Confidence (%)"), made.letters))
    return made.figure


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_calibration(name, points)


def _curve(
    panel: Axes, curve: pd.DataFrame, stage: str, marker: str, colour: tuple[float, float, float]
) -> None:
    mean, low, high = (100 * curve[name] for name in ("value", "low", "high"))
    error = [(mean - low).tolist(), (high - mean).tolist()] if stage == AS_TRAINED else None
    panel.errorbar(
        100 * curve["confidence"], mean, yerr=error, color=colour, marker=marker, markersize=4,
        markerfacecolor=colour if stage == AS_TRAINED else "white", linewidth=1.2,
        linestyle=LINES[stage], elinewidth=0.8, capsize=1.5,
    )  # fmt: skip


def _errors(here: pd.DataFrame, splits: list[str]) -> str:
    """`unseen 12.1 → 5.2 %`, a line for each split: as trained, and with the temperature."""
    lines = []
    for split in splits:
        rows = here[here["split"] == split].drop_duplicates("stage")
        if rows.empty:
            continue
        errors = [f"{100 * error:.1f}" for error in rows["error"]]
        lines.append(f"{split} {' → '.join(errors)} %")
    return "\n".join(lines)


def _legend(
    splits: list[str], stages: list[str], colours: dict[str, tuple[float, float, float]]
) -> list[Line2D]:
    made = [
        Line2D([], [], color=colours[s], marker=MARKERS[n], label=DESCRIBED.get(s, s))
        for n, s in enumerate(splits)
    ]
    if len(stages) > 1:
        for stage in stages:
            face = GREY if stage == AS_TRAINED else "white"
            made.append(Line2D([], [], color=GREY, marker="o", markerfacecolor=face,
                               linestyle=LINES[stage], label=stage))  # fmt: skip
    return [*made, Line2D([], [], color=GREY, linestyle=":", label="as right as sure")]
