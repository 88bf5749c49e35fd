"""Learning curves: cross-entropy and accuracy over epochs, on training and on held-out clips.

Source: Hu et al. 2021, Figure 2 (CNN beside CNN + VIB on ESC-50 and TUT 2017).
Conventions: the cross-entropy alone, so that objectives that add to it compare. Training clips are
not augmented (split train_clean) where every trial scored them; else they are those of the training
steps (augmented, mixed, with noise), of which no accuracy is known. Held out is validation where it
was scored, else all that is held out.
Contents: obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import MEASURES, judged
from analysis.data import Data
from analysis.figures.curves import (
    TRAINING,
    Panels,
    draw_curves,
    last_and_best,
    means_by_epoch,
    too_few,
)
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_curves
from analysis.metrics import Unrecorded

METRICS = ("cross_entropy", "accuracy")


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: some trial was scored in too few epochs."""
    return too_few(data.evaluations(device="all"))


def points(data: Data) -> pd.DataFrame:
    """The points of analysis.figures.curves. Errors: those of table.evaluations."""
    known = {metric: data.evaluations(MEASURES[metric].metric, "all") for metric in METRICS}
    # of split train, `loss` is all that is minimized
    evaluated = {metric: values[values["split"] != "train"] for metric, values in known.items()}
    splits = {split for values in evaluated.values() for split in values["split"].unique()}
    every, clean = set[str](), set[str]()
    for values in evaluated.values():
        every |= {*values["trial"].unique()}
        clean |= {*values.loc[values["split"] == "train_clean", "trial"].unique()}
    shown = [*judged(splits), *(["train_clean"] if clean == every else [])]
    parts = {metric: values[values["split"].isin(shown)] for metric, values in evaluated.items()}
    if clean != every:
        parts["cross_entropy"] = pd.concat([_stepped(data), parts["cross_entropy"]])
    return means_by_epoch(data, parts)


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """Cross-entropy beside accuracy, each once for every held-out split."""
    splits = list(points["split"].unique())
    held_out = judged(splits)
    training = [split for split in splits if split in TRAINING]
    several = len(held_out) > 1
    columns = [
        Panels(metric, (*training, split), DESCRIBED.get(split, split) if several else "")
        for metric in METRICS
        for split in held_out
    ]
    note = "dashed: training clips as trained on, accuracy unknown" if training == ["train"] else ""
    return draw_curves(points, columns, "Learning curves", note, style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """The last epoch of each line, and the best one on validation clips."""
    return of_curves(name, last_and_best(points))


def _stepped(data: Data) -> pd.DataFrame:
    """Cross-entropy of the training steps; empty where no objective recorded it."""
    try:
        values = data.evaluations("cross_entropy", "all")
    except Unrecorded:  # of no trial that recorded it; a loss that is not finite ends its trial
        return pd.DataFrame()
    return values[values["split"] == "train"]
