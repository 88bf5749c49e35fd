"""Error against cost, with the frontier: the configurations that no other beats in both.

Source: the question of every budget; how sure a frontier is, by resampling (analysis.frontier).
Conventions: a point is a configuration (all settings but seed and fold) on one split; its error is
1 - accuracy. The frontier of test clips describes: what to use is chosen by validation clips
(`overhear choose`).
Contents: Frontier, PARAMETERS, WEIGHTS, MACS, LATENCY.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from analysis.aggregate import DIMENSIONS, NOT_HELD_OUT, in_order, split_order
from analysis.candidates import SAME, candidates, configurations
from analysis.conditions import CONTEXT, SIZE
from analysis.coverage import conservative
from analysis.data import Data
from analysis.figures.axes import Axis, milliseconds, parameters
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import GREY, PLAIN, Page, Style, drawing, folded, page, palette
from analysis.figures.looks import MARKERS
from analysis.frontier import RESAMPLES, frontier
from analysis.listing import DESCRIBED as ON
from analysis.listing import HEADINGS, Column, Listing
from analysis.remembered import remembered
from analysis.units import over
from scaling.settings.sizes import FLOAT32

FEWEST = 3  # configurations: of two, everybody sees which is better
SAID = 0.05  # the least share of resamples that is written beside a point off the frontier
SHIFT = 2.5  # typographic points from colour to colour: their intervals would hide each other
NOT_DRAWN = ("train", "train_clean")


class Frontier(NamedTuple):
    """The figure of one cost."""

    cost: str  # a column of the candidates
    title: str
    label: str
    axis: Axis = parameters

    def obstacle(self, data: Data) -> str | None:
        """Why there is no frontier: too few configurations, or none of this cost."""
        scores = data.scores()
        scores = scores[scores["split.labels"] == "true"]
        if self.cost == "latency_ms":
            if not data.latencies.machine:
                return "no latency was measured: run overhear measure"
            scores = scores[scores["trial"].isin(data.latencies.p50_ms)]
        for name in SAME:
            if scores[name].nunique() > 1:
                return f"the trials differ in {name}: errors on other clips do not compare"
        if (count := configurations(scores).nunique()) < FEWEST:
            return f"{count} configurations make no frontier, it takes {FEWEST}"
        if self.cost == "kept_weights" and (scores["kept_weights"] == scores["weights"]).all():
            return "no network of these is pruned: frontier_parameters shows the same"
        return None

    def points(self, data: Data) -> pd.DataFrame:
        """A row for each configuration and split (held out, validation included): the columns of
        analysis.candidates.candidates that tell it, its conditions and size, what it costs, split,
        error, low, high, n, unit, on_frontier, often, drawn, trials; where it costs milliseconds,
        what these are, in words (latency). What was not measured is no point.
        """
        scored = {*data.scores()["split"]} - {*NOT_DRAWN}
        parts = []
        for split in sorted(scored, key=split_order):
            found = _candidates(data, split)
            if self.cost == "latency_ms":
                found = found[found["latency_ms"].notna()].reset_index(drop=True)
                found = found.assign(latency=data.latencies.said)
            found = frontier(found, data, self.cost)
            errors = {"split": split, "error": 1 - found["value"]}
            errors |= {"low": 1 - found["high"], "high": 1 - found["low"]}
            parts.append(found.assign(**errors).drop(columns=["on", "value"]))
        return _placed(pd.concat(parts, ignore_index=True), data).sort_values(
            ["split", self.cost], key=lambda each: each.map(split_order) if each.name == "split"
            else each, kind="stable"
        ).reset_index(drop=True)  # fmt: skip

    def draw(self, points: pd.DataFrame, style: Style = PLAIN) -> Figure:
        """One panel per split; colour and marker by condition, filled on the frontier, which a line
        joins; beside a point the share of resamples in which it is on the frontier.
        """
        splits = list(points["split"].unique())
        names = in_order(points["family"])
        looks = dict(zip(names, zip(palette(len(names)), MARKERS * len(names), strict=False),
                         strict=True))  # fmt: skip
        with drawing(style):
            made = page(
                self.title,
                _caption(points, self.cost),
                _legend(looks),
                (1, len(splits)),
                "all",
                style,
            )
            for split, panel in zip(splits, made.panels.flat, strict=True):
                here = points[points["split"] == split]
                _panel(panel, here, self.cost, looks, style)
                self.axis(panel, np.unique(points[self.cost].to_numpy(float)))
                _name(panel, here, points, made, style)
            for panel in made.leftmost():
                panel.set_ylabel(folded(style.renamed("Error (%)"), made.high))
            for panel in made.lowest():
                panel.set_xlabel(folded(style.renamed(self.label), made.letters))
            bottom, top = made.figure.axes[0].get_ylim()
            made.figure.axes[0].set_ylim(max(bottom, -3), min(top, 103))
        return made.figure

    def listing(self, name: str, points: pd.DataFrame) -> Listing:
        """What is printed of the points."""
        rows = points.to_dict("records")
        edges = [
            "-" if np.isnan(r["low"]) else f"{100 * r['low']:.1f} to {100 * r['high']:.1f}"
            for r in rows
        ]
        costs = tuple(f"{row[self.cost]:,.15g}" for row in rows)
        shares = ["-" if np.isnan(r["often"]) else f"{100 * r['often']:.0f}" for r in rows]
        about = (
            Column("split", tuple(points["split"]), left=True, folds=True),
            Column("configuration", tuple(points["label"]), left=True, folds=True),
            Column(HEADINGS.get(self.cost, self.cost), costs),
        )
        values = (
            Column("error %", tuple(f"{100 * r['error']:.1f}" for r in rows)),
            Column("95 %", tuple(edges)),
            Column("n", tuple(f"{r['n']} {r['unit']}" for r in rows), folds=True, optional=True),
            Column("frontier", tuple("yes" if r["on_frontier"] else "" for r in rows)),
            Column("often %", tuple(shares)),
        )
        return Listing(name, _result(points), about, values)


def _placed(points: pd.DataFrame, data: Data) -> pd.DataFrame:
    """The points with their conditions and sizes, those of their first trial."""
    told = data.manifest.set_index("trial")[[*CONTEXT, *SIZE]]
    told = told.rename(columns=dict(zip(SIZE, DIMENSIONS, strict=True)))
    firsts = told.loc[points["trials"].str.partition(" ")[0]].set_axis(points.index)
    return points.join(firsts[[name for name in firsts if name not in points]])


def _panel(
    panel: Axes,
    rows: pd.DataFrame,
    cost: str,
    looks: dict[str, tuple[tuple[float, float, float], str]],
    style: Style,
) -> None:
    ahead = rows[rows["on_frontier"]].sort_values(cost)
    panel.plot(ahead[cost], 100 * ahead["error"], color=GREY, linewidth=1, zorder=1,
               drawstyle="steps-post")  # fmt: skip
    written = _written(rows, cost)
    for place, row in zip(rows.index, rows.to_dict("records"), strict=True):
        colour, marker = looks[row["family"]]
        away = SHIFT * ([*looks].index(row["family"]) - (len(looks) - 1) / 2)
        shift = ScaledTranslation(away / 72, 0, panel.figure.dpi_scale_trans)
        error, low, high = (100 * row[name] for name in ("error", "low", "high"))
        panel.errorbar(
            row[cost],
            error,
            yerr=[[error - low], [high - error]],
            color=colour,
            marker=marker,
            markersize=(6 if row["on_frontier"] else 4.5) * style.scale,
            markerfacecolor=colour if row["on_frontier"] else "white",
            markeredgewidth=1.1,
            elinewidth=0.6,
            capsize=0,
            zorder=3,
            transform=panel.transData + shift,
        )
        for edge in (error, low, high):  # matplotlib takes no limits from shifted artists
            panel.update_datalim([(row[cost], edge)])
        if place in written:
            beyond = SHIFT * (len(looks) - 1) / 2  # to the right of all that cost as much
            panel.annotate(
                f"{100 * row['often']:.0f}",
                (row[cost], error),
                xytext=(beyond + 5, -10 if row["on_frontier"] else 3),
                textcoords="offset points",
                fontsize="small",
                color=colour,
                path_effects=[withStroke(linewidth=2, foreground="white")],
            )
    panel.margins(y=0.09)
    panel.autoscale_view()
    panel.grid(axis="y", color="0.9", linewidth=0.6)
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def _written(rows: pd.DataFrame, cost: str) -> set[int]:
    """The points beside which a share is written: those on the frontier, and of the others that
    cost the same, as there is room for one, the one that is on it most often.
    """
    known = rows[rows["often"].notna()]
    others = known[~known["on_frontier"] & (known["often"] >= SAID)].sort_values("often")
    ahead = known.index[known["on_frontier"]]
    return {*ahead, *others.drop_duplicates(cost, keep="last").index}


def _name(panel: Axes, rows: pd.DataFrame, points: pd.DataFrame, made: Page, style: Style) -> None:
    """The title of a panel, with what its intervals are over where panels differ in that."""
    named = style.renamed(DESCRIBED.get(rows["split"].iloc[0], rows["split"].iloc[0]))
    if len(points[["n", "unit"]].drop_duplicates()) > 1:
        named += f" ({over(rows)})"
    panel.set_title(folded(named, made.letters), loc="left")


@remembered
def _candidates(data: Data, split: str) -> pd.DataFrame:
    """The candidates that each of the figures draws, whatever cost it sets them against."""
    return candidates(data, split, beside=False)


def _caption(points: pd.DataFrame, cost: str) -> str:
    """What intervals are over, what is drawn how, and what the numbers beside points are."""
    alike = len(points[["n", "unit"]].drop_duplicates()) == 1
    banded = points["low"].notna().any()
    parts = [f"mean{' and 95 % interval' if banded else ''}" + (f" over {over(points)}" * alike)]
    parts += filter(None, [conservative(points.assign(mean=1 - points["error"]))])
    parts.append("filled: on the frontier")
    drawn = points[points["drawn"] != ""]
    if len(drawn):
        units = " or ".join(drawn["drawn"].unique())
        parts.append(f"numbers: % of {RESAMPLES:,} resamples of {units} in which it is on it")
    if len(drawn) < len(points):
        parts.append("none where fewer than three folds, seeds or devices were scored")
    if cost == "kept_parameters":
        zeros = " that cut weights take, too" * bool((points[cost] < points["parameters"]).any())
        parts.append(f"a parameter takes {FLOAT32} bytes in float32{zeros}")
    if cost == "latency_ms":
        parts.append(f"latency: {points['latency'].iloc[0]}")
    return "; ".join(parts)


def _legend(looks: dict[str, tuple[tuple[float, float, float], str]]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
        for name, (colour, marker) in looks.items()
    ]
    return [*(handles if len(handles) > 1 else []), Line2D([], [], color=GREY, label="frontier")]


def _result(points: pd.DataFrame) -> str:
    """Who is on the frontier of the last held-out split, and how often."""
    splits = list(points["split"].unique())
    split = ([s for s in splits if s not in NOT_HELD_OUT] or splits)[-1]
    here = points[points["split"] == split]
    ahead = here[here["on_frontier"]].to_dict("records")
    said = [
        row["label"] + ("" if np.isnan(row["often"]) else f" ({100 * row['often']:.0f} %)")
        for row in ahead
    ]
    where = f"on {ON.get(split, f'{split} clips')}"
    return f"{where} {len(ahead)} of {len(here)} are on the frontier: {'; '.join(said)}"


PARAMETERS = Frontier(
    "kept_parameters",
    "Error against parameters, with the frontier",
    "Kept parameters",
)
WEIGHTS = Frontier("kept_weights", "Error against kept weights, with the frontier", "Kept weights")
MACS = Frontier(
    "macs", "Error against multiply-adds, with the frontier", "Multiply-adds of one clip"
)
LATENCY = Frontier(
    "latency_ms",
    "Error against latency, with the frontier",
    "Milliseconds for one clip",
    milliseconds,
)
