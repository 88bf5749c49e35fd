"""Accuracy against width at equal numbers of kept weights.

Source: Koutini et al. 2021, Figure 6 (static random masks, iterative magnitude pruning), after
Golubeva et al. 2021, Are wider nets better given the same number of parameters?
Conventions: the reference is the dense network of the same family, depth and 1x1 blocks whose
weights are as many as those that pruning keeps.
Contents: MEASURE, COLUMNS, obstacle, points, draw.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.axes import logarithmic
from analysis.figures.panels import Frame, Level, draw_panels
from analysis.points import ACCURACY, DIALS, as_many, means, on_splits, sizes_beside

MEASURE = ACCURACY
COLUMNS = ("split", "unpruned", "pruning", *DIALS, "kept_weights")
ALIKE = ["unpruned", "network.depth", "network.pointwise"]


def obstacle(scores: pd.DataFrame) -> str | None:
    """Why there is nothing to draw: no pruned trial."""
    if (scores["pruning.kind"] == "none").all():
        return "no trial of these is pruned (pruning.kind is none in all of them)"
    return None


def points(scores: pd.DataFrame) -> pd.DataFrame:
    """Pruned networks and their dense references, as analysis.points.means gives them."""
    dense = scores["pruning.kind"] == "none"
    kept = scores[~dense][[*ALIKE, "kept_weights"]].drop_duplicates()
    pairs = scores[dense].merge(kept, on=ALIKE, suffixes=("", "_pruned"))
    near = as_many(pairs["kept_weights_pruned"], pairs["kept_weights"])
    reference = scores["trial"].isin(pairs.loc[near, "trial"])
    return means(on_splits(scores[~dense | reference]))


def draw(points: pd.DataFrame) -> Figure:
    """One panel per split; colour by family, marker by pruning, dashed at the dense reference."""
    beside = sizes_beside(points, "width")
    markers = points["pruning"].where(beside == "", points["pruning"] + ", " + beside)
    curves = points.assign(row="", colour=points["unpruned"], marker=markers, x=points["width"])
    levels = [
        Level(row["split"], "", row["mean"], row["unpruned"], "dense, as many weights")
        for row in points.to_dict("records")
        if row["pruning"] == "dense"
    ]
    kept = points.loc[points["pruning"] != "dense", "kept_weights"].unique()
    note = f"each network keeps {kept[0]:,} weights" if len(kept) == 1 else ""
    title, label = "Accuracy against width at equal kept weights", "Width before pruning"
    return draw_panels(curves, Frame(title, label, logarithmic, note), levels)
