"""Curves over epochs: means over runs with their bands, and the page that shows them.

Conventions: a run is a trial (a seed of a fold). Curves of one family, size, dataset and share of
the training clips are one line: families are told without these, which stand in rows of panels.
Points are a table, one row per line, metric, split and epoch: dataset, family, fraction, DIALS,
parameters, metric (a name of analysis.points.MEASURES), split, epoch, mean, low, high (as recorded;
low and high nan where there is no interval), n and unit (as in analysis.units), trials (ids of the
runs).
Contents: FEWEST, Column, too_few, means_by_epoch, last_and_best, draw_curves.
"""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.families import SIZE
from analysis.figures.page import GREY, WORDS, page, palette, style
from analysis.figures.panels import DESCRIBED
from analysis.points import (
    DIALS,
    MEASURES,
    families_within,
    in_order,
    sizes_beside,
    split_order,
    varying,
)
from analysis.table import Study
from analysis.units import FOLD, SEED, estimate, over

FEWEST = 3  # evaluated epochs that make a curve
ROWS = 5  # of panels, at most: the paper's five shares of the training clips
TRAINING = ("train_clean", "train")
CHOOSES = "validation"  # the only held-out split that may choose an epoch
LINE = ["dataset", "family", "fraction", *DIALS, "parameters"]
COLUMNS = [*LINE, "metric", "split", "epoch", "mean", "low", "high", "n", "unit", "trials"]


class Column(NamedTuple):
    """What the panels of one column show."""

    metric: str
    splits: tuple[str, ...]  # training clips are dashed
    title: str


def too_few(values: pd.DataFrame) -> str | None:
    """Why table.evaluations' values make no curves: some trial was scored too seldom."""
    held_out = values[~values["split"].isin(TRAINING)]
    epochs = held_out.groupby("trial")["epoch"].nunique()
    fewest = int(epochs.min()) if len(epochs) else 0
    if fewest < FEWEST:
        return (
            f"held-out clips were scored in {fewest} epochs of some trial, a curve needs {FEWEST}: "
            "sweep with --set evaluation.every=1"
        )
    return None


def means_by_epoch(study: Study, values: pd.DataFrame) -> pd.DataFrame:
    """The points; `values` has columns trial, metric, split, epoch, value, each once."""
    planned = study.manifest
    told = pd.DataFrame(
        {
            "trial": planned["trial"],
            FOLD: planned[FOLD],
            SEED: planned[SEED],
            "dataset": planned["sound.dataset"],
            "family": families_within(planned, ("split.fraction",)),
            "fraction": planned["split.fraction"],
            **{dial: planned[name] for dial, name in zip(DIALS, SIZE, strict=True)},
            "parameters": planned["parameters"],
        }
    )
    joined = values.merge(told, on="trial", validate="many_to_one").sort_values("trial")
    rows: list[dict[str, Any]] = []
    for key, line in joined.groupby([*LINE, "metric", "split"]):
        about = dict(zip([*LINE, "metric", "split"], key, strict=True))
        for epoch, runs in line.groupby("epoch"):
            of_runs = {"epoch": epoch, "trials": " ".join(runs["trial"])}
            rows.append(about | of_runs | estimate(runs)._asdict())
    frame = pd.DataFrame(rows, columns=COLUMNS)
    places = frame["metric"].map(list(MEASURES).index), frame["split"].map(split_order)
    order = ["metric_place", "split_place", "dataset", "parameters", *DIALS, "fraction", "family"]
    return (
        frame.assign(metric_place=places[0], split_place=places[1])
        .sort_values([*order, "epoch"])[COLUMNS]
        .reset_index(drop=True)
    )


def last_and_best(points: pd.DataFrame, best: bool = True) -> pd.DataFrame:
    """The last epoch of each held-out line; of validation clips also the one with the best mean,
    where `best` asks for it. Test clips choose no epoch: their best one would be too good.

    Columns: those of the points but `trials`, `at` (`last epoch`, `best epoch`) and `training`, the
    mean on the training clips in that epoch (nan where they were not scored then).
    """
    training = points["split"].isin(TRAINING)
    key = [*LINE, "metric", "epoch"]
    beside = points[training].rename(columns={"mean": "training"})[[*key, "training"]]
    parts = []
    held_out = points[~training]
    for (metric, split, *_), line in held_out.groupby(["metric", "split", *LINE], sort=False):
        parts.append(line.loc[[line["epoch"].idxmax()]].assign(at="last epoch"))
        if best and split == CHOOSES:
            highest = MEASURES[str(metric)].larger_is_better
            at = line["mean"].idxmax() if highest else line["mean"].idxmin()
            parts.append(line.loc[[at]].assign(at="best epoch"))
    chosen = pd.concat(parts).drop(columns="trials")
    return chosen.merge(beside, on=key, how="left", validate="many_to_one")


def draw_curves(
    points: pd.DataFrame, columns: Sequence[Column], title: str, note: str = ""
) -> Figure:
    """A column of panels for each of `columns`, a row for each dataset, size and share of clips.

    Colour by family, dashed for training clips. Where there are more than ROWS rows, as many are
    drawn, evenly spaced by parameters, and the caption says so. Vertical axes hold all means; what
    a band has beyond them is cut off.
    """
    placed = points.assign(row=_rows(points))
    every = list(placed["row"].unique())
    keep = np.unique(np.linspace(0, len(every) - 1, min(len(every), ROWS)).round().astype(int))
    rows = [every[k] for k in keep]
    names = in_order(placed["family"])
    colours = dict(zip(names, palette(len(names)), strict=True))
    splits = list(dict.fromkeys(split for column in columns for split in column.splits))
    with style():
        shown = placed[placed["row"].isin(rows)]
        caption = _caption(shown, names, note, len(every))
        mixed = any(len(column.splits) > 1 for column in columns)
        legend = _legend(colours, splits if mixed else [])
        figure, panels = page(title, caption, legend, (len(rows), len(columns)), "none")
        for row, beside in zip(rows, panels, strict=True):
            for column, panel in zip(columns, beside, strict=True):
                here = shown[(shown["row"] == row) & (shown["metric"] == column.metric)]
                _panel(panel, here[here["split"].isin(column.splits)], colours)
                alike = [s for c in columns if c.metric == column.metric for s in c.splits]
                _limits(panel, here[here["split"].isin(alike)])
                named = ": ".join(filter(None, (column.title, row)))
                panel.set_title(textwrap.fill(named, WORDS), loc="left")
                if column.metric not in [c.metric for c in columns[: columns.index(column)]]:
                    panel.set_ylabel(MEASURES[column.metric].label)
        for panel in panels[-1]:
            panel.set_xlabel("Epoch")
            panel.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    return figure


def _rows(points: pd.DataFrame) -> "pd.Series[str]":
    """What tells rows of panels apart: dataset, size, share of the clips."""
    told = points.assign(
        size=sizes_beside(points, ""),
        share=(100 * points["fraction"]).map("{:g} % of clips".format),
    )
    return varying(told, ["dataset", "size", "share"])


def _panel(panel: Axes, rows: pd.DataFrame, colours: dict[str, tuple[float, float, float]]) -> None:
    """One panel's curves with their bands."""
    for (family, split), line in rows.groupby(["family", "split"]):
        colour = colours[str(family)]
        factor = MEASURES[line["metric"].iloc[0]].factor
        low, high = (factor * line[name].to_numpy() for name in ("low", "high"))
        panel.plot(
            line["epoch"],
            factor * line["mean"],
            color=colour,
            linestyle="--" if split in TRAINING else "-",
            linewidth=1.3,
        )
        if line["low"].notna().any():
            panel.fill_between(line["epoch"], low, high, color=colour, alpha=0.13, linewidth=0)
    panel.grid(axis="y", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def _limits(panel: Axes, rows: pd.DataFrame) -> None:
    """Room for all means; a band over two runs may be ten times as high."""
    if len(rows):
        factor = MEASURES[rows["metric"].iloc[0]].factor
        panel.set_ylim(_bounds(factor * rows["mean"]))


def _bounds(means: "pd.Series[float]") -> tuple[float, float]:
    """The range of these means and some room."""
    low, high = float(means.min()), float(means.max())
    room = 0.1 * (high - low) or 0.1 * abs(high) or 0.1
    return low - room, high + room


def _caption(points: pd.DataFrame, families: Sequence[str], note: str, rows: int) -> str:
    """What the lines and bands are, over how many runs, and what is not drawn."""
    banded = points.dropna(subset=["low"])
    alone = "one run per curve" if (points["unit"] == "run").all() else f"{over(points)} per curve"
    runs = f"mean and 95 % band over {over(banded)}" if len(banded) else f"{alone}, no band"
    beyond = False
    for _, part in points.groupby(["row", "metric"]):
        low, high = _bounds(part["mean"])
        beyond |= bool((part["low"] < low).any() or (part["high"] > high).any())
    drawn = points["row"].nunique()
    parts = [
        note,
        families[0] if len(families) == 1 else "",
        runs + (", cut off where it leaves the panel" if beyond else ""),
        f"{drawn} of {rows} rows are drawn, evenly spaced" if drawn < rows else "",
    ]
    return "; ".join(filter(None, parts))


def _legend(colours: dict[str, tuple[float, float, float]], splits: Sequence[str]) -> list[Line2D]:
    """Families where there are several, then what is dashed and what is not."""
    handles = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    dashed = [split for split in splits if split in TRAINING]
    solid = [split for split in splits if split not in TRAINING]
    held_out = DESCRIBED.get(solid[0], solid[0]) if len(solid) == 1 else "Held-out clips"
    handles = handles if len(handles) > 1 else []
    if dashed and solid:
        trained = DESCRIBED[dashed[0]]
        handles.append(Line2D([], [], color=GREY, linestyle="--", label=trained))
        handles.append(Line2D([], [], color=GREY, label=held_out))
    return handles
