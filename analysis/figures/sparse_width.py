"""Accuracy against width at equal numbers of kept weights.

Source: Koutini et al. 2021, Figure 6 (static random masks, iterative magnitude pruning), after
Golubeva et al. 2021, Are wider nets better given the same number of parameters?
Conventions: the reference is the dense network of the same condition, depth and 1x1 blocks whose
weights are as many as those that pruning keeps.
Contents: MEASURE, COLUMNS, obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import ACCURACY, DIMENSIONS, as_many, means, on_splits, other_dimensions
from analysis.conditions import PRUNING, labels, prunings, varied
from analysis.data import Data
from analysis.figures.axes import logarithmic
from analysis.figures.facets import Frame, Level, draw_facets
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_points
from analysis.phrasing import phrases

MEASURE = ACCURACY
COLUMNS = ("split", "unpruned", "pruning", *DIMENSIONS, "kept_weights")
ALIKE = ("network.depth", "network.pointwise")
# what the number of weights says
TARGETS = tuple(f"pruning.{name}" for name in ("target", "target_width", "keep", "limit"))


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no pruned trial."""
    if (data.scores()["pruning.kind"] == "none").all():
        return "no trial of these is pruned (pruning.kind is none in all of them)"
    return None


def points(data: Data) -> pd.DataFrame:
    """Pruned networks and their dense references, as analysis.aggregate.means gives them."""
    scores = data.scores()
    alike = [*varied(scores, PRUNING), *ALIKE]
    dense = scores["pruning.kind"] == "none"
    kept = scores[~dense][[*alike, "kept_weights"]].drop_duplicates()
    pairs = scores[dense].merge(kept, on=alike, suffixes=("", "_pruned"))
    near = as_many(pairs["kept_weights_pruned"], pairs["kept_weights"])
    reference = scores["trial"].isin(pairs.loc[near, "trial"])
    chosen = on_splits(scores[~dense | reference])
    return means(chosen, varied(chosen))


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel per split, a row for each condition and number of weights; colour by pruning;
    dashed: the dense reference. Methods that cut one width are named below each other.
    """
    dense = points["pruning.kind"] == "none"
    told = prunings(points.drop(columns=[name for name in TARGETS if name in points]))
    methods = phrases([told, other_dimensions(points, "width")], points.index)
    sizes = _sizes(points["kept_weights"])
    parts = [labels(points, PRUNING), sizes.map("{:,} weights".format)]
    rows = phrases([part for part in parts if part.nunique() > 1], points.index)
    curves = points.assign(row=rows, colour=methods, marker="", x=points["width"])
    levels = [
        Level(row["split"], row["row"], row["mean"], row["colour"], "dense, as many weights")
        for row in curves[dense].to_dict("records")
    ]
    note = f"each network keeps {sizes.iloc[0]:,} weights" if sizes.nunique() == 1 else ""
    title, label = "Accuracy against width at equal kept weights", "Width before pruning"
    if (widths := points.loc[~dense, "width"].unique()).size == 1:
        curves["x"], label = widths[0], ""
        note = "; ".join(filter(None, (f"width {widths[0]} before pruning", note)))
    return draw_facets(curves, Frame(title, label, logarithmic, note), levels, style)


def _sizes(kept: "pd.Series[int]") -> "pd.Series[int]":
    """The numbers of weights; those that are as many as each other by the smallest of them."""
    known = pd.Series(sorted(kept.unique()))
    first = known.where(~as_many(known, known.shift())).ffill().astype(int)
    return kept.map(dict(zip(known, first, strict=True)))


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_points(name, points, COLUMNS, MEASURE)
