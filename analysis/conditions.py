"""Conditions: the settings that tell trials apart besides their size, seed and fold.

Conventions: a condition is a combination of values of setting columns, under the dotted names of
the manifest. Tables are grouped by these columns; labels are made from them last, for readers.
A label names only settings with more than one value among the rows that it is made for. First come
the kind of network, whether it starts from the weights of another (`transferred`), what is
minimized and what else regularizes (`dropout 0.2`, `batched pitch`). What follows from these, such
as a batch size that each has its own of, is not named; nor is what follows from the front end, such
as a window that one lacks, nor, where many settings differ, those that are off. Then, in the order
of scaling.settings.Trial, damping, taught labels, share of the clips, microphones of the training
clips, when training ends and pruning in words of their own (`base, static`), every other setting by
its shortest unambiguous name (`mixup=0.3`).
Contents: SIZE, REPEAT, OBJECTIVE, FOLLOWING, CONTEXT, marked, varied, labels, words, objectives,
prunings.
"""

from collections.abc import KeysView, Sequence
from typing import Any

import pandas as pd

from analysis.phrasing import (
    as_typed,
    constant,
    phrase,
    phrases,
    varies,
    varies_within,
    where_varied,
)
from scaling import settings
from scaling.settings import label

SIZE = label.SIZE
# tell apart runs of one size and family; what a fold's trials learn from is that fold's
REPEAT = (
    *("seed", "split.fold", "split.validation_fold"),
    *("transfer.trial", "objective.teachers"),
)
PRUNING = tuple(name for name in settings.leaves() if name.startswith("pruning."))
HEARD = ("microphones.train", "microphones.share")
TRANSFERRED = "transferred"  # a column that `marked` adds
REGULARIZERS = {"network.dropout": "dropout", "training.weight_decay": "weight decay"}
OBJECTIVE = (
    *REGULARIZERS,
    "augment.transform",
    "augment.transform_share",
    *(n for n in settings.leaves() if n.startswith("objective.") and n not in REPEAT),
)
BOTTLENECK = {"objective.latent": "K", "objective.beta": "beta"}
FOLLOWING = ("training.batch", "training.passes", "evaluation.disagreement")  # from the objective
# what does not follow from the kind of network, as all else may
OPEN = ("sound.dataset", "sound.options", "sound.classes", "network.damping")
FROM_KIND = tuple(n for n in settings.leaves() if not n.startswith("split.") and n not in OPEN)
FEATURES, FRONTEND = "sound.features.", "sound.features.kind"
STOPS = ("training.epochs", "training.patience", "training.patience_counts")
IN_WORDS = ("objective.kind", "augment.transform")  # what the phrase of an objective says itself
# conditions that every table of points says, varied or not: labels need them
CONTEXT = (
    "network.kind",
    TRANSFERRED,
    "network.damping",
    "objective.kind",
    "objective.weight",
    "augment.transform",
    "pruning.kind",
)
KINDS = {
    "none": "dense",
    "static": "static",
    "magnitude": "iterative",
    "channels": "channels",
    "snip": "SNIP",
    "grasp": "GraSP",
    "synflow": "SynFlow",
    "rigl": "RigL",
    "rewinding": "rewinding",
}
MANY = 4  # settings that a label names, be they on or off
OFF = (0, "none")


def marked(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest with a column that says whether a trial starts from the weights of another."""
    taken = (manifest["transfer.trial"] != "") | (manifest["transfer.weights"] != "")
    return manifest.assign(**{TRANSFERRED: taken})


def varied(
    trials: pd.DataFrame, but: Sequence[str] = (), within: Sequence[str] = ()
) -> tuple[str, ...]:
    """The condition columns of these trials: CONTEXT, and the settings that tell two of them apart.

    `but` names settings that are told otherwise. `within` names columns whose groups are looked at
    one by one: datasets differ in rate and length, too, which tells nothing beside their names.
    """
    parts = [rows for _, rows in trials.groupby([*within])] if within else [trials]
    told = {name for rows in parts for name in _telling(_completed(rows), but)}
    if told & set(HEARD):
        told |= set(HEARD)  # a share is one of these microphones
    known = (*CONTEXT, *(name for name in settings.leaves() if name not in CONTEXT))
    return tuple(
        name
        for name in known
        if name in trials and name not in but and (name in CONTEXT or name in told)
    )


def labels(
    frame: pd.DataFrame, but: Sequence[str] = (), within: Sequence[str] = ()
) -> "pd.Series[str]":
    """The condition of each row in words, told from the other rows; the kind of network where there
    is only one.

    `frame` has condition columns as `varied` names them, with the same `but` and `within`; settings
    without a column are those of all rows.
    """
    if within:
        parts = [labels(rows, but) for _, rows in frame.groupby([*within])]
        joined: pd.Series[str] = pd.concat(parts).reindex(frame.index)
        return joined
    said = words(frame, but)
    return said.mask(said == "", frame["network.kind"])


def words(frame: pd.DataFrame, but: Sequence[str] = ()) -> "pd.Series[str]":
    """What tells each row from the others, besides size, repeat and the settings of `but`.

    `damped 0.99, static`, `base, dense`, `dropout 0.2, 30 % of the clips`; empty where nothing
    differs.
    """
    frame = _completed(frame)
    told = _telling(frame, but)
    special = {*STOPS, *HEARD, *PRUNING, *OBJECTIVE, "network.kind", TRANSFERRED}
    parts = [_kinds(frame, but)]
    parts += _settings(frame, [name for name in told if name not in special])
    if told & set(STOPS):
        parts.append(_stops(frame, but))
    if told & set(HEARD):
        parts.append(_hearings(frame))
    if told & set(PRUNING):
        parts.append(prunings(frame))
    return phrases(parts, frame.index)


def _settings(frame: pd.DataFrame, told: Sequence[str]) -> "list[pd.Series[Any]]":
    """Each of these settings in words; of more than MANY only those that are on, and of what
    belongs to another (`sam_adaptive`) only where that is on.
    """
    parts = [frame[name].map(phrase(name)) for name in told]
    if len(told) <= MANY:
        return parts
    on = {name: ~frame[name].isin(OFF) for name in told}
    for name in told:
        for other in told:
            if name.startswith(f"{other}_"):
                on[name] &= on[other]
    return [part.where(on[name], "") for name, part in zip(told, parts, strict=True)]


def _completed(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a constant in the columns of settings that it leaves out, as all rows agree in
    them.
    """
    absent = [n for n in (*OBJECTIVE, *STOPS, *PRUNING) if n not in frame]
    return frame.reindex(columns=[*frame, *absent], fill_value=0) if absent else frame


def _telling(frame: pd.DataFrame, but: Sequence[str]) -> KeysView[str]:
    """The settings that tell rows apart, in order."""
    kinds = _kinds(frame, but)
    alone = constant("", frame)
    following = FROM_KIND if varies(frame["network.kind"]) else FOLLOWING
    frontend = frame.get(FRONTEND, alone)
    found: dict[str, None] = {}
    for name in (TRANSFERRED, *settings.leaves()):
        if name in (*SIZE, *REPEAT, *but) or name not in frame or not varies(frame[name]):
            continue
        said = name in ("network.kind", TRANSFERRED, *OBJECTIVE, *HEARD, *PRUNING)
        # a batch size that each kind has its own of tells nothing that the kind does not
        among = kinds if name in following and not said else alone
        if name.startswith(FEATURES) and name != FRONTEND:
            among = phrases([among, frontend], frame.index)
        if varies_within(frame[name], among).any():
            found[name] = None
    return found.keys()


def _kinds(frame: pd.DataFrame, but: Sequence[str]) -> "pd.Series[str]":
    """The kind of network and of objective."""
    return phrases([_networks(frame, but), objectives(frame, but)], frame.index)


def _networks(frame: pd.DataFrame, but: Sequence[str]) -> "pd.Series[Any]":
    """`vgg5`, `vgg5, transferred`; what all are is not said."""
    kind, taken = frame["network.kind"], frame[TRANSFERRED]
    if "network.kind" in but or not varies(kind):
        kind = constant("", frame)
    said = constant("transferred", frame).where(taken & varies(taken), "")
    return phrases([kind, said], frame.index)


def prunings(frame: pd.DataFrame) -> "pd.Series[Any]":
    """How each trial is pruned: `dense`, `static`, `iterative`.

    What else differs among the trials of one kind follows: `iterative, score=kernel`.
    """
    frame = _completed(frame)
    kinds = frame["pruning.kind"]
    parts = [kinds.map(KINDS)]
    for name in PRUNING:
        # a dense trial's target_width is 0: that pruned ones have another tells nothing new
        parts.append(where_varied(frame[name], kinds))
    return phrases(parts, frame.index)


def objectives(frame: pd.DataFrame, but: Sequence[str] = ()) -> "pd.Series[Any]":
    """What each trial minimizes, with its transforms and regularizers; empty where none differ.

    `cross-entropy`, or `plain` beside transformed clips; `dropout 0.2`, `weight decay 0.0001`;
    `bottleneck K=20 beta=0.005`; `augmented pitch`, `batched pitch`, `consistency pitch`.
    """
    frame = _completed(frame)
    varied = [name for name in OBJECTIVE if name not in but and varies(frame[name])]
    if not varied:
        return constant("", frame)
    parts = [_minimized(frame, varied), _transforms(frame, varied)]
    for name, word in REGULARIZERS.items():
        if name in varied:
            texts = word + " " + frame[name].map(as_typed)
            parts.append(texts.where(frame[name] > 0, ""))
    said = phrases(parts, frame.index)
    transformed = (frame["augment.transform"] != "none").any()
    if not varies(frame["network.kind"]):  # else its kind stands there already
        said = said.mask(said == "", "plain" if transformed else "cross-entropy")
    rest = [name for name in varied if name not in {*REGULARIZERS, *BOTTLENECK, *IN_WORDS}]
    details = [where_varied(frame[name], said) for name in rest]
    return phrases([said, *details], frame.index)


def _minimized(frame: pd.DataFrame, varied: Sequence[str]) -> "pd.Series[Any]":
    """The kind of objective, and of bottlenecks what differs among them; empty for cross-entropy,
    and for consistency, which `_transforms` says.
    """
    kind = frame["objective.kind"]
    chosen = kind == "bottleneck"
    words = kind.mask(kind.isin(["cross_entropy", "consistency"]), "")
    for name, letter in BOTTLENECK.items():
        if name in varied and varies(frame.loc[chosen, name]):
            words += (f" {letter}=" + frame[name].map(as_typed)).where(chosen, "")
    return words


def _transforms(frame: pd.DataFrame, varied: Sequence[str]) -> "pd.Series[Any]":
    """How transformed clips are learnt from, and the transform where several are; else empty."""
    transform, chosen = frame["augment.transform"], frame["augment.transform"] != "none"
    views = frame["objective.kind"] == "consistency"
    words = constant("augmented", frame).mask(views, "consistency")
    words = words.mask(views & (frame["objective.weight"] == 0), "batched")
    if "augment.transform" in varied and varies(transform[chosen]):
        words += " " + transform
    return words.where(chosen, "")


def _stops(frame: pd.DataFrame, but: Sequence[str]) -> "pd.Series[Any]":
    """`epochs=20`; `fixed` or `patience` where both are, and what else differs among either:
    `fixed, epochs=20`, `patience, counting all`.
    """
    patient = frame["training.patience"] > 0
    kinds = constant("fixed", frame).mask(patient, "patience")
    said = [kinds] if varies(kinds) and "training.patience" not in but else []
    said += [where_varied(frame[name], kinds) for name in STOPS if name not in but]
    return phrases(said, frame.index)


def _hearings(frame: pd.DataFrame) -> "pd.Series[str]":
    """`trained as recorded` or `trained through 6 microphones`; where other sets are as many, the
    microphones' names; the share of the clips where it differs among those heard through some.
    """
    names, share = (frame[name] for name in HEARD)
    counts = names.map(lambda listed: len(listed.split(",")) if listed else 0)
    ambiguous = names.groupby(counts).transform("nunique") > 1
    sets = names.where(ambiguous, counts.map("{} microphones".format))
    some = counts > 0
    heard = ("trained through " + sets).where(some, "trained as recorded")
    varied = some & (share[some].nunique() > 1)
    shares = share.map(phrase("microphones.share")).where(varied, "")
    return phrases([heard, shares], frame.index)
