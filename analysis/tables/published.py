"""Published numbers beside ours: of the bottleneck, of consistency, and of random labels.

Conventions: ours are means over runs. Numbers of other recordings may stand beside ours, but no
difference is made of them. What the table has no model or fraction for is left out, unless it is
one of `sizes`. K and beta are chosen on validation clips before the test is read.
Sources are those of analysis.tables.papers; gains are in analysis.tables.gains.
Contents: obstacle, nothing_fits, matched, beside.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.conditions import varied, words
from analysis.designs import FOLD, SEED
from analysis.selection import select
from analysis.spread import spread
from analysis.tables.papers import MATCHED, PUBLISHED, numbers, table
from analysis.units import Estimate, estimate

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


def obstacle(name: str, scores: pd.DataFrame) -> str | None:
    """Why nothing of table.scores' table can stand in this table, as half a sentence; else None.

    Raises ValueError for no such table.
    """
    paper, ours = table(name), of_table(name, scores)
    if ours.empty:
        return f"{name} takes no trial of these: {_lacking(name, scores)}"
    if not _over_clips(ours, paper.split).any():
        return f"no model of {name} was scored on the split {paper.split}"
    try:
        selected_rows(name, ours)
    except ValueError as error:
        return str(error)
    return None


def nothing_fits(scores: pd.DataFrame) -> str:
    """Why no table of PUBLISHED takes a trial of these, in one line with the remedy: the tables of
    these networks are named with their reasons, else all tables with their networks.
    """
    kinds = {*scores["network.kind"]}
    near = [name for name, paper in PUBLISHED.items() if paper.network in kinds]
    if near:
        said = "; ".join(filter(None, (obstacle(name, scores) for name in near)))
    else:
        networks = ", ".join(f"{paper.network} ({name})" for name, paper in PUBLISHED.items())
        said = f"these trials are of {', '.join(sorted(kinds))}, the tables of {networks}"
    studies = " or ".join(PUBLISHED[name].study for name in near or PUBLISHED)
    return f"{said}; a study that fits: {studies}"


def _lacking(name: str, scores: pd.DataFrame) -> str:
    """What keeps all these trials out of a table: their network, dataset, or settings."""
    paper = table(name)
    whose = [*paper.datasets.values(), *paper.kin]
    rows = scores[scores["network.kind"] == paper.network].drop_duplicates("trial")
    if rows.empty:
        return f"it is of network.kind={paper.network}"
    rows = rows[rows["sound.dataset"].isin(whose)]
    if rows.empty:
        return f"it is of the datasets {', '.join(whose)}"
    wrong = {setting: rows.loc[rows[setting] != off, setting] for setting, off in paper.off.items()}
    if said := [f"{key}={odd.iloc[0]}" for key, odd in wrong.items() if len(odd) == len(rows)]:
        return f"all {len(rows)} have {' and '.join(said)}"
    if not (paper.models(rows) != "").any():
        return "none is one of its models"
    fractions = ", ".join(f"{each:g}" for each in numbers(name)["split.fraction"].unique())
    return f"none of its models has one of its split.fraction ({fractions})"


def matched(name: str, scores: pd.DataFrame, macro_f1: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per run of a model of a table of PUBLISHED and metric: of table.scores' columns all,
    `model`, `published_for`, `at` and `chosen` (as in `beside`), and the paper's number: published,
    standard_error, order. Of settings that are chosen only the runs that won.
    """
    paper, theirs = table(name), numbers(name)
    theirs = theirs.assign(order=range(len(theirs)))
    won = selected_rows(name, of_table(name, scores))
    won = won[_over_clips(won, paper.split)]
    values = [won.assign(metric="accuracy")]
    if macro_f1 is not None and "macro_f1" in set(theirs["metric"]):
        read = macro_f1[_over_clips(macro_f1, paper.split)].set_index("trial")["value"]
        values.append(won.assign(metric="macro_f1", value=won["trial"].map(read)))
    kept = "left" if paper.sizes else "inner"
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


def of_table(name: str, scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of the trials that belong into the table, with model, published_for, at, chosen."""
    paper = table(name)
    whose = {ours: ours for ours in paper.datasets.values()} | {**paper.kin}
    fit = (scores["network.kind"] == paper.network) & scores["sound.dataset"].isin(whose)
    for setting, off in paper.off.items():
        fit &= scores[setting] == off
    rows = scores[fit]
    rows = rows.assign(model=paper.models(rows), published_for=rows["sound.dataset"].map(whose))
    theirs = numbers(name)[MATCHED].drop_duplicates()
    rows = rows[rows["model"] != ""] if paper.sizes else rows.merge(theirs, on=MATCHED)
    told = [words(like, _but(name)) for _, like in rows.groupby(WITHIN)]
    return rows.assign(at=pd.concat(told) if told else "", chosen=_said(rows, paper.among))


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


def selected_rows(name: str, ours: pd.DataFrame) -> pd.DataFrame:
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
