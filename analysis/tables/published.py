"""Published numbers beside ours: of the bottleneck, of consistency, and of random labels.

Sources: Hu et al. 2021 (arXiv 2107.04803), Table 3, one number a cell; Iqbal et al. 2021 (arXiv
2102.05151), Table 1, with standard errors; Koutini et al. 2021, section 4, of base networks; their
numbers lie in analysis/published, as fractions.
Conventions: ours are means over runs. Numbers of other recordings may stand beside ours, but no
difference is made of them. What the table has no model or fraction for is left out, unless it is
one of `sizes`. K and beta are chosen on validation clips before the test is read.
Contents: PUBLISHED, numbers, obstacle, matched, beside. Gains are in analysis.tables.gains.
"""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.conditions import BOTTLENECK, varied, words
from analysis.selection import select
from analysis.spread import spread
from analysis.units import FOLD, SEED, Estimate, estimate
from scaling.spelling import nearest

METRICS = ("accuracy", "macro_f1")  # the VIB paper says F1; its authors' code takes the macro mean
NORMAL = 1.96  # standard errors that 95 % reach: of how many runs theirs are is not published
ABOUT = {  # columns of ours, and what they are called here
    "sound.dataset": "dataset",
    "published_for": "published_for",
    "split.protocol": "protocol",
    "network.width": "width",
    "model": "model",
    "split.fraction": "fraction",
    "at": "at",
    "metric": "metric",
}
THEIRS = ("published", "standard_error")
WITHIN = ["sound.dataset", "model"]
MATCHED = ["published_for", "model", "split.fraction"]
# what none of these papers does: trials that do are none of their models
OFF = {
    "sound.classes": "",
    "network.damping": 0.0,
    "augment.roll": 0.0,
    "augment.mixup": 0.0,
    "microphones.share": 0.0,
    "transfer.trial": "",
    "pruning.kind": "none",
}
TRUE_LABELS = {"split.labels": "true"}
TRANSFORMS = {
    "none": "No Augmentation",
    "pitch": "Pitch-Shift",
    "reverb": "Reverb",
    "mask": "TF-Masking",
    "combination": "Combination",
}


class Published(NamedTuple):
    """A table of a paper, and what of ours belongs into it."""

    network: str  # its network.kind
    datasets: Mapping[str, str]  # its names, and ours of the same recordings
    kin: Mapping[str, str]  # ours that it has not, and ours whose numbers stand beside them
    models: Callable[[pd.DataFrame], "pd.Series[str]"]  # trials' names in it, empty for none
    among: Mapping[str, str]  # settings chosen on validation clips, and what they are called
    off: Mapping[str, Any] = OFF | TRUE_LABELS
    split: str = "test"  # that its numbers are of
    sizes: bool = False  # whether ours of other sizes than its own stand in it, too


def _vib_models(trials: pd.DataFrame) -> "pd.Series[str]":
    """The CNN with at most one thing against overfitting."""
    against = {
        "CNN+Dropout": trials["network.dropout"] > 0,
        "CNN+WeightDecay": trials["training.weight_decay"] > 0,
        "CNN+VIB": trials["objective.kind"] == "bottleneck",
    }
    name = np.select([*against.values()], [*against], default="CNN")
    count = np.sum([*against.values()], axis=0)
    alone = (count <= 1) & (trials["augment.transform"] == "none")
    return pd.Series(name, index=trials.index, dtype="str").where(alone, "")


def _consistency_models(trials: pd.DataFrame) -> "pd.Series[str]":
    """A transform, learnt from in the standard way, batched (-BDA) or to be agreed on (-CL)."""
    views = trials["objective.kind"] == "consistency"
    agreed = trials["objective.weight"] > 0
    ending = np.select([views & agreed, views], ["-CL", "-BDA"], default="")
    named: pd.Series[str] = trials["augment.transform"].map(TRANSFORMS) + ending
    plain = (trials["network.dropout"] == 0) & (trials["objective.kind"] != "bottleneck")
    return named.where(plain, "")


def _capacities(trials: pd.DataFrame) -> "pd.Series[str]":
    """The baseline by its width and what it was taught."""
    labels = trials["split.labels"].map(lambda each: "true" if each == "true" else "random")
    name = "W=" + trials["network.width"].astype(str) + ", " + labels + " labels"
    baseline = (trials["network.depth"] == 1) & (trials["network.pointwise"] == 1)
    plain = (trials["objective.kind"] == "cross_entropy") & (trials["augment.transform"] == "none")
    return name.where(baseline & plain, "")


PUBLISHED: dict[str, Published] = {
    "vib_table3": Published(
        network="vib_cnn",
        # their Audio-MNIST is the Free Spoken Digit Dataset: the features in their code are of it;
        # their TUT, of 4680 clips, is the development part
        datasets={
            "AudioMNIST": "fsdd",
            "ESC-50": "esc50",
            "TESS": "tess",
            "TUT": "tut2017_development",
        },
        kin={"audiomnist": "fsdd", "esc10": "esc50", "tut2017": "tut2017_development"},
        models=_vib_models,
        among=BOTTLENECK,
    ),
    "consistency_table1": Published(
        network="vgg9",
        datasets={"ESC-50": "esc50"},
        kin={"esc10": "esc50"},
        models=_consistency_models,
        among={},
    ),
    "random_labels": Published(
        network="cp_resnet",
        datasets={"TAU 2020 Mobile": "tau2020_mobile"},
        kin={"esc10": "tau2020_mobile"},
        models=_capacities,
        among={},
        off=OFF,
        split="train_clean",
        sizes=True,
    ),
}


def numbers(name: str) -> pd.DataFrame:
    """The numbers of a table of PUBLISHED, in its order.

    Columns: published_for (our name of the dataset), model, split.fraction, metric, published,
    standard_error (fractions; nan where none is published). Raises ValueError for no such table.
    """
    table = _table(name)
    file = resources.files("analysis") / "published" / f"{name}.csv"
    with file.open(encoding="utf-8") as lines:
        wide = pd.read_csv(lines)
    about = pd.DataFrame(
        {
            "published_for": wide["dataset"].map(dict(table.datasets)),
            "model": wide["model"],
            "split.fraction": wide["fraction"],
        }
    )
    frames = [
        about.assign(
            metric=metric,
            published=wide[metric],
            standard_error=wide.get(f"{metric}_error", float("nan")),
        )
        for metric in METRICS
        if metric in wide
    ]
    return pd.concat(frames).sort_index(kind="stable").reset_index(drop=True)


def obstacle(name: str, scores: pd.DataFrame) -> str | None:
    """Why nothing of table.scores' table can stand in this table, as half a sentence; else None.

    Raises ValueError for no such table.
    """
    table, ours = _table(name), of_table(name, scores)
    if ours.empty:
        known = ", ".join([*table.datasets.values(), *table.kin])
        return (
            f"no trial of these is a model of {name} (network.kind={table.network} on one of "
            f"{known}, one of its fractions, nothing pruned, damped, rolled or mixed)"
        )
    if not _over_clips(ours, table.split).any():
        return f"no model of {name} was scored on the split {table.split}"
    try:
        chosen(name, ours)
    except ValueError as error:
        return str(error)
    return None


def matched(name: str, scores: pd.DataFrame, macro_f1: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per run of a model of a table of PUBLISHED and metric: of table.scores' columns all,
    `model`, `published_for`, `at` and `chosen` (as in `beside`), and the paper's number: published,
    standard_error, order. Of settings that are chosen only the runs that won.
    """
    table, theirs = _table(name), numbers(name)
    theirs = theirs.assign(order=range(len(theirs)))
    won = chosen(name, of_table(name, scores))
    won = won[_over_clips(won, table.split)]
    values = [won.assign(metric="accuracy")]
    if macro_f1 is not None and "macro_f1" in set(theirs["metric"]):
        read = macro_f1[_over_clips(macro_f1, table.split)].set_index("trial")["value"]
        values.append(won.assign(metric="macro_f1", value=won["trial"].map(read)))
    kept = "left" if table.sizes else "inner"
    return pd.concat(values).merge(theirs, on=[*MATCHED, "metric"], how=kept)  # type: ignore[arg-type]


def beside(name: str, scores: pd.DataFrame, macro_f1: pd.DataFrame | None = None) -> pd.DataFrame:
    """The numbers of a table of PUBLISHED beside ours, in its order; empty where nothing matches.

    `scores` and `macro_f1` are table.scores' of accuracy and of macro_f1; K and beta are chosen by
    the accuracy on validation clips. Columns: dataset, published_for (whose recordings the
    published number is for), protocol, width, model, fraction, at (what else tells ours apart),
    metric; chosen (`K=20 beta=0.005`, with how many runs chose it); published, standard_error (nan:
    none published); mean, low, high, n, unit (ours with its 95 % interval: see analysis.units);
    error (ours as theirs: the standard error over repeats, each averaged over its folds; nan for
    fewer than two), repeats; pooled (deviation over the last epochs of all runs at once);
    difference (ours - published), difference_low, difference_high. Scores are fractions;
    differences are nan unless dataset is published_for, their intervals where ours has none.
    Raises ValueError for no such table, and as selection.select.
    """
    runs = matched(name, scores, macro_f1)
    by = [*dict.fromkeys([*ABOUT.values(), *THEIRS, *_conditions(name, runs)])]
    places = ["order", "dataset", "protocol", "width", "model", "at"]
    runs = runs.rename(columns=ABOUT).sort_values(places)
    keys = [*ABOUT.values(), *THEIRS]
    rows = [
        {key: of_one[key].iloc[0] for key in keys}
        | {"chosen": _counted(of_one["chosen"])}
        | estimate(of_one)._asdict()
        | _as_theirs(of_one)
        | {"pooled": spread(of_one).pooled}
        for _, of_one in runs.groupby(by, sort=False, dropna=False)
    ]
    columns = [*keys, "chosen", *Estimate._fields, "error", "repeats", "pooled"]
    return _subtracted(pd.DataFrame(rows, columns=columns))


def _as_theirs(runs: pd.DataFrame) -> dict[str, float]:
    """The standard error over repeats: a repeat is a seed, averaged over all folds."""
    value_FS = runs.pivot_table(index=FOLD, columns=SEED, values="value").to_numpy()
    repeats = value_FS.mean(axis=0)
    repeats = repeats[~np.isnan(repeats)]
    error = repeats.std(ddof=1) / np.sqrt(len(repeats)) if len(repeats) > 1 else np.nan
    return {"error": float(error), "repeats": len(repeats)}


def _counted(said: "pd.Series[str]") -> str:
    """`3 K=20 beta=0.005, 2 K=100 beta=0.02`: what runs chose, the most frequent first."""
    counts = sorted(said[said != ""].value_counts().items(), key=lambda each: (-each[1], each[0]))
    if len(counts) < 2:
        return str(counts[0][0]) if counts else ""
    return ", ".join(f"{number} {words}" for words, number in counts)


def _table(name: str) -> Published:
    """The table of this name."""
    if name not in PUBLISHED:
        raise ValueError(f"table {name}: no such table{nearest(name, PUBLISHED)}")
    return PUBLISHED[name]


def of_table(name: str, scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of the trials that belong into the table, with model, published_for, at, chosen."""
    table = _table(name)
    whose = {ours: ours for ours in table.datasets.values()} | {**table.kin}
    fit = (scores["network.kind"] == table.network) & scores["sound.dataset"].isin(whose)
    for setting, off in table.off.items():
        fit &= scores[setting] == off
    rows = scores[fit]
    rows = rows.assign(model=table.models(rows), published_for=rows["sound.dataset"].map(whose))
    theirs = numbers(name)[MATCHED].drop_duplicates()
    rows = rows[rows["model"] != ""] if table.sizes else rows.merge(theirs, on=MATCHED)
    told = [words(like, _but(name)) for _, like in rows.groupby(WITHIN)]
    return rows.assign(at=pd.concat(told) if told else "", chosen=_said(rows, table.among))


def _but(name: str) -> tuple[str, ...]:
    """The settings that the table has columns for, or chooses."""
    return ("split.fraction", "split.protocol", *PUBLISHED[name].among)


def _conditions(name: str, rows: pd.DataFrame) -> tuple[str, ...]:
    """The settings that tell trials of one model on one dataset apart."""
    return varied(rows, _but(name), WITHIN) if len(rows) else ()


def _said(rows: pd.DataFrame, among: Mapping[str, str]) -> "pd.Series[str]":
    """`K=20 beta=0.005` of those that have such settings; empty for others."""
    if not among:  # pandas 2 finds no rows in a table without columns
        return pd.Series("", index=rows.index, dtype="str")
    texts = [
        " ".join(f"{letter}={row[name]:g}" for name, letter in among.items())
        for row in rows[[*among]].to_dict("records")
    ]
    said = pd.Series(texts, index=rows.index, dtype="str")
    return said.where(rows["objective.kind"] == "bottleneck", "")


def chosen(name: str, ours: pd.DataFrame) -> pd.DataFrame:
    """The rows of the trials whose settings won on validation clips; all where none are chosen."""
    among = [*PUBLISHED[name].among]
    return select(ours, among) if among else ours


def _over_clips(rows: pd.DataFrame, split: str) -> "pd.Series[bool]":
    """Which rows are means over all clips of the split."""
    return (rows["split"] == split) & (rows["device"] == "all")


def _subtracted(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with ours - published where both are of the same recordings, and its interval.

    Source: Zou and Donner 2008, Statistics in Medicine 27: limits of a difference from those of its
    independent sides. A number without a standard error is taken as exact.
    """
    mean, low, high, published = (
        rows[n].astype(float) for n in ("mean", "low", "high", "published")
    )
    error = NORMAL * rows["standard_error"].astype(float).fillna(0.0)
    difference = (mean - published).where(rows["dataset"] == rows["published_for"])
    return rows.assign(
        difference=difference,
        difference_low=difference - np.hypot(mean - low, error),
        difference_high=difference + np.hypot(high - mean, error),
    )
