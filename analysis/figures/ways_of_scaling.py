"""Accuracy against parameters by way of scaling: width, depth, 1x1 blocks, or several jointly.

Source: Koutini et al. 2021, Figures 1 (damped) and 17 (base).
Conventions: all ways begin at one reference network, the size from which most other dense sizes
differ in one number only (the smallest of several such); a network's way is the numbers in which
it differs from the reference, and how it is pruned. Of a pruned network the parameters that
pruning leaves are drawn.
Contents: MEASURE, COLUMNS, reference, obstacle, points, draw.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.families import SIZE
from analysis.figures.axes import parameters
from analysis.figures.panels import Frame, draw_panels
from analysis.points import ACCURACY, DIALS, means, on_splits

MEASURE = ACCURACY
COLUMNS = ("split", "unpruned", "way", *DIALS, "kept_parameters")
REFERENCE = "reference"
SPOKEN = dict(zip(SIZE, ("width", "depth", "1x1 blocks"), strict=True))


def reference(scores: pd.DataFrame) -> tuple[int, int, int]:
    """Width, depth and 1x1 blocks of the network from which the ways of scaling begin."""
    dense = scores[scores["pruning.kind"] == "none"]
    sizes = (dense if len(dense) else scores).sort_values("parameters")[list(SIZE)]
    every = list(dict.fromkeys(sizes.itertuples(index=False, name=None)))
    width, depth, pointwise = max(every, key=lambda one: sum(_apart(one, x) == 1 for x in every))
    return width, depth, pointwise


def obstacle(scores: pd.DataFrame) -> str | None:
    """Why there is nothing to compare: fewer than two ways of dense networks."""
    taught = _taught(scores)
    ways = sorted(set(_ways(taught[taught["pruning.kind"] == "none"])) - {REFERENCE})
    if len(ways) < 2:
        found = f"are scaled in {ways[0]} only" if ways else "are of one size"
        return f"the dense networks of these trials {found}: two ways of scaling are compared"
    return None


def points(scores: pd.DataFrame) -> pd.DataFrame:
    """The points of analysis.points.means with their `way`; the reference has one of its own."""
    taught = _taught(scores)
    return means(on_splits(taught.assign(way=_ways(taught))), ["way"])


def draw(points: pd.DataFrame) -> Figure:
    """A row of panels for each family, one panel per split; colour by way.

    Every way of a dense network runs through the reference. Pruned networks have lines alone.
    """
    begins = points[points["way"] == REFERENCE]
    ways = points.loc[points["way"] != REFERENCE, ["way", "pruning"]].drop_duplicates()
    parts = [points[points["way"] != REFERENCE]]
    parts += [
        begins.assign(way=way) for way, kind in ways.itertuples(index=False) if kind == "dense"
    ]
    curves = pd.concat(parts, ignore_index=True)
    families = curves["unpruned"]
    curves = curves.assign(
        row=families if families.nunique() > 1 else "",
        colour=curves["way"],
        marker="",
        x=curves["kept_parameters"],
    )
    return draw_panels(curves, _frame(points, begins))


def _frame(points: pd.DataFrame, begins: pd.DataFrame) -> Frame:
    notes = []
    if points["unpruned"].nunique() == 1:
        notes.append(str(points["unpruned"].iloc[0]))
    if len(begins):
        size = ", ".join(f"{name} {begins[name].iloc[0]}" for name in DIALS)
        notes.append(f"all ways begin at {size}")
    pruned = (points["kept_parameters"] < points["parameters"]).any()
    label = "Parameters left by pruning" if pruned else "Parameters"
    title = "Accuracy against parameters by way of scaling"
    return Frame(title, label, parameters, "; ".join(notes))


def _taught(scores: pd.DataFrame) -> pd.DataFrame:
    """The trials that learnt true labels."""
    return scores[scores["split.labels"] == "true"]


def _ways(scores: pd.DataFrame) -> "pd.Series[str]":
    """Each row's way, as text."""
    if scores.empty:
        return pd.Series([], dtype="str")
    start = dict(zip(SIZE, reference(scores), strict=True))
    ways = []
    for row in scores[[*SIZE, "pruning"]].to_dict("records"):
        differs = " and ".join(SPOKEN[name] for name in SIZE if row[name] != start[name])
        pruned = "" if row["pruning"] == "dense" else row["pruning"]
        ways.append(", ".join(filter(None, (differs, pruned))) or REFERENCE)
    return pd.Series(ways, index=scores.index, dtype="str")


def _apart(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """In how many numbers two sizes differ."""
    return sum(a != b for a, b in zip(one, other, strict=True))
