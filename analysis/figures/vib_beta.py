"""Cross-entropy against beta, the weight of the information bottleneck's divergence.

Source: Hu et al. 2021, Figure 3: small beta overfits, large beta forgets the classes.
Conventions: the cross-entropy alone, without the divergence; training clips are not augmented
(split train_clean); held out is validation where it was scored, else all that is held out. A line
is a condition of one latent size and one size of network; points of one line differ in beta alone.
Contents: MEASURE, COLUMNS, obstacle, points, draw, listing.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import (
    CROSS_ENTROPY,
    DIMENSIONS,
    judged,
    means,
    on_splits,
    other_dimensions,
    varying,
)
from analysis.conditions import REPEAT, SIZE, labels, varied
from analysis.data import Data
from analysis.designs import FOLD, SEED
from analysis.figures.axes import from_zero
from analysis.figures.facets import Frame, draw_facets
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_points
from analysis.scales import FREE
from analysis.units import estimate

MEASURE = CROSS_ENTROPY
COLUMNS = ("split", "dataset", "family", "latent", "width", "beta")
BETA, LATENT = "objective.beta", "objective.latent"
TRAINING = "train_clean"
LOWEST, SMALLEST = "the lowest", "the smallest beta"
RISE = ["rise", "rise_low", "rise_high", "rise_n", "rise_unit"]
TOLD = (BETA, LATENT)  # in columns of their own
WITHIN = ("dataset",)


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: no two trials with a bottleneck differ in beta alone."""
    if _on_lines(data.scores()).empty:
        return f"no two trials with a bottleneck differ in {BETA} alone"
    return None


def points(data: Data) -> pd.DataFrame:
    """The points of analysis.aggregate.means, in nats, of scores of the metric `loss`.

    Further columns: dataset, latent, beta, and by how much the loss is above a reference of its
    line on its split: rise, rise_low, rise_high (nats, 95 % interval over pairs of one seed and
    fold), rise_n and rise_unit (as in analysis.units), rise_above. Where validation clips were
    scored, the reference is LOWEST, the beta of the lowest loss: it was found among the same runs,
    so that rises are large rather than small by chance. Test clips may not choose: there the
    reference is SMALLEST, the line's smallest beta. The reference itself has the rise 0 and no
    interval.
    """
    lines = _on_lines(data.scores(MEASURE.metric))
    held_out = judged(lines["split"])
    splits = held_out + [TRAINING] * (TRAINING in set(lines["split"]))
    above = LOWEST if "validation" in held_out else SMALLEST
    chosen = on_splits(lines, splits)
    conditions = varied(chosen, TOLD, WITHIN)
    rises = _rises(chosen, above, _line(conditions))
    rises = rises.rename(columns=dict(zip(SIZE, DIMENSIONS, strict=True)))
    found = means(chosen, conditions, ["dataset", "latent", "beta"], TOLD, WITHIN)
    key = [name for name in rises if name not in RISE]
    return found.merge(rises, on=key, how="left", validate="many_to_one").assign(rise_above=above)


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """One panel per held-out split; colour by condition, latent size and size; training dotted."""
    whose = points.assign(
        family=labels(points, TOLD, WITHIN),
        latent=points["latent"].map("latent {}".format),
        size=other_dimensions(points, ""),
    )
    colour = varying(whose, ["dataset", "family", "latent", "size"])
    marker = points["split"].map(lambda split: DESCRIBED.get(split, split))
    curves = points.assign(
        row="", colour=colour, marker=marker, x=points["beta"], metric=MEASURE.metric
    )
    training = curves["split"] == TRAINING
    held_out = curves[~training]
    # beside every held-out split stands the same training
    beside = [curves[training].assign(split=split) for split in held_out["split"].unique()]
    alone = [name for name in ("latent", *DIMENSIONS) if points[name].nunique() == 1]
    notes = [f"{name} {points[name].iloc[0]}" for name in alone]
    if not training.any():
        notes.append("training clips were not scored")
    frame = Frame(
        "Cross-entropy against the weight of the bottleneck",
        "beta, weight of the divergence",
        from_zero,
        ", ".join(notes),
        MEASURE,
        dotted=DESCRIBED[TRAINING],
    )
    return draw_facets(pd.concat([held_out, *beside], ignore_index=True), frame, (), style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """What is printed of the points."""
    return of_points(name, points, COLUMNS, MEASURE)


def _line(conditions: Sequence[str]) -> list[str]:
    """The columns whose values the points of one line share."""
    return ["dataset", "latent", *conditions, *SIZE]


def _on_lines(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of trials that have a bottleneck and partners with another beta."""
    chosen = scores[scores["objective.kind"] == "bottleneck"]
    if chosen.empty:
        return chosen
    told = chosen.assign(
        dataset=chosen["sound.dataset"],
        latent=chosen[LATENT],
        beta=chosen[BETA],
    )
    line = [*_line(varied(told, TOLD, WITHIN)), "split"]
    betas = told.groupby(line, dropna=False)["beta"].transform("nunique")
    lines: pd.DataFrame = told[betas >= 2]
    return lines


def _rises(scores: pd.DataFrame, above: str, of_line: list[str]) -> pd.DataFrame:
    """A row for each beta of each line: how far its runs are above those of the reference."""
    rows: list[dict[str, Any]] = []
    columns = [*of_line, "split"]
    for key, line in scores.groupby(columns, dropna=False):
        losses = {beta: _by_run(runs) for beta, runs in line.groupby("beta")}
        reference = line["beta"].min()
        if above == LOWEST:
            reference = min(losses, key=lambda beta: float(losses[beta]["value"].mean()))
        for beta, loss in losses.items():
            beside = losses[reference]["value"].rename("value_beside")
            pairs = loss.join(beside, how="inner")
            row = dict(zip(columns, key, strict=True)) | {"beta": beta, "rise_n": len(pairs)}
            if len(pairs):
                rise = estimate(pairs.assign(value=pairs["value"] - pairs["value_beside"]), FREE)
                row |= {"rise": rise.mean, "rise_n": rise.n, "rise_unit": rise.unit}
                if beta != reference:
                    row |= {"rise_low": rise.low, "rise_high": rise.high}
            rows.append(row)
    return pd.DataFrame(rows, columns=[*columns, "beta", *RISE])


def _by_run(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by seed and folds, as text: a fold may be none."""
    runs = zip(*(rows[name] for name in REPEAT), strict=True)
    return rows[["value", FOLD, SEED]].set_axis([" ".join(map(str, run)) for run in runs])
