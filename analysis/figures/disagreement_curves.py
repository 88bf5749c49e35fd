"""How far a network's answers to a clip and to two changed copies of it are apart, over epochs.

Source: Iqbal et al. 2021, Figure 1 (training clips and test clips of fold 1).
Conventions: Jensen-Shannon divergence of the three answers in nats, at most ln 3, mean over clips;
the copies are the same in every epoch, also for networks not trained on several views. Held out is
validation where it was scored, else all that is held out.
Contents: obstacle, points, draw, listing.
"""

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import judged, split_order
from analysis.data import Data
from analysis.figures.curves import Panels, draw_curves, last_and_best, means_by_epoch, too_few
from analysis.figures.frame import DESCRIBED
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, of_curves

METRIC = "disagreement"
TRAINING = "train_clean"


def obstacle(data: Data) -> str | None:
    """Why there is nothing to draw: nothing measured it, or in too few epochs."""
    values, planned = data.evaluations(device="all"), data.manifest
    measured = planned.loc[planned["evaluation.disagreement"] != "none", "trial"]
    values = values[values["trial"].isin(measured)]
    if values.empty:
        return (
            "no complete trial measured how far views of a clip are apart: "
            "sweep with --set evaluation.disagreement=combination"
        )
    return too_few(values)


def points(data: Data) -> pd.DataFrame:
    """The points of analysis.figures.curves. Errors: those of table.evaluations."""
    values = data.evaluations(METRIC, "all")
    # that of split train is among the augmented views of the training steps
    chosen = values["split"].isin([TRAINING, *judged(values["split"].unique())])
    return means_by_epoch(data, {METRIC: values[chosen]})


def draw(points: pd.DataFrame, style: Style = PLAIN) -> Figure:
    """A panel for training clips and one for each held-out split."""
    splits = sorted(points["split"].unique(), key=split_order)
    ordered = [s for s in splits if s == TRAINING] + [s for s in splits if s != TRAINING]
    columns = [Panels(METRIC, (split,), DESCRIBED.get(split, split)) for split in ordered]
    note = "" if TRAINING in splits else "training clips were not scored"
    return draw_curves(points, columns, "Disagreement between views of a clip", note, style)


def listing(name: str, points: pd.DataFrame) -> Listing:
    """The last epoch of each line: the lowest divergence is that of a network that always answers
    the same.
    """
    return of_curves(name, last_and_best(points, best=False))
