"""Accuracy against parameters by way of scaling: width, depth, 1x1 blocks, or several jointly.

Source: Koutini et al. 2021, Figures 1 (damped) and 17 (base).
Conventions: all ways begin at one reference network, the size from which most other dense sizes
differ in one number only (the smallest of several such); a network's way is the numbers in which
it differs from the reference, and how it is pruned. Of a pruned network the parameters that
pruning leaves are drawn.
Contents: MEASURE, COLUMNS, reference, obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import ACCURACY, DIMENSIONS, means, on_splits
from analysis.conditions import PRUNING, SIZE, labels, prunings, varied
from analysis.data import Data
from analysis.figures.axes import parameters
from analysis.figures.facets import Frame, draw_facets
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_points

MEASURE = ACCURACY
COLUMNS = ("split", "unpruned", "way", *DIMENSIONS, "kept_parameters")
REFERENCE = "reference"
SPOKEN = dict(zip(SIZE, ("width", "depth", "1x1 blocks"), strict=True))


def reference(scores: pd.DataFrame) -> tuple[int, int, int]:
    """Width, depth and 1x1 blocks of the network from which the ways of scaling begin."""
    dense = scores[scores["pruning.kind"] == "none"]
    sizes = (dense if len(dense) else scores).sort_values("parameters")[list(SIZE)]
    every = list(dict.fromkeys(sizes.itertuples(index=False, name=None)))
    width, depth, pointwise = max(every, key=lambda one: sum(_apart(one, x) == 1 for x in every))
    return width, depth, pointwise


def obstacle(data: Data) -> str | None:
    """Why there is nothing to compare: fewer than two ways of dense networks."""
    taught = _taught(data.scores())
    ways = sorted(set(_ways(taught[taught["pruning.kind"] == "none"])) - {REFERENCE})
    if len(ways) < 2:
        found = f"are scaled in {ways[0]} only" if ways else "are of one size"
        return f"the dense networks of these trials {found}: two ways of scaling are compared"
    return None


def points(data: Data) -> pd.DataFrame:
    """The points of analysis.aggregate.means with their `way`; the reference has one of its own,
    and `is_reference`.
    """
    taught = _taught(data.scores())
    at_reference = (taught[list(SIZE)] == list(reference(taught))).all(axis="columns")
    begins = at_reference & (taught["pruning.kind"] == "none")
    scores = on_splits(taught.assign(way=_ways(taught), is_reference=begins))
    return means(scores, varied(scores), ["way", "is_reference"])


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """A row of panels for each condition, one panel per split; colour by way.

    Every way of a dense network runs through the reference. Pruned networks have lines alone.
    """
    begins = points["is_reference"]
    dense = ~begins & (points["pruning.kind"] == "none")
    through = [points[begins].assign(way=way) for way in points.loc[dense, "way"].unique()]
    curves = pd.concat([points[~begins], *through], ignore_index=True)
    families = labels(curves, PRUNING)
    curves = curves.assign(
        row=families if families.nunique() > 1 else "",
        colour=curves["way"],
        marker="",
        x=curves["kept_parameters"],
    )
    return draw_facets(curves, _frame(points, families), (), style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_points(name, points, COLUMNS, MEASURE)


def _frame(points: pd.DataFrame, families: "pd.Series[str]") -> Frame:
    notes = [str(families.iloc[0])] if families.nunique() == 1 else []
    begins = points[points["is_reference"]]
    if len(begins):
        size = ", ".join(f"{name} {begins[name].iloc[0]}" for name in DIMENSIONS)
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
    told = scores[[*SIZE]].assign(
        pruned=prunings(scores).mask(scores["pruning.kind"] == "none", "")
    )
    for row in told.to_dict("records"):
        differs = " and ".join(SPOKEN[name] for name in SIZE if row[name] != start[name])
        pruned = row["pruned"]
        ways.append(", ".join(filter(None, (differs, pruned))) or REFERENCE)
    return pd.Series(ways, index=scores.index, dtype="str")


def _apart(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """In how many numbers two sizes differ."""
    return sum(a != b for a, b in zip(one, other, strict=True))
