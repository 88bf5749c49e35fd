"""Cross-entropy against beta, the weight of the information bottleneck's divergence.

Source: Hu et al. 2021, Figure 3: small beta overfits, large beta forgets the classes.
Conventions: the cross-entropy alone, without the divergence; training clips are not augmented
(split train_clean); held out is validation where it was scored, else all that is held out. A line
is a family of one latent size and one size of network; points of one line differ in beta alone.
Contents: MEASURE, COLUMNS, obstacle, points, draw.
"""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.families import PRUNING, REPEAT, SIZE
from analysis.figures.axes import from_zero
from analysis.figures.panels import DESCRIBED, Frame, draw_panels
from analysis.points import (
    CROSS_ENTROPY,
    DIALS,
    families_within,
    judged,
    means,
    on_splits,
    sizes_beside,
    varying,
)
from analysis.units import FOLD, FREE, SEED, estimate

MEASURE = CROSS_ENTROPY
COLUMNS = ("split", "dataset", "family", "latent", "width", "beta")
BETA, LATENT = "objective.beta", "objective.latent"
TRAINING = "train_clean"
LOWEST, SMALLEST = "the lowest", "the smallest beta"
RISE = ["rise", "rise_low", "rise_high", "rise_n", "rise_unit"]
LINE = ["dataset", "family", "latent", *SIZE, "split"]


def obstacle(scores: pd.DataFrame) -> str | None:
    """Why there is nothing to draw: no two trials with a bottleneck differ in beta alone."""
    if _on_lines(scores).empty:
        return f"no two trials with a bottleneck differ in {BETA} alone"
    return None


def points(scores: pd.DataFrame) -> pd.DataFrame:
    """The points of analysis.points.means, in nats, of scores of the metric `loss`.

    Further columns: dataset, latent, beta, and by how much the loss is above a reference of its
    line on its split: rise, rise_low, rise_high (nats, 95 % interval over pairs of one seed and
    fold), rise_n and rise_unit (as in analysis.units), rise_above. Where validation clips were
    scored, the reference is LOWEST, the beta of the lowest loss: it was found among the same runs,
    so that rises are large rather than small by chance. Test clips may not choose: there the
    reference is SMALLEST, the line's smallest beta. The reference itself has the rise 0 and no
    interval.
    """
    lines = _on_lines(scores)
    held_out = judged(lines["split"])
    splits = held_out + [TRAINING] * (TRAINING in set(lines["split"]))
    above = LOWEST if "validation" in held_out else SMALLEST
    chosen = on_splits(lines, splits)
    key = ["dataset", "family", "latent", *DIALS, "split", "beta"]
    rises = _rises(chosen, above).rename(columns=dict(zip(SIZE, DIALS, strict=True)))
    found = means(chosen, ["dataset", "latent", "beta"])
    return found.merge(rises, on=key, how="left", validate="many_to_one").assign(rise_above=above)


def draw(points: pd.DataFrame) -> Figure:
    """One panel per held-out split; colour by family, latent size and size; training dotted."""
    whose = points.assign(
        latent=points["latent"].map("latent {}".format), size=sizes_beside(points, "")
    )
    colour = varying(whose, ["dataset", "family", "latent", "size"])
    marker = points["split"].map(lambda split: DESCRIBED.get(split, split))
    curves = points.assign(row="", colour=colour, marker=marker, x=points["beta"])
    training = curves["split"] == TRAINING
    held_out = curves[~training]
    # beside every held-out split stands the same training
    beside = [curves[training].assign(split=split) for split in held_out["split"].unique()]
    alone = [name for name in ("latent", *DIALS) if points[name].nunique() == 1]
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
    return draw_panels(pd.concat([held_out, *beside], ignore_index=True), frame)


def _on_lines(scores: pd.DataFrame) -> pd.DataFrame:
    """Rows of trials that have a bottleneck and partners with another beta."""
    chosen = scores[scores["objective.kind"] == "bottleneck"]
    if chosen.empty:
        return chosen
    told = chosen.assign(
        dataset=chosen["sound.dataset"],
        family=families_within(chosen, (BETA, LATENT)),
        unpruned=families_within(chosen, (BETA, LATENT, *PRUNING)),
        latent=chosen[LATENT],
        beta=chosen[BETA],
    )
    betas = told.groupby(LINE)["beta"].transform("nunique")
    lines: pd.DataFrame = told[betas >= 2]
    return lines


def _rises(scores: pd.DataFrame, above: str) -> pd.DataFrame:
    """A row for each beta of each line: how far its runs are above those of the reference."""
    rows: list[dict[str, Any]] = []
    for key, line in scores.groupby(LINE):
        losses = {beta: _by_run(runs) for beta, runs in line.groupby("beta")}
        reference = line["beta"].min()
        if above == LOWEST:
            reference = min(losses, key=lambda beta: float(losses[beta]["value"].mean()))
        for beta, loss in losses.items():
            beside = losses[reference]["value"].rename("value_beside")
            pairs = loss.join(beside, how="inner")
            row = dict(zip(LINE, key, strict=True)) | {"beta": beta, "rise_n": len(pairs)}
            if len(pairs):
                rise = estimate(pairs.assign(value=pairs["value"] - pairs["value_beside"]), FREE)
                row |= {"rise": rise.mean, "rise_n": rise.n, "rise_unit": rise.unit}
                if beta != reference:
                    row |= {"rise_low": rise.low, "rise_high": rise.high}
            rows.append(row)
    return pd.DataFrame(rows, columns=[*LINE, "beta", *RISE])


def _by_run(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by seed and folds, as text: a fold may be none."""
    runs = zip(*(rows[name] for name in REPEAT), strict=True)
    return rows[["value", FOLD, SEED]].set_axis([" ".join(map(str, run)) for run in runs])
