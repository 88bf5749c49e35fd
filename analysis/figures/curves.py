"""Curves over epochs: means over runs with their bands, and the page that shows them.

Conventions: a run is a trial (a seed of a fold). Runs of one condition, size, dataset and share of
the training clips are one line: conditions are told without these, which stand in rows of panels.
Points are a table, one row per line, metric, split and epoch: COLUMNS, of which metric is a name of
analysis.aggregate.MEASURES, mean, low and high are as recorded (low and high nan where there is no
interval), n and unit as in analysis.units, trials the ids of the runs; then condition columns.
Contents: FEWEST, Panels, too_few, means_by_epoch, last_and_best, draw_curves.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.aggregate import (
    ACCURACY,
    DIMENSIONS,
    MEASURES,
    in_order,
    other_dimensions,
    split_order,
    varying,
)
from analysis.conditions import SIZE, labels, varied
from analysis.coverage import conservative
from analysis.data import Data
from analysis.designs import FOLD, SEED
from analysis.figures.frame import CHANCE_LINE, DESCRIBED, REACH
from analysis.figures.layout import GREY, PLAIN, Style, drawing, folded, page, palette, ruled
from analysis.figures.looks import MARKERS
from analysis.scales import scale_of
from analysis.units import estimates, over

FEWEST = 3  # evaluated epochs that make a curve
ROWS = 5  # of panels, at most: the paper's five shares of the training clips
TRAINING = ("train_clean", "train")
CHOOSES = "validation"  # the only held-out split that may choose an epoch
MARKED = 6  # epochs of a curve that have its marker, at most
LINE = ["dataset", "fraction", *DIMENSIONS, "parameters"]  # and condition columns
VALUES = ["metric", "split", "epoch", "mean", "low", "high", "n", "unit", "trials", "chance"]
COLUMNS = ["dataset", "family", *LINE[1:], *VALUES]
TOLD, WITHIN = ("split.fraction",), ("dataset",)


class Panels(NamedTuple):
    """What the panels of one column show."""

    metric: str
    splits: tuple[str, ...]  # training clips are dashed
    title: str


class CurveLook(NamedTuple):
    """How the curves of one condition are drawn."""

    colour: tuple[float, float, float]
    marker: str
    place: int  # among all conditions


def too_few(values: pd.DataFrame) -> str | None:
    """Why table.evaluations' values make no curves: some trial was scored too seldom."""
    held_out = values[~values["split"].isin(TRAINING)]
    epochs = held_out.groupby("trial", observed=True)["epoch"].nunique()
    fewest = int(epochs.min()) if len(epochs) else 0
    if fewest < FEWEST:
        return (
            f"held-out clips were scored in {fewest} epochs of some trial, a curve needs {FEWEST}: "
            "sweep with --set evaluation.every=1"
        )
    return None


def means_by_epoch(data: Data, values: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The points; the values of each metric have columns trial, split, epoch, value, each once."""
    planned = data.manifest.assign(dataset=data.manifest["sound.dataset"], chance=data.chance())
    trials = {trial for each in values.values() for trial in each["trial"].unique()}
    planned = planned[planned["trial"].isin(trials)]
    conditions = list(varied(planned, TOLD, WITHIN))
    names = dict(zip(SIZE, DIMENSIONS, strict=True)) | {"split.fraction": "fraction"}
    named = planned.rename(columns=names)
    named = named.sort_values("trial").set_index("trial", drop=False)
    keys = [*LINE, *conditions]
    lines = []
    each = (
        (metric, *part)
        for metric, of in values.items()
        for part in of.groupby("split", observed=True)
    )
    for metric, split, part in each:
        value_NE = _by_trial(part)
        # the metric says how its intervals are bounded
        scored = named.loc[value_NE.index.sort_values()].assign(metric=metric)
        for key, runs in scored.groupby(keys, dropna=False, observed=True):
            about: dict[str, Any] = dict(zip(keys, key, strict=True))
            about |= {"metric": metric, "split": split}
            lines.append(_estimates(runs, value_NE.loc[runs.index]).assign(**about))
    frame = pd.concat(lines, ignore_index=True)
    frame = frame.assign(
        family=labels(frame, TOLD, WITHIN),
        metric_place=frame["metric"].map(list(MEASURES).index),
        split_place=frame["split"].map(split_order),
    )
    order = ["metric_place", "split_place", "dataset", "parameters", *DIMENSIONS, "fraction"]
    ordered = frame.sort_values([*order, "family", "epoch"])
    return ordered[[*COLUMNS, *conditions]].reset_index(drop=True)


def _by_trial(values: pd.DataFrame) -> pd.DataFrame:
    """A row for each trial, a column for each epoch; nan where a trial was not scored."""
    trial_N, trials = pd.factorize(values["trial"])
    epoch_N, epochs = pd.factorize(values["epoch"], sort=True)
    value_NE = np.full((len(trials), len(epochs)), np.nan)
    value_NE[trial_N, epoch_N] = values["value"]
    return pd.DataFrame(value_NE, pd.Index(trials).astype("str"), pd.Index(epochs))


def _estimates(runs: pd.DataFrame, value_NE: pd.DataFrame) -> pd.DataFrame:
    """The points of one line on one split: its runs averaged in each epoch."""
    patterns, which_E = np.unique(value_NE.notna(), axis=1, return_inverse=True)
    parts = []
    # where patience ends training, fewer runs have the later epochs
    for place, scored_N in enumerate(patterns.T):
        if not scored_N.any():
            continue
        there, of_these = runs[scored_N], value_NE.loc[scored_N, which_E.ravel() == place]
        made = estimates(of_these, there[FOLD], there[SEED], scale_of(there))
        made["epoch"] = of_these.columns.to_numpy()
        made["trials"] = " ".join(there.index)
        made["chance"] = float(there["chance"].max())
        parts.append(made)
    return pd.concat(parts)


def last_and_best(points: pd.DataFrame, best: bool = True) -> pd.DataFrame:
    """The last epoch of each held-out line; of validation clips also the one with the best mean,
    where `best` asks for it. Test clips choose no epoch: their best one would be too good.

    Columns: those of the points but `trials`, `at` (`last epoch`, `best epoch`) and `training`, the
    mean on the training clips in that epoch (nan where they were not scored then).
    """
    training = points["split"].isin(TRAINING)
    line = [name for name in points if name in LINE or name not in COLUMNS]
    key = [*line, "metric", "epoch"]
    beside = points[training].rename(columns={"mean": "training"})[[*key, "training"]]
    parts = []
    held_out = points[~training]
    of_line = held_out.groupby(["metric", "split", *line], sort=False, dropna=False, observed=True)
    for (metric, split, *_), rows in of_line:
        parts.append(rows.loc[[rows["epoch"].idxmax()]].assign(at="last epoch"))
        if best and split == CHOOSES:
            highest = MEASURES[str(metric)].larger_is_better
            at = rows["mean"].idxmax() if highest else rows["mean"].idxmin()
            parts.append(rows.loc[[at]].assign(at="best epoch"))
    chosen = pd.concat(parts).drop(columns="trials")
    return chosen.merge(beside, on=key, how="left", validate="many_to_one")


def draw_curves(
    points: pd.DataFrame,
    columns: Sequence[Panels],
    title: str,
    note: str = "",
    style: Style = PLAIN,
) -> Figure:
    """A column of panels for each of `columns`, a row for each dataset, size and share of clips.

    Colour by condition, dashed for training clips. Where there are more than ROWS rows, as many are
    drawn, evenly spaced by parameters, and the caption says so. Vertical axes hold all means; what
    a band has beyond them is cut off.
    """
    placed = points.assign(row=_rows(points), condition=labels(points, TOLD, WITHIN))
    every = list(placed["row"].unique())
    keep = np.unique(np.linspace(0, len(every) - 1, min(len(every), ROWS)).round().astype(int))
    rows = [every[k] for k in keep]
    names = in_order(placed["condition"])
    hues = palette(len(names))
    looks = {n: CurveLook(hues[k], MARKERS[k % len(MARKERS)], k) for k, n in enumerate(names)}
    splits = list(dict.fromkeys(split for column in columns for split in column.splits))
    with drawing(style):
        shown = placed[placed["row"].isin(rows)]
        chances = _chances(shown)
        caption = _caption(shown, list(map(style.renamed, names)), note, len(every))
        mixed = any(len(column.splits) > 1 for column in columns)
        legend = _legend(looks, splits if mixed else [], set(chances.values()))
        shape = (len(rows), len(columns))
        made = page(title, caption, legend, shape, "none", style)
        for row, beside in zip(rows, made.panels, strict=True):
            for column, panel in zip(columns, beside, strict=True):
                here = shown[(shown["row"] == row) & (shown["metric"] == column.metric)]
                _panel(panel, here[here["split"].isin(column.splits)], looks)
                alike = [s for c in columns if c.metric == column.metric for s in c.splits]
                measure = MEASURES[column.metric]
                chance = chances.get(row) if measure is ACCURACY else None
                if chance is not None:
                    panel.axhline(
                        100 * chance, color=GREY, linestyle=CHANCE_LINE, linewidth=1, zorder=1
                    )
                _limits(panel, here[here["split"].isin(alike)], chance)
                named = ": ".join(map(style.renamed, filter(None, (column.title, row))))
                panel.set_title(folded(named, made.letters), loc="left")
                first = [c.metric for c in columns].index(column.metric)
                if columns[first] is column or panel in made.leftmost():
                    panel.set_ylabel(folded(style.renamed(measure.label), made.high))
        for panel in made.lowest():
            panel.set_xlabel(style.renamed("Epoch"))
        for panel in made.panels.flat:
            panel.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    return made.figure


def _chances(points: pd.DataFrame) -> dict[str, float]:
    """The accuracy of guessing in each row of panels, where it is known and near what is drawn."""
    found = {}
    accuracies = points[points["metric"] == ACCURACY.metric].dropna(subset=["chance"])
    for row, part in accuracies.groupby("row", observed=True):
        low, high = float(part["mean"].min()), float(part["mean"].max())
        chance = float(part["chance"].max())
        if chance >= low - REACH * (high - low):
            found[str(row)] = chance
    return found


def _rows(points: pd.DataFrame) -> "pd.Series[str]":
    """What tells rows of panels apart: dataset, size, share of the clips."""
    told = points.assign(
        size=other_dimensions(points, ""),
        share=(100 * points["fraction"]).map("{:g} % of clips".format),
    )
    return varying(told, ["dataset", "size", "share"])


def _panel(panel: Axes, rows: pd.DataFrame, looks: dict[str, CurveLook]) -> None:
    """One panel's curves with their bands; a marker now and then tells curves that coincide."""
    for (name, split), line in rows.groupby(["condition", "split"], observed=True):
        look = looks[str(name)]
        factor = MEASURES[line["metric"].iloc[0]].factor
        low, high = (factor * line[edge].to_numpy() for edge in ("low", "high"))
        step = max(1, round(len(line) / MARKED))
        offset = look.place * step // max(len(looks), 1)
        # what is drawn first looks out from under what hides it
        under = 1.2 * (len(looks) - 1 - look.place) / max(len(looks) - 1, 1)
        panel.plot(
            line["epoch"],
            factor * line["mean"],
            color=look.colour,
            linestyle="--" if split in TRAINING else "-",
            linewidth=1.3 + under,
            marker=look.marker if len(looks) > 1 else "",
            markersize=3.5 + 1.5 * under,
            markeredgecolor="white",
            markeredgewidth=0.5,
            markevery=(min(offset, len(line) - 1), step),
        )
        if line["low"].notna().any():
            panel.fill_between(line["epoch"], low, high, color=look.colour, alpha=0.13, linewidth=0)
    ruled(panel, "y")


def _limits(panel: Axes, rows: pd.DataFrame, chance: float | None) -> None:
    """Room for all means, and chance; a band over two runs may be ten times as high."""
    if len(rows):
        factor = MEASURES[rows["metric"].iloc[0]].factor
        low, high = _bounds(factor * rows["mean"])
        if chance is not None:
            low = min(low, factor * chance - 0.05 * (high - factor * chance))
        panel.set_ylim(low, high)


def _bounds(means: "pd.Series[float]") -> tuple[float, float]:
    """The range of these means and some room."""
    low, high = float(means.min()), float(means.max())
    room = 0.1 * (high - low) or 0.1 * abs(high) or 0.1
    return low - room, high + room


def _caption(points: pd.DataFrame, names: Sequence[str], note: str, rows: int) -> str:
    """What the lines and bands are, over how many runs, and what is not drawn."""
    banded = points.dropna(subset=["low"])
    alone = "one run per curve" if (points["unit"] == "run").all() else f"{over(points)} per curve"
    runs = f"mean and 95 % band over {over(banded)}" if len(banded) else f"{alone}, no band"
    beyond = False
    for _, part in points.groupby(["row", "metric"], observed=True):
        low, high = _bounds(part["mean"])
        beyond |= bool((part["low"] < low).any() or (part["high"] > high).any())
    drawn = points["row"].nunique()
    parts = [
        note,
        names[0] if len(names) == 1 else "",
        runs + (", cut off where it leaves the panel" if beyond else ""),
        conservative(points),
        f"{drawn} of {rows} rows are drawn, evenly spaced" if drawn < rows else "",
    ]
    return "; ".join(filter(None, parts))


def _legend(
    looks: dict[str, CurveLook], splits: Sequence[str], chances: Collection[float]
) -> list[Line2D]:
    """Conditions where there are several, then what is dashed and what is not, and chance."""
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, label=name)
        for name, look in looks.items()
    ]
    dashed = [split for split in splits if split in TRAINING]
    solid = [split for split in splits if split not in TRAINING]
    held_out = DESCRIBED.get(solid[0], solid[0]) if len(solid) == 1 else "Held-out clips"
    handles = handles if len(handles) > 1 else []
    if dashed and solid:
        trained = DESCRIBED[dashed[0]]
        handles.append(Line2D([], [], color=GREY, linestyle="--", label=trained))
        handles.append(Line2D([], [], color=GREY, label=held_out))
    for chance in sorted(chances):
        label = f"chance ({100 * chance:.3g} %)"
        handles.append(Line2D([], [], color=GREY, linestyle=CHANCE_LINE, linewidth=1, label=label))
    return handles
