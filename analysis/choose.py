"""Which model: the best configuration within a budget, chosen by validation clips.

A configuration is all settings but seed and fold; its score is the mean over its runs. The best of
many scores too well on the clips that chose it, so it is chosen by validation clips, and its scores
on held-out clips stand beside. Test clips choose only where that is asked for, and then the choice
says so.
Conventions: scores are accuracies, fractions. Costs are those of networks as they are used
(analysis.table.in_use): without channels that were cut, with single weights that were.
`latency_ms` is that of analysis.latency, nan where it was not measured. What is scored on other
folds than most is left out, as folds differ by more than models do.
Contents: LIMITED, candidates, configurations, named, ModelChoice, choose.
"""

import math
import shlex
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from analysis.aggregate import COSTS, NOT_HELD_OUT, models, split_order
from analysis.conditions import REPEAT, labels
from analysis.data import Data
from analysis.latency import Latencies
from analysis.selection import DIGITS
from analysis.tables.differences import EITHER, apart
from analysis.units import DIFFERENCE, FOLD, Estimate, estimate
from scaling import settings
from scaling.settings import sizes
from scaling.spelling import nearest

BYTES = ("bytes", "dense_bytes", "sparse_bytes")  # of parameters in float32
LIMITED = (*COSTS, "dcase_macs", *BYTES, "latency_ms")  # what a budget may limit
# what all candidates have to share: an accuracy says nothing beside one of other classes
SAME = ("sound.dataset", "sound.options", "sound.classes", "split.protocol")
PAIRED = ("seed", "split.fold", "split.validation_fold")
RUN = ["trial", *PAIRED, "split", "value", "by_device", "clips", "unit"]  # what estimates need


class ModelChoice(NamedTuple):
    """What was chosen, and from what."""

    best: "pd.Series[Any]"  # a row of the candidates
    cheapest: "pd.Series[Any]"  # the cheapest that cannot be told apart from it; maybe itself
    candidates: pd.DataFrame  # those within the budget, the best first
    on: str  # the split that chose
    reason: str  # sentences: by what, among how many, and what to beware of
    cost: str  # what "cheapest" is about
    apart: Estimate | None  # cheapest - best, paired; None where they are one


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


def choose(
    data: Data, most: Mapping[str, float], least: Mapping[str, float], on: str = "validation"
) -> ModelChoice:
    """The candidate with the best mean on `on` among those whose costs are at most `most` and whose
    accuracies on splits are at least `least`, and the cheapest that cannot be told apart from it:
    whose paired difference from it has an interval that holds 0.

    Cheap is in the first cost of `most`, else in kept parameters. Of equal scores the cheaper one
    wins, then the one whose label sorts first. Raises ValueError for a limit that nothing can be
    held against, and where nobody is within all limits: it names the nearest candidate.
    """
    _check(most)
    found = candidates(data, on)
    _check_held(found, most, least, data.latencies)
    cost = next(iter(most), "kept_parameters")
    fits = _excess(found, most, least).le(0).all(axis="columns")
    if not fits.any():
        raise ValueError(_nearest(found, most, least))
    ordered = found.assign(tied=-found["value"].round(DIGITS)).sort_values(["tied", cost, "label"])
    within = ordered.loc[fits[ordered.index]].drop(columns="tied").reset_index(drop=True)
    best = within.iloc[0]
    cheapest, apart, why = _cheapest(data, within, cost, on)
    reason = [*_chosen_by(on, len(within), len(found), most, least), why]
    if "latency_ms" in most:
        reason.append(f"Latency: {data.latencies.said}.")
    return ModelChoice(best, cheapest, within, on, " ".join(filter(None, reason)), cost, apart)


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


def _check(most: Mapping[str, float]) -> None:
    for name, limit in most.items():
        if name not in LIMITED:
            raise ValueError(f"--max {name}: no such cost{nearest(name, LIMITED)}")
        if not (math.isfinite(limit) and limit > 0):
            raise ValueError(f"--max {name}={limit:g}: a limit is a number above 0")


def _check_held(
    found: pd.DataFrame,
    most: Mapping[str, float],
    least: Mapping[str, float],
    measured: Latencies,
) -> None:
    """Raise ValueError for a limit that these candidates have nothing to hold against."""
    for name in most:
        if not (lacking := int(found[name].isna().sum())):
            continue
        if name == "latency_ms":
            raise ValueError(f"--max {name}: {measured.lacking(lacking, len(found))}")
        raise ValueError(
            f"--max {name}: not known of {lacking} of {len(found)} candidates (networks with "
            "attention or of your own): leave this limit out, or take --max macs=30e6"
        )
    known = _splits(found)
    for split, share in least.items():
        if split not in known:
            raise ValueError(f"--min {split}: no such split was scored{nearest(split, known)}")
        if not 0 <= share <= 1:
            hint = f" ({share:g} % is {share / 100:g})" if 1 < share <= 100 else ""
            raise ValueError(f"--min {split}={share:g}: an accuracy is a fraction, 0 to 1{hint}")


def _splits(found: pd.DataFrame) -> list[str]:
    """The splits that the candidates have a score on."""
    held_out = [str(n).removesuffix("_unit") for n in found if str(n).endswith("_unit")]
    return [*dict.fromkeys([str(found["on"].iloc[0]), *held_out])]


def _value(found: pd.DataFrame, split: str) -> "pd.Series[float]":
    """The accuracies of all candidates on a split."""
    return found["value" if split == found["on"].iloc[0] else split]


def _excess(
    found: pd.DataFrame, most: Mapping[str, float], least: Mapping[str, float]
) -> pd.DataFrame:
    """By how much each candidate misses each limit, as a share of it; 0 or less: within it."""
    made = {name: found[name] / limit - 1 for name, limit in most.items()}
    made |= {f"on {n}": share - _value(found, n).fillna(-1) for n, share in least.items()}
    return pd.DataFrame(made, index=found.index).astype("float64")


def _nearest(found: pd.DataFrame, most: Mapping[str, float], least: Mapping[str, float]) -> str:
    """Who comes nearest to a budget that nobody meets, and what it misses."""
    excess = _excess(found, most, least)
    worst = excess.clip(lower=0).max(axis="columns")
    order = found.assign(worst=worst).sort_values(["worst", "kept_parameters", "label"])
    row, over = order.iloc[0], excess.loc[order.index[0]]
    parts = [
        f"{name} {row[name]:,.15g} is {row[name] - limit:,.15g} ({100 * over[name]:,.0f} %) above "
        f"{limit:,.15g}"
        for name, limit in most.items()
        if over[name] > 0
    ]
    for split, share in least.items():
        if over[f"on {split}"] > 0:
            value = float(_value(found, split).loc[order.index[0]])
            said = f"{100 * value:.1f} %" if math.isfinite(value) else "not scored"
            parts.append(f"accuracy on {split} clips, {said}, is below {100 * share:g} %")
    return (
        f"none of {len(found)} configurations is within these limits; the nearest is "
        f"{row['label']}: {', '.join(parts)}"
    )


def _chosen_by(
    on: str, within: int, of: int, most: Mapping[str, float], least: Mapping[str, float]
) -> Iterator[str]:
    """By which clips, among how many, and what follows for its accuracy."""
    limits = [f"{name} <= {limit:,.15g}" for name, limit in most.items()]
    limits += [f"{split} >= {100 * share:g} %" for split, share in least.items()]
    budget = f" within {' and '.join(limits)}" if limits else ""
    among = f"among {within} of {of} configurations{budget}" if limits else f"among {of}"
    if on in NOT_HELD_OUT:
        yield f"Chosen by {on} clips {among}."
        if within > 1:
            yield f"Being the best of {within}, it scores too well there: see held-out clips."
    else:
        yield f"Chosen by test clips ({on}) {among}: its accuracy there is optimistic."
    looked = [split for split in least if split not in NOT_HELD_OUT and split != on]
    if looked:
        names = " and ".join(looked)
        yield f"The minimum on {names} looked at test clips: that accuracy is optimistic, too."


def _cheapest(
    data: Data, within: pd.DataFrame, cost: str, on: str
) -> "tuple[pd.Series[Any], Estimate | None, str]":
    """The cheapest candidate that cannot be told apart from the best (the first), its difference
    from it, and both in a sentence.
    """
    best = within.iloc[0]
    cheaper = within[within[cost] < best[cost]].sort_values([cost, "label"])
    scores = data.scores()
    scores = scores.loc[(scores["device"] == "all") & (scores["split"] == on), RUN]
    untold = 0
    for place in cheaper.index:
        row = within.loc[place]
        apart = _apart(scores, row, best)
        if apart is None or math.isnan(apart.low):
            untold += 1
        elif apart.low <= 0 <= apart.high:
            mean, low, high = (f"{100 * each:+.1f}" for each in apart[:3])
            why = (
                f"The cheapest that cannot be told apart from it is {row['label']}: {mean} points "
                f"({low} to {high}) over {apart.n} {apart.unit}, with "
                f"{100 * row[cost] / best[cost]:.0f} % of its {cost.replace('_', ' ')}."
            )
            return row, apart, why
    if untold:
        why = f"{untold} cheaper ones share too few runs with it for an interval: sweep three folds"
        return best, None, f"{why} or seeds to learn whether they are as good."
    if len(cheaper):
        fewer = f"fewer {cost.replace('_', ' ')}"
        return best, None, f"No candidate with {fewer} is as good."
    return best, None, ""


def _apart(scores: pd.DataFrame, one: "pd.Series[Any]", other: "pd.Series[Any]") -> Estimate | None:
    """The mean difference between two candidates, paired by seed and fold; None: no pair."""
    sides = [scores[scores["trial"].isin(row["trials"].split())] for row in (one, other)]
    pairs = sides[0].merge(sides[1], on=[*PAIRED], suffixes=EITHER)
    return None if pairs.empty else estimate(apart(pairs), DIFFERENCE)
