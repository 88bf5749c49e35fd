"""Candidates: every configuration that was trained, with what it scores and what it costs.

A configuration is all settings but seed and fold; its score is the mean over its runs.
Conventions: scores are accuracies, fractions. Costs are those of networks as they are used
(analysis.table.in_use): without channels that were cut, with single weights that were.
`latency_ms` is that of analysis.latency, nan where it was not measured. What is scored on other
folds than most is left out, as folds differ by more than models do.
Contents: BYTES, LIMITED, SAME, PAIRED, RUN, candidates, configurations, named.
"""

import math
import shlex
import warnings
from collections import Counter
from typing import Any

import pandas as pd

from analysis.aggregate import COSTS, NOT_HELD_OUT, models, split_order
from analysis.conditions import REPEAT, labels
from analysis.data import Data
from analysis.designs import FOLD
from analysis.units import Estimate, estimate
from scaling import settings
from scaling.settings import sizes
from scaling.spelling import nearest

BYTES = ("bytes", "dense_bytes", "sparse_bytes")  # of parameters in float32
LIMITED = (*COSTS, "dcase_macs", *BYTES, "latency_ms")  # what a budget may limit
# what all candidates have to share: an accuracy says nothing beside one of other classes
SAME = ("sound.dataset", "sound.options", "sound.classes", "split.protocol")
PAIRED = ("seed", "split.fold", "split.validation_fold")
RUN = ["trial", *PAIRED, "split", "value", "by_device", "clips", "unit"]  # what estimates need


def candidates(data: Data, on: str = "validation", beside: bool = True) -> pd.DataFrame:
    """One row per configuration of the complete trials, told from all that is planned by `label`.

    Columns: label; family (what of it is no size); the settings that vary, by dotted name; LIMITED;
    value, low, high, n, unit: its accuracy on `on` (analysis.units.estimate); on; trials (ids);
    `beside`, for each held-out split the same, as `unseen`, `unseen_low`, ... `unseen_unit` (nan
    where it was not scored).
    Raises ValueError where no trial was scored on `on`, and where the trials are of several
    datasets. Warns of what is left out: other folds than most have, or no score on `on`.
    """
    runs = _runs(data, on)
    latency = data.latencies.of(runs["trial"], runs["configuration"])
    kept = _same_folds(runs[runs["split"] == on])
    runs = runs[runs["trial"].isin(kept["trial"])].sort_values([*PAIRED])
    about = runs.drop_duplicates("configuration").set_index("configuration")
    found = about[[*settings.leaves(), "transferred", *COSTS, *BYTES]].copy()
    found = found.assign(latency_ms=latency, dcase_macs=_challenge_macs(about))
    held_out = sorted({*runs["split"]} - {*NOT_HELD_OUT}, key=split_order) if beside else []
    # narrow: a selection from all settings takes longer than its estimate
    narrow = runs.loc[runs["split"].isin([on, *held_out]), ["configuration", *RUN]]
    groups = narrow.groupby(["configuration", "split"])
    estimates = {key: estimate(rows) for key, rows in groups}
    for split, prefix in ((on, ""), *((split, split) for split in held_out)):
        scored = {n: _renamed(e, prefix) for (n, of), e in estimates.items() if of == split}
        found = found.join(pd.DataFrame.from_dict(scored, orient="index"))
    ids = runs.groupby("configuration")["trial"].agg(lambda trials: " ".join(trials.unique()))
    found = found.assign(on=on, trials=ids).sort_index().reset_index(drop=True)
    names = named(data.manifest).loc[[each.split()[0] for each in found["trials"]]]
    return _told(found.assign(label=names["label"].array, family=names["family"].array))


def configurations(trials: pd.DataFrame) -> "pd.Series[int]":
    """A number for each configuration: all settings but those that tell repeats apart. Who keeps
    clips for validation trains on fewer, and is another than who does not.
    """
    names = [name for name in settings.leaves() if name not in REPEAT]
    kept = trials["split.validation_fold"].notna().rename("validates")
    return trials.groupby([*(trials[name] for name in names), kept], dropna=False).ngroup()


def named(planned: pd.DataFrame) -> pd.DataFrame:
    """The `label` of each planned trial's configuration, told from all others of the plan, and its
    `family`: indexed by trial.
    """
    numbers = configurations(planned)
    first = planned.loc[~numbers.duplicated()].assign(number=numbers)
    told = first[["trial", "number"]].assign(family=labels(first), label=models(first))
    twice = told["label"].duplicated(keep=False)
    told["label"] = told["label"].mask(twice, told["label"] + " " + told["trial"].str[:6])
    each = told.set_index("number").loc[numbers, ["label", "family"]]
    return each.set_axis(planned["trial"], axis="index")


def _challenge_macs(about: pd.DataFrame) -> "pd.Series[float]":
    """Multiply-adds as the DCASE challenge counts them, of a trial of each configuration; where its
    manifest has none, counted from its settings; nan where that would run code of one's own.
    """
    counted = about["dcase_macs"].astype("float64")
    rows = about[counted.isna() & about["chance"].notna()]
    for at, row in rows.iterrows():
        trial = settings.unflat(row)
        if not trial.own:
            classes = round(1 / float(row["chance"]))
            used = sizes.compacted(trial, classes) or sizes.cost(trial, classes)
            counted.loc[at] = math.nan if used.dcase_macs is None else used.dcase_macs  # type: ignore[call-overload]
    return counted


def _runs(data: Data, on: str) -> pd.DataFrame:
    """The scores over all devices, numbered by configuration; of those that were scored on `on`."""
    scores = data.scores()
    scores = scores[(scores["device"] == "all") & (scores["split.labels"] == "true")]
    if scores.empty:
        raise ValueError("there is no complete trial to choose: run the sweep (again)")
    splits = sorted({*scores["split"]} - {"train", "train_clean"}, key=split_order)
    if on not in splits:
        if on != "validation":
            raise ValueError(f"--on {on}: no such held-out split{nearest(on, splits)}")
        raise ValueError(
            "no validation clips were scored, and test clips choose nothing unasked: sweep with "
            "split.validation_fold (as --set split.validation_fold=2, another than split.fold), or "
            f"ask for --on {splits[-1] if splits else 'test'}, which the answer then owns up to"
        )
    for name in SAME:
        if len(several := sorted(map(str, scores[name].unique()))) > 1:
            said = " and ".join(each or "(none)" for each in several)
            raise ValueError(
                f"these trials have {name}={said}: accuracies compare on the same clips only; "
                f"choose among some of them with --where {shlex.quote(f'{name}={several[-1]}')} or "
                "--study"
            )
    scores = scores.assign(configuration=configurations(scores))
    scored = scores.loc[scores["split"] == on, "configuration"]
    silent = scores["configuration"].nunique() - scored.nunique()
    if silent:
        warnings.warn(
            f"{silent} configurations were not scored on {on} clips: they are left out",
            stacklevel=4,
        )
    return scores[scores["configuration"].isin(scored)]


def _same_folds(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows on the folds that most configurations have, of the configurations that have them."""
    by_configuration = rows.groupby("configuration")
    folds = {number: frozenset(map(int, each[FOLD])) for number, each in by_configuration}
    counts = Counter(folds.values())
    shared = max(counts, key=lambda some: (counts[some], len(some), sorted(some)))
    complete = [number for number, some in folds.items() if shared <= some]
    if lacking := len(folds) - len(complete):
        said = ", ".join(map(str, sorted(shared)))
        warnings.warn(
            f"{lacking} of {len(folds)} configurations lack one of the folds {said}: they are left "
            "out until these have run",
            stacklevel=4,
        )
    kept = rows[rows["configuration"].isin(complete) & rows[FOLD].isin(shared)]
    seeds = kept.groupby("configuration")["trial"].nunique()
    if fewer := int((seeds < seeds.max()).sum()):
        warnings.warn(
            f"{fewer} of {len(seeds)} configurations have fewer seeds than others",
            stacklevel=4,
        )
    return kept


def _renamed(found: Estimate, split: str) -> dict[str, Any]:
    """An estimate as columns: value, low, ... or, of a split, unseen, unseen_low, ..."""
    columns = {"value": found.mean} | {k: v for k, v in found._asdict().items() if k != "mean"}
    if not split:
        return columns
    return {split if name == "value" else f"{split}_{name}": v for name, v in columns.items()}


def _told(found: pd.DataFrame) -> pd.DataFrame:
    """The candidates, of whose settings only those that vary are kept."""
    vary = [n for n in settings.leaves() if n in found and found[n].nunique(dropna=False) > 1]
    first = ["label", "family"]
    rest = [n for n in found if n not in (*settings.leaves(), *first, "transferred")]
    return found[[*first, *(name for name in vary if name not in REPEAT), *rest]]
