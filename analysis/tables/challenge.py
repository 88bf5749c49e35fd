"""The DCASE challenge's two tables: accuracy by class and by device, each beside the macro average.

Source: the development results of DCASE 2024, task 1 (arXiv 2405.10018 and its baseline's README):
macro average accuracy, the mean over classes, with its standard deviation over runs. Conventions:
of each run the last epoch's answers to all held-out test clips, seen and unseen together; a row is
a model trained on one dataset, the mean over its runs. Contents: TABLES, challenge, listing.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.aggregate import ACCURACY, DIMENSIONS
from analysis.data import Data
from analysis.failures.models import MODEL, Models, models
from analysis.listing import Column, Listing

TABLES = {"challenge_classes": "label", "challenge_devices": "device"}
TEST = ("test", "seen", "unseen")  # splits of the test
ANSWERS = ("epoch", "split", "device", "label", "predicted")
ABOUT = ("dataset", "family", *DIMENSIONS)
MACRO, DEVIATION = "macro average", "deviation"


def challenge(data: Data) -> dict[str, pd.DataFrame]:
    """By name of TABLES, a row per dataset and model: ABOUT, runs, MACRO, DEVIATION (over runs; nan
    of one), and a column for each class or device; accuracies are fractions.

    Raises ValueError where no complete trial has answers to test clips.
    """
    known = models(data)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for trial, answers in data.predictions(known.trainings["trial"].tolist(), ANSWERS):
        tested = answers[answers["split"].isin(TEST)]
        tested = tested[tested["epoch"] == tested["epoch"].max()]
        right = tested["label"] == tested["predicted"]
        if tested.empty:
            continue
        macro = float(right.groupby(tested["label"]).mean().mean())
        for name, column in TABLES.items():
            each = right.groupby(tested[column]).mean()
            runs[name].append({"trial": trial, MACRO: macro, **_named(each)})
    if not runs["challenge_classes"]:
        raise ValueError("--challenge: no complete trial has answers to test clips")
    return {name: _rows(pd.DataFrame(rows), known) for name, rows in runs.items()}


def _named(values: "pd.Series[Any]") -> dict[str, float]:
    return {str(place) or "unnamed": float(value) for place, value in values.items()}


def _rows(runs: pd.DataFrame, known: Models) -> pd.DataFrame:
    """The mean over the runs of each dataset and model."""
    places = sorted(map(str, set(runs) - {"trial", MACRO}))
    joined = runs.merge(known.trainings[["trial", "sound.dataset", MODEL]], on="trial")
    labels: Mapping[Any, Mapping[Any, Any]] = known.about.to_dict("index")
    rows = []
    for (dataset, number), each in joined.groupby(["sound.dataset", MODEL]):
        about = labels[number]
        rows.append(
            {
                "dataset": dataset,
                **{name: about[name] for name in ABOUT[1:]},
                "runs": len(each),
                MACRO: each[MACRO].mean(),
                DEVIATION: each[MACRO].std(),
                **{place: each[place].mean() for place in places},
            }
        )
    return pd.DataFrame(rows)


def listing(name: str, rows: pd.DataFrame) -> Listing:
    """Percent, as the challenge prints them; places beyond the terminal's width are in the file."""
    best: Mapping[Any, Any] = rows.sort_values(MACRO).iloc[-1].to_dict()
    told = (*ABOUT, "runs", MACRO, DEVIATION)
    places = [str(column) for column in rows if column not in told]
    worst = min(places, key=lambda place: (pd.isna(best[place]), best[place]))
    what = TABLES[name].replace("label", "class")
    result = (
        f"highest macro average {ACCURACY.text(best[MACRO])} % ({best['dataset']}, "
        f"{best['family']}, width {best['width']}), there least on {what} {worst}, "
        f"{ACCURACY.text(best[worst])} %"
    )
    about = tuple(
        Column(column, tuple(map(str, rows[column])), left=True, folds=True) for column in ABOUT
    )
    spread = [
        f"{100 * mean:.2f}" + ("" if pd.isna(apart) else f" ± {100 * apart:.2f}")
        for mean, apart in zip(rows[MACRO], rows[DEVIATION], strict=True)
    ]
    runs = tuple(map(str, rows["runs"]))
    values = [Column("macro average %", tuple(spread)), Column("runs", runs)]
    for place in places:
        cells = tuple("-" if pd.isna(share) else f"{100 * share:.1f}" for share in rows[place])
        values.append(Column(place, cells, optional=True))
    return Listing(name, result, about, tuple(values))
