"""Families: in words, what tells trials apart besides their size, seed and fold.

Conventions: only settings with more than one value among the trials are named. First come the kind
of network, what it has taken over (`transferred`), what is minimized and what else keeps it from
memorizing (`dropout 0.2`, `batched pitch`); what follows from these, such as a batch size that each
has its own of, is not named.
Then, in the order of scaling.settings.Trial, damping, taught labels, share of the clips,
microphones of the training clips, when training ends and pruning in words of their own (`base,
static`), every other setting by its shortest unambiguous name (`mixup=0.3`).
Contents: SIZE, REPEAT, OBJECTIVE, FOLLOWING, families, objectives, prunings, words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scaling import settings

SIZE = ("network.width", "network.depth", "network.pointwise")
# tell apart runs of one size and family; what a fold's trials take over is that fold's
REPEAT = ("seed", "split.fold", "split.validation_fold", "transfer.trial")
PRUNING = tuple(name for name in settings.leaves() if name.startswith("pruning."))
HEARD = ("microphones.train", "microphones.share")
REGULARIZERS = {"network.dropout": "dropout", "training.weight_decay": "weight decay"}
OBJECTIVE = (
    *REGULARIZERS,
    "augment.transform",
    "augment.transform_share",
    *(name for name in settings.leaves() if name.startswith("objective.")),
)
BOTTLENECK = {"objective.latent": "K", "objective.beta": "beta"}
FOLLOWING = ("training.batch", "training.passes", "evaluation.disagreement")  # from the objective
# what does not follow from the kind of network, as all else may
OPEN = ("sound.dataset", "sound.classes", "network.damping")
FROM_KIND = tuple(n for n in settings.leaves() if not n.startswith("split.") and n not in OPEN)
STOPS = ("training.epochs", "training.patience", "training.patience_counts")
IN_WORDS = ("objective.kind", "augment.transform")  # what the phrase of an objective says itself
KINDS = {"none": "dense", "static": "static", "magnitude": "iterative"}
LABELS = {"true": "true labels", "uniform": "random labels", "permuted": "permuted labels"}


def families(manifest: pd.DataFrame, but: Sequence[str] = ()) -> "pd.Series[Any]":
    """The family of each trial: `words` of all settings, or the kind of network for no words."""
    said = words(manifest, but)
    return said.mask(said == "", manifest["network.kind"])


def words(manifest: pd.DataFrame, but: Sequence[str] = ()) -> "pd.Series[Any]":
    """What tells each trial from the others, besides its size, repeat and the settings of `but`.

    `damped 0.99, static`, `base, dense`, `dropout 0.2, 30 % of the clips`; empty where nothing
    differs. Rows as in `manifest`, which has a column for each setting, as table.manifest gives it.
    """
    ignored = {*SIZE, *REPEAT, *HEARD, *PRUNING, *OBJECTIVE, "network.kind", *but}
    names = [name for name in settings.leaves() if name not in ignored]
    kinds = _joined([_networks(manifest, but), objectives(manifest, but)], manifest.index)
    following = FROM_KIND if _varies(manifest["network.kind"]) else FOLLOWING
    parts = [kinds]

    def tells(name: str) -> bool:
        # a batch size that each kind has its own of tells nothing that the kind does not
        among = kinds if name in following else _constant("", manifest)
        return bool(_varies_within(manifest[name], among).any())

    for name in filter(tells, names):
        if name not in STOPS:
            parts.append(manifest[name].map(_phrase(name)))
    if any(tells(name) for name in STOPS if name in names):
        parts.append(_stops(manifest, but))
    if any(_varies(manifest[name]) for name in HEARD if name not in but):
        parts.append(_hearings(manifest))
    if any(_varies(manifest[name]) for name in PRUNING if name not in but):
        parts.append(prunings(manifest))
    return _joined(parts, manifest.index)


def _networks(manifest: pd.DataFrame, but: Sequence[str]) -> "pd.Series[Any]":
    """`vgg5`, `vgg5, transferred`; what all are is not said."""
    kind = manifest["network.kind"]
    if "network.kind" in but or not _varies(kind):
        kind = _constant("", manifest)
    taken = (manifest["transfer.trial"] != "") | (manifest["transfer.weights"] != "")
    said = _constant("transferred", manifest).where(taken & _varies(taken), "")
    return _joined([kind, said], manifest.index)


def prunings(manifest: pd.DataFrame) -> "pd.Series[Any]":
    """How each trial is pruned: `dense`, `static`, `iterative`.

    What else differs among the trials of one kind follows: `iterative, score=kernel`.
    """
    kinds = manifest["pruning.kind"]
    parts = [kinds.map(KINDS)]
    for name in PRUNING:
        # a dense trial's target_width is 0: that pruned ones have another tells nothing new
        parts.append(_where_varied(manifest[name], kinds))
    return _joined(parts, manifest.index)


def objectives(manifest: pd.DataFrame, but: Sequence[str] = ()) -> "pd.Series[Any]":
    """What each trial minimizes, with its transforms and regularizers; empty where none differ.

    `cross-entropy`, or `plain` beside transformed clips; `dropout 0.2`, `weight decay 0.0001`;
    `bottleneck K=20 beta=0.005`; `augmented pitch`, `batched pitch`, `consistency pitch`.
    """
    varied = [name for name in OBJECTIVE if name not in but and _varies(manifest[name])]
    if not varied:
        return _constant("", manifest)
    parts = [_minimized(manifest, varied), _transforms(manifest, varied)]
    for name, word in REGULARIZERS.items():
        if name in varied:
            said = word + " " + manifest[name].map(_text)
            parts.append(said.where(manifest[name] > 0, ""))
    phrases = _joined(parts, manifest.index)
    transformed = (manifest["augment.transform"] != "none").any()
    if not _varies(manifest["network.kind"]):  # else its kind stands there already
        phrases = phrases.mask(phrases == "", "plain" if transformed else "cross-entropy")
    rest = [name for name in varied if name not in {*REGULARIZERS, *BOTTLENECK, *IN_WORDS}]
    details = [_where_varied(manifest[name], phrases) for name in rest]
    return _joined([phrases, *details], manifest.index)


def _minimized(manifest: pd.DataFrame, varied: Sequence[str]) -> "pd.Series[Any]":
    """The kind of objective, and of bottlenecks what differs among them; empty for cross-entropy,
    and for consistency, which `_transforms` says.
    """
    kind = manifest["objective.kind"]
    chosen = kind == "bottleneck"
    words = kind.mask(kind.isin(["cross_entropy", "consistency"]), "")
    for name, letter in BOTTLENECK.items():
        if name in varied and _varies(manifest.loc[chosen, name]):
            words += (f" {letter}=" + manifest[name].map(_text)).where(chosen, "")
    return words


def _transforms(manifest: pd.DataFrame, varied: Sequence[str]) -> "pd.Series[Any]":
    """How transformed clips are learnt from, and the transform where several are; else empty."""
    transform, chosen = manifest["augment.transform"], manifest["augment.transform"] != "none"
    views = manifest["objective.kind"] == "consistency"
    words = _constant("augmented", manifest).mask(views, "consistency")
    words = words.mask(views & (manifest["objective.weight"] == 0), "batched")
    if "augment.transform" in varied and _varies(transform[chosen]):
        words += " " + transform
    return words.where(chosen, "")


def _stops(manifest: pd.DataFrame, but: Sequence[str]) -> "pd.Series[Any]":
    """`epochs=20`; `fixed` or `patience` where both are, and what else differs among either:
    `fixed, epochs=20`, `patience, counting all`.
    """
    patient = manifest["training.patience"] > 0
    kinds = _constant("fixed", manifest).mask(patient, "patience")
    said = [kinds] if _varies(kinds) and "training.patience" not in but else []
    said += [_where_varied(manifest[name], kinds) for name in STOPS if name not in but]
    return _joined(said, manifest.index)


def _hearings(manifest: pd.DataFrame) -> "pd.Series[str]":
    """`trained as recorded` or `trained through 6 microphones`; where other sets are as many, the
    microphones' names; the share of the clips where it differs among those heard through some.
    """
    names, share = (manifest[name] for name in HEARD)
    counts = names.map(lambda listed: len(listed.split(",")) if listed else 0)
    ambiguous = names.groupby(counts).transform("nunique") > 1
    sets = names.where(ambiguous, counts.map("{} microphones".format))
    some = counts > 0
    heard = ("trained through " + sets).where(some, "trained as recorded")
    varied = some & (share[some].nunique() > 1)
    shares = share.map(_phrase("microphones.share")).where(varied, "")
    return _joined([heard, shares], manifest.index)


def _varies(values: "pd.Series[Any]") -> bool:
    return bool(values.nunique(dropna=False) > 1)


def _constant(text: str, manifest: pd.DataFrame) -> "pd.Series[Any]":
    """The same text for every row."""
    return pd.Series(text, index=manifest.index, dtype="str")


def _varies_within(values: "pd.Series[Any]", groups: "pd.Series[Any]") -> "pd.Series[bool]":
    """Whether the values of each row's group differ."""
    # of codes, as pandas counts a missing value as none
    codes = pd.Series(values.factorize(use_na_sentinel=False)[0], index=values.index)
    return codes.groupby(groups).transform("nunique") > 1


def _where_varied(values: "pd.Series[Any]", groups: "pd.Series[Any]") -> "pd.Series[Any]":
    """A setting's values in words in groups of rows where they differ, else nothing."""
    return values.map(_phrase(str(values.name))).where(_varies_within(values, groups), "")


def _joined(parts: "list[pd.Series[Any]]", index: "pd.Index[Any]") -> "pd.Series[Any]":
    """The parts of each row that are not empty, with commas between."""
    rows = zip(*parts, strict=True) if parts else ("" for _ in index)
    return pd.Series([", ".join(filter(None, row)) for row in rows], index=index, dtype="str")


def _phrase(name: str) -> Callable[[Any], str]:
    """How to say a value of this setting."""
    said: dict[str, Callable[[Any], str]] = {
        "network.damping": lambda value: f"damped {_text(value)}" if value else "base",
        "network.initialization": str,
        "split.labels": LABELS.__getitem__,
        "split.fraction": lambda value: f"{100 * value:.15g} % of the clips",
        "training.patience_counts": lambda value: f"counting {value}",
        "pruning.target": lambda value: f"to {value} weights" if value else "",
        "pruning.target_width": lambda value: f"to width {value}" if value else "",
    }
    return said.get(name, lambda value: f"{_short(name)}={_text(value)}")


def _short(name: str) -> str:
    """The fewest last words of a dotted name that no other setting ends in."""
    parts = name.split(".")
    endings = [".".join(parts[-k:]) for k in range(1, len(parts) + 1)]
    known = [f".{other}" for other in settings.leaves()]
    return next(e for e in endings if sum(other.endswith(f".{e}") for other in known) == 1)


def _text(value: Any) -> str:
    """A setting's value as a person would type it."""
    if value == "":
        return "(empty)"
    if pd.isna(value):
        return "null"
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)
