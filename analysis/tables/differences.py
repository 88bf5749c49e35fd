"""Paired differences: what size, damping, sparse width and the objective change, and the gap.

Conventions: a pair is two trials alike in every setting, seed and fold included, but the one that
is compared; what has no partner is left out, and n counts the pairs. Each comparison is made of the
accuracies on every held-out split and, where seen and unseen devices were scored, of the gap
between them (unseen - seen): whether a change helps unseen devices more than seen ones.
Contents: GAP, NOTHING, differences, gaps, apart.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from analysis.aggregate import DIMENSIONS, as_many, in_order, on_splits, split_order
from analysis.conditions import (
    FOLLOWING,
    OBJECTIVE,
    PRUNING,
    REGULARIZERS,
    SIZE,
    labels,
    objectives,
    prunings,
    varied,
    words,
)
from analysis.designs import by_device
from analysis.phrasing import phrases
from analysis.scales import DIFFERENCE
from analysis.units import Estimate, estimate
from scaling import settings
from scaling.results.claims import GAP

COLUMNS = ["split", "comparison", "at", *Estimate._fields]
DAMPING = "network.damping"
WIDTH = "network.width"
WEIGHT = "objective.weight"  # of consistency
PASSES, BATCH = "training.passes", "training.batch"
# a share is that of one view; where several are compared, all but the first are transformed
VIEWS = ("augment.transform_share", *(n for n in OBJECTIVE if n.startswith("objective.")))
NOTHING = (
    "no two trials of one seed and fold differ in width, depth, 1x1 blocks, damping or objective "
    "alone, and none was scored on seen and unseen devices"
)
__all__ = ["GAP", "NOTHING", "apart", "differences", "gaps"]
EITHER = ("", "_reference")  # suffixes of the two sides of a pair


def differences(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean paired difference with its 95 % interval for every comparison, setting and split.

    `scores` is table.scores'. Columns: split (held out, or GAP), comparison (`width 64 - width 8`,
    or GAP for the gap itself), at (what the pair shares and others do not), mean, low, high
    (fractions; low and high nan where there is no interval), n and unit (as in analysis.units:
    pairs of one fold are averaged first). Damped is compared with base, each larger size
    with the smallest, a pruned network with the dense one of as many weights, each objective and
    regularizer with plain cross-entropy, what is learnt from views of a clip with cross-entropy on
    the same transform, and consistency with its weight at 0; these at equal optimizer steps.
    Trials that learnt random labels are left out. Empty where nothing can be compared.
    """
    held_out = on_splits(scores[scores["split.labels"] == "true"])
    values = pd.concat([held_out, gaps(held_out)], ignore_index=True)
    order = values["split"].map(split_order)
    family = labels(values)
    values = values.assign(
        order=order, place=family.map(in_order(family).index), pruning=prunings(values)
    )
    values = values.sort_values([*SIZE, DAMPING, "pruning", "order", "place"])
    itself = values.assign(comparison=GAP, at=_shared(values, ()))
    found = [_Compared(itself[itself["split"] == GAP], _alike(values, ()))]
    found += [_from_smallest(values, name) for name in (DAMPING, *SIZE)]
    found += [_from_dense(values), *_from_simpler(values)]
    rows = [
        pairs.iloc[0][COLUMNS[:3]].to_dict() | estimate(pairs, DIFFERENCE)._asdict()
        for compared in found
        if len(compared.pairs)
        for _, pairs in compared.pairs.groupby(["split", *compared.by], sort=False, dropna=False)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


class _Compared(NamedTuple):
    """Pairs of trials, as runs whose value is their difference."""

    pairs: pd.DataFrame
    by: list[str]  # columns that tell one comparison from another


def gaps(values: pd.DataFrame) -> pd.DataFrame:
    """A row for each trial with both seen and unseen devices, with the gap as its value."""
    seen, unseen = (values[values["split"] == split] for split in ("seen", "unseen"))
    unseen = unseen[["trial", "value", "by_device"]]
    pairs = seen.merge(unseen, on="trial", suffixes=EITHER)
    each = zip(pairs["by_device_reference"], pairs["value"], strict=True)
    gaps = [{d: v - seen for d, v in of.items()} if of else None for of, seen in each]
    gap = pairs["value_reference"] - pairs["value"]
    told = pairs.assign(split=GAP, value=gap, by_device=pd.Series(gaps, pairs.index, dtype=object))
    return told.drop(columns=["value_reference", "by_device_reference"])


def _from_smallest(values: pd.DataFrame, name: str) -> _Compared:
    """Each larger value of the setting minus the smallest one among its like."""
    alike = _alike(values, (name,))
    told = values.assign(at=_shared(values, (name,)), key=_key(values, (name,)))
    by = told.groupby(alike, dropna=False) if alike else told.groupby(lambda _: 0)
    smallest = by[name].transform("min")
    larger, reference = told[told[name] > smallest], told[told[name] == smallest]
    pairs = larger.merge(reference, on=["key", "split"], suffixes=EITHER)
    sides = [_said(name, pairs[f"{name}{side}"]) for side in EITHER]
    return _differing(pairs, sides, [*alike, *(f"{name}{side}" for side in EITHER)])


def _from_dense(values: pd.DataFrame) -> _Compared:
    """Each pruned network minus the dense one of as many weights."""
    but = (*PRUNING, WIDTH)
    told = values.assign(at=_shared(values, but), key=_key(values, but))
    pruned = told["pruning.kind"] != "none"
    pairs = told[pruned].merge(told[~pruned], on=["key", "split"], suffixes=EITHER)
    pairs = pairs[as_many(pairs["kept_weights"], pairs["kept_weights_reference"])]
    sides = [_said(WIDTH, pairs[WIDTH + side]) + " " + pairs[f"pruning{side}"] for side in EITHER]
    return _differing(pairs, sides, [*_alike(values, but), *but, f"{WIDTH}_reference"])


def _from_simpler(values: pd.DataFrame) -> Iterator[_Compared]:
    """Each objective minus the ones that it adds something to."""
    same_network = values.groupby("network.kind")
    said = pd.concat([objectives(rows) for _, rows in same_network]).reindex(values.index)
    shared, alike = (make(values, (*OBJECTIVE, *FOLLOWING)) for make in (_shared, _alike))
    told = values.assign(at=shared, objective=said, steps=values[PASSES] / values[BATCH])
    kind, transformed = told["objective.kind"], told["augment.transform"] != "none"
    cross_entropy, views = kind == "cross_entropy", kind == "consistency"
    regularized = (told[list(REGULARIZERS)] > told[list(REGULARIZERS)].min()).any(axis="columns")
    plain = cross_entropy & ~transformed & ~regularized
    batched = views & (told[WEIGHT] == 0)
    for chosen, reference, but in [
        (~plain, plain, OBJECTIVE),
        (views, cross_entropy & transformed, VIEWS),
        (views & ~batched, batched, VIEWS),
    ]:
        keyed = told.assign(key=_key(told, (*but, *FOLLOWING)))
        on = ["key", "split", "steps"]
        pairs = keyed[chosen].merge(keyed[reference], on=on, suffixes=EITHER)
        by = [*alike, *OBJECTIVE, *(f"{name}_reference" for name in OBJECTIVE)]
        yield _differing(pairs, [pairs[f"objective{side}"] for side in EITHER], by)


def _differing(
    pairs: pd.DataFrame, sides: "Sequence[pd.Series[str]]", by: Sequence[str]
) -> _Compared:
    """The pairs with their comparison in words and their difference."""
    # a copy, as merging a hundred columns leaves them scattered
    made = apart(pairs.copy()).assign(comparison=sides[0] + " - " + sides[1])
    return _Compared(made, [*by])


def apart(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs as runs whose value, and that of each device, is the one less its reference."""
    both = zip(pairs["by_device"], pairs["by_device_reference"], strict=True)
    by_devices = [by_device(one, other) for one, other in both]
    return pairs.assign(
        value=pairs["value"] - pairs["value_reference"],
        by_device=pd.Series(by_devices, pairs.index, dtype=object),
    )


def _alike(values: pd.DataFrame, but: Sequence[str]) -> list[str]:
    """The columns that tell each row from others besides its repeat and these settings."""
    sizes = [name for name in SIZE if name not in but and values[name].nunique() > 1]
    return [*varied(values, but), *sizes]


def _key(values: pd.DataFrame, but: Sequence[str]) -> "pd.Series[str]":
    """All settings of each row but these, as one text: equal in both trials of a pair."""
    columns = [values[name].astype("object") for name in settings.leaves() if name not in but]
    rows = zip(*columns, strict=True)
    return pd.Series(["\n".join(map(str, row)) for row in rows], index=values.index, dtype="str")


def _shared(values: pd.DataFrame, but: Sequence[str]) -> "pd.Series[str]":
    """The same in words: condition and size."""
    parts = [words(values, but)]
    for name in SIZE:
        if name not in but and values[name].nunique() > 1:
            parts.append(_said(name, values[name]))
    return phrases(parts, values.index)


def _said(name: str, values: "pd.Series[float]") -> "pd.Series[str]":
    """Values of a setting in words."""
    if name == DAMPING:
        return values.map(lambda value: f"damped {value:g}" if value else "base").astype("str")
    dial = DIMENSIONS[SIZE.index(name)]
    return values.map(lambda value: f"{dial} {value}").astype("str")
